"""Files of counts follow the city's file: one history in growth, and nothing left to propose."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from tests.shared.usecases import small_city
from velocast.core.city import load_city
from velocast_cli.growth.sources import days_of_files
from velocast_cli.main import app

OLD, NEW, SINCE = "100500000-102500000", "new", "2025-02-10"
CITY = Path("shared/velocast/cities/demoville.yaml")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Hours of four counters, of which one has another id since 10 February, and a city's file that says so."""
    folder = tmp_path_factory.mktemp("city")
    rows = small_city.make(days=70)
    later = (rows["counter_id"] == OLD) & (
        rows["counted_at"] >= pd.Timestamp(SINCE, tz="Europe/Paris")
    )
    rows = rows.assign(counter_id=rows["counter_id"].mask(later, NEW))
    columns = ["counter_id", "counted_at", "bike_count", "latitude", "longitude"]
    rows[columns].to_parquet(folder / "hours.parquet")
    described = yaml.safe_load(CITY.read_text(encoding="utf-8"))
    described["continuations"] = [{"counter": NEW, "continues": OLD, "since": SINCE}]
    described["sums"] = [{"id": "both", "name": "Both", "counters": [NEW, "100500017-102500017"]}]
    (folder / "city.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    return folder / "hours.parquet", folder / "city.yaml"


def test_growth_sees_one_history_and_no_sum(files: tuple[Path, Path]) -> None:
    hours, described = files
    _, apart = days_of_files(load_city("demoville"), [hours], None, lambda _: None)
    _, one = days_of_files(load_city(str(described)), [hours], None, lambda _: None)
    assert set(apart.counters) - set(one.counters) == {OLD}
    assert set(one.counters) <= set(apart.counters)
    whole = one.counts[one.counters.index(NEW)]
    assert (whole >= 0).mean() > 0.95  # the old counter's days and the new one's


def test_what_the_citys_file_says_is_not_proposed(files: tuple[Path, Path]) -> None:
    hours, described = files

    def proposed(city: str) -> list[tuple[str, str]]:
        words = ["counts", "continues", "propose", str(hours), "--city", city, "--json"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)["proposals"]
        return [(each["counter_id"], each["continues"]) for each in found]

    assert proposed("demoville") == [(NEW, OLD)]
    assert proposed(str(described)) == []


def test_a_citys_file_that_counts_twice_is_refused(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    described = yaml.safe_load(files[1].read_text(encoding="utf-8"))
    described["sums"][0]["counters"] = [NEW, OLD]
    wrong = tmp_path / "city.yaml"
    wrong.write_text(yaml.safe_dump(described), encoding="utf-8")
    done = CliRunner().invoke(app, ["counts", "check", str(files[0]), "--city", str(wrong)])
    assert done.exit_code == 1
    assert f"counts {OLD} twice" in " ".join(done.output.split())
