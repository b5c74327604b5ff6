"""`velocast growth` and `velocast effect` on files and on a deployment."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.shared.usecases import small_city
from velocast.core.datetimes import rfc3339
from velocast_cli.main import app
from velocast_local.simulation.city import simulate_city
from velocast_local.simulation.files import write_city

UNTIL = date(2025, 3, 10)
DAYS = 430


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "80"})


def told(*words: str) -> dict[str, Any]:
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("growth")
    counts, weather = simulate_city(3, days=DAYS, seed=5, until=UNTIL)
    write_city(counts, made / "counts.parquet")
    write_city(weather, made / "weather.parquet")
    return made


@pytest.fixture(scope="module")
def source(folder: Path) -> list[str]:
    return ["--file", str(folder / "counts.parquet"), "--city", "demoville"]


def test_compares_a_file_with_the_year_before(folder: Path, source: list[str]) -> None:
    found = told("growth", *source, "--weather", str(folder / "weather.parquet"))

    assert found["now"] == ["2025-01-03", "2025-03-10"]
    assert found["before"] == ["2024-01-05", "2024-03-11"]
    assert found["whole_year"] is False
    growth = found["growth"]
    assert growth["weather"] is not None
    assert growth["adjusted"]["low"] < growth["adjusted"]["change"] < growth["adjusted"]["high"]
    assert -0.3 < growth["adjusted"]["change"] < 0.4
    assert len(found["counters"]) == 3


def test_prints_plain_words_in_80_columns(source: list[str]) -> None:
    done = run("growth", *source)

    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == "2025-01-03 to 2025-03-09 against 2024-01-05 to 2024-03-10"
    assert lines[1].startswith("Less than two years are known: 66 days are compared")
    assert "All counters: " in done.stdout
    assert "weather is not known" in done.stdout


def test_answers_for_one_counter(folder: Path, source: list[str]) -> None:
    name = str(pd.read_parquet(folder / "counts.parquet")["id_compteur"].iloc[0])

    found = told("growth", *source, "--counter", name)
    done = run("growth", *source, "--counter", name)

    assert found["growth"] is None
    assert [each["counter_id"] for each in found["counters"]] == [name]
    assert name in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("growth", "--since", "2024-06-01"), "a year is lacking: from 2024-06-01"),
        (("growth", "--since", "2020-06-01"), "the counts begin on 2024-01-05, after 2020-06-01"),
        (("growth", "--since", "June"), "since 'June' is no date"),
        (("growth", "--counter", "x"), "no counter x; there are 3"),
        (("effect", "--counters", "x", "--since", "2025-01-01"), "no counter x; there are 3"),
    ],
)
def test_says_what_is_wrong(source: list[str], words: tuple[str, ...], message: str) -> None:
    done = run(*words, *source)

    assert done.exit_code == 1
    assert message in " ".join(done.output.split())


def test_weather_belongs_to_a_file() -> None:
    done = run("growth", "--weather", "w.csv")

    assert done.exit_code == 1
    assert "--city and --weather belong to --file" in done.output


def test_finds_an_effect_in_a_file(tmp_path: Path) -> None:
    counts, _ = simulate_city(6, days=200, seed=6, until=UNTIL)
    name = str(counts.groupby("id_compteur")["sum_counts"].sum().idxmax())
    changed = (counts["id_compteur"] == name) & (counts["date"] >= "2025-01-20")
    counts["sum_counts"] = counts["sum_counts"].mask(changed, counts["sum_counts"] * 2)
    write_city(counts, tmp_path / "counts.parquet")
    words = ["effect", "--file", str(tmp_path / "counts.parquet"), "--city", "demoville"]
    words += ["--counters", name, "--since", "2025-01-20"]

    found, done = told(*words), run(*words)

    assert found["claimed"]
    assert found["effect"]["low"] < 1.0 < found["effect"]["high"]
    assert found["observed"] > 1.5 * found["expected"]
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert "more than chance" in done.stdout
    assert "placebo check: of" in done.stdout


@pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
def test_compares_the_counts_of_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VELOCAST_AS_OF", rfc3339(small_city.AS_OF))
    small_city.store(small_city.make(counters=2, days=DAYS))

    found = told("growth")
    lacking = run("growth", "--since", "2025-01-01")

    assert found["now"] == ["2025-01-03", "2025-03-10"]
    assert found["growth"]["weather"] is None
    assert lacking.exit_code == 1
    assert "a year is lacking" in " ".join(lacking.output.split())
