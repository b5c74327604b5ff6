"""`velocast counts check` on files as cities publish them and on hours that somebody made of them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from tests.shared.model.faults.simulated_city import city_hours
from tests.shared.usecases import small_city
from velocast.core.city import load_city
from velocast.core.datetimes import rfc3339
from velocast_cli.main import app

COUNTER, BROKEN = "1-in", pd.Timestamp("2024-05-11", tz="Europe/Paris")
KEYS = {
    "counter_id", "kind", "since", "until", "found_at", "open", "evidence", "share_of_usual",
}  # fmt: skip


def check(*words: str) -> Any:
    return CliRunner().invoke(app, ["counts", "check", *words], env={"COLUMNS": "80"})


def episodes(*words: str) -> list[dict[str, Any]]:
    done = check(*words, "--json")
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)["episodes"]
    return found


@pytest.fixture(scope="module")
def hours() -> pd.DataFrame:
    """A counter that is dead from BROKEN to the end."""
    rows = city_hours(days=48)
    rows.loc[(rows["counter_id"] == COUNTER) & (rows["counted_at"] >= BROKEN), "bike_count"] = 0
    return rows


def written(rows: pd.DataFrame, path: Path) -> str:
    rows.to_parquet(path, index=False)
    return str(path)


def test_lists_an_episode_with_all_its_facts(hours: pd.DataFrame, tmp_path: Path) -> None:
    (episode,) = episodes(written(hours, tmp_path / "hours.parquet"), "--city", "paris")

    expected = hours["bike_count"].sum()  # more than the counter has
    assert set(episode) == KEYS
    assert episode["counter_id"], episode["kind"] == (COUNTER, "dead")
    assert episode["since"] == "2024-05-11T00:00:00+02:00"
    assert episode["until"] == "2024-05-19T00:00:00+02:00"
    assert episode["found_at"] == "2024-05-12T00:00:00+02:00"
    assert (episode["open"], episode["share_of_usual"]) == (True, 0.0)
    assert episode["evidence"].startswith("0 bikes in 192 hours")
    assert 0 < int(episode["evidence"].split()[-2].replace(",", "")) < expected


@pytest.mark.parametrize(
    "types",
    [
        lambda rows: rows.assign(counter_id=rows["counter_id"].astype("category")),
        lambda rows: rows.assign(counted_at=rows["counted_at"].dt.tz_convert(None)),
        lambda rows: rows.assign(counted_at=rows["counted_at"].map(lambda at: at.isoformat())),
        lambda rows: rows.assign(bike_count=rows["bike_count"].map(Decimal)),
        lambda rows: pd.concat([rows, rows.head(100)]).assign(quality=None),
        lambda rows: rows.assign(counter_name=rows["counter_id"], site_id=None, extra=1),
    ],
    ids=["category", "naive is UTC", "text times", "decimal", "repeated", "further columns"],
)
def test_reads_hours_whatever_their_types(hours: pd.DataFrame, tmp_path: Path, types: Any) -> None:
    found = episodes(written(types(hours), tmp_path / "hours.parquet"), "--city", "paris")

    assert [(each["counter_id"], each["kind"]) for each in found] == [(COUNTER, "dead")]


def test_reads_what_city_check_reads(hours: pd.DataFrame, tmp_path: Path) -> None:
    names = {"counter_id": "id_compteur", "counted_at": "date", "bike_count": "sum_counts"}
    published = hours.rename(columns=names).assign(nom_compteur=hours["counter_id"])
    path = tmp_path / "published.csv"
    published.to_csv(path, index=False)

    assert len(episodes(str(path), "--city", "demoville")) == 1


def test_shows_only_what_ends_after_a_day_and_was_known_by_then(
    hours: pd.DataFrame, tmp_path: Path
) -> None:
    path = written(hours, tmp_path / "hours.parquet")

    assert episodes(path, "--city", "paris", "--since", "2024-05-20") == []
    assert len(episodes(path, "--city", "paris", "--as-of", "2024-05-12T00:00:00+02:00")) == 1
    assert episodes(path, "--city", "paris", "--as-of", "2024-05-11T00:00:00+02:00") == []


@pytest.fixture
def works(tmp_path: Path) -> str:
    """Paris, where a street is closed from BROKEN on."""
    described = load_city("paris").model_dump(mode="json", exclude_none=True)
    del described["events"]
    file = tmp_path / "my-city.yaml"
    file.write_text(yaml.safe_dump(described) + "events: works.csv\n", encoding="utf-8")
    line = f"{BROKEN:%Y-%m-%d},{COUNTER},Works,closure"
    (tmp_path / "works.csv").write_text(f"since,counters,what,kind\n{line}\n", encoding="utf-8")
    return str(file)


def test_a_known_closure_is_no_fault(hours: pd.DataFrame, tmp_path: Path, works: str) -> None:
    path = written(hours, tmp_path / "hours.parquet")

    said = json.loads(check(path, "--city", works, "--json").stdout)
    table = check(path, "--city", works).stdout

    assert said["episodes"] == []
    assert said["explained"] == [
        {
            "counter_id": COUNTER,
            "kind": "closure",
            "since": BROKEN.isoformat(),
            "until": None,
            "what": "Works",
        }
    ]
    assert f"{COUNTER}     closure  2024-05-11         Works" in table
    assert table.splitlines()[-1] == "0 faults of 0 of 10 counters, 0 going on"


def test_prints_a_table_of_80_columns(hours: pd.DataFrame, tmp_path: Path) -> None:
    done = check(written(hours, tmp_path / "hours.parquet"), "--city", "paris")

    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert f"{COUNTER}     dead" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 faults of 1 of 10 counters, 1 going on"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give files of counts, or --live"),
        (("missing.parquet",), "there is no such file"),
        (("{hours}", "--live"), "give files of counts, or --live"),
        (("{hours}", "--as-of", "2020-01-01T00:00:00Z"), "no count before"),
        (("{hours}", "--city", "nowhere"), "nowhere"),
        (("{empty}",), "no usable count"),
    ],
)
def test_says_what_is_wrong(
    hours: pd.DataFrame, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    files = {
        "hours": written(hours.head(50), tmp_path / "hours.parquet"),
        "empty": written(hours.head(0), tmp_path / "empty.parquet"),
    }

    done = check(*(word.format(**files) for word in words))

    assert done.exit_code == 1
    assert message in " ".join(done.output.split())


@pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
def test_checks_the_counts_of_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VELOCAST_AS_OF", rfc3339(small_city.AS_OF))
    city = small_city.make(days=30)
    counter = city.groupby("counter_id")["bike_count"].sum().idxmax()
    dead = (city["counter_id"] == counter) & (city["counted_at"] >= "2025-03-06T23:00Z")
    small_city.store(city.assign(bike_count=city["bike_count"].mask(dead, 0)))

    found = [each for each in episodes("--live") if each["kind"] == "dead"]

    assert [(each["counter_id"], each["open"]) for each in found] == [(counter, True)]
