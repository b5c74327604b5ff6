"""Which windows the benchmark of cities measures, by whose description, and the table that it prints."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.accuracy import cities
from benchmarks.accuracy.cities import description_of, markdown, summary, tenths, windows
from velocast.core.city import City, load_city
from velocast.core.errors import TooLittleHistory
from velocast.core.kinds import DEFAULT_KIND
from velocast_cli.backtesting import file_backtest
from velocast_cli.city_file import FileCounts

CITY = load_city("seattle")


def counted(first: str, last: str) -> FileCounts:
    hours = pd.to_datetime([first, last]).tz_localize(CITY.zone).tz_convert("UTC")
    counts = pd.DataFrame({"counter_id": "a", "counted_at": hours, "bike_count": 1})
    return FileCounts(counts, pd.DataFrame(), {})


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2023-12-03 00:00", "2024-05-30 23:00", [date(2024, 2, 1), date(2024, 5, 1)]),
        ("2023-12-04 00:00", "2024-05-30 23:00", [date(2024, 5, 1)]),  # 59 days before February
        ("2023-12-03 00:00", "2024-05-29 23:00", [date(2024, 2, 1)]),  # a day too short for May
        ("2024-01-01 00:00", "2024-02-20 23:00", []),
    ],
)
def test_windows_have_sixty_days_before_them_and_are_whole(
    first: str, last: str, expected: list[date]
) -> None:
    assert windows(CITY, counted(first, last)) == expected


def test_a_given_description_comes_before_one_beside_the_counts_and_a_packaged_one(
    tmp_path: Path,
) -> None:
    asked = argparse.Namespace(folder=tmp_path, city=["nantes=/own/nantes.yaml"])
    assert description_of("nantes", asked) == "/own/nantes.yaml"
    assert description_of("seattle", asked) == "seattle"
    assert description_of("atlantis", asked) is None
    (tmp_path / "seattle.yaml").touch()
    assert description_of("seattle", asked) == str(tmp_path / "seattle.yaml")


def test_the_table_names_the_better_reference_and_the_gain() -> None:
    row = {
        "city": "Oz", "window": "2024-02-01", "rows": 1234, "counters": 2, "rmse": 9.0, "r2": None,
        "coverage": 0.9, "reference": "similar_days", "reference_rmse": 10.0, "gain": 0.1,
    }  # fmt: skip
    assert markdown([row])[2] == (
        "| Oz | 2024-02-01 | 1,234 | 9.0 | 10.0 (similar_days) | +10.0% | – | 90.0% |"
    )


def measured(city: str, window: str, gain: float) -> dict[str, Any]:
    return {
        "city": city, "window": window, "kind": DEFAULT_KIND, "retrain_days": 28, "rows": 1, "counters": 1,
        "rmse": 1.0, "r2": 0.5, "coverage": 0.9, "coverage_by_tenth": [gain + n / 10 for n in range(10)],
        "reference": "similar_days", "reference_rmse": 1.0, "gain": gain,
    }  # fmt: skip


def test_cities_are_summed_up_by_the_mean_of_their_windows() -> None:
    found = [measured("Oz", "a", 0.1), measured("Oz", "b", -0.3), measured("Kansas", "a", 0.2)]
    table = tenths(found)
    assert table[2].startswith("| Oz | -10.0% | 0.0% | 10.0% |")
    assert table[3].startswith("| Kansas | 20.0% | 30.0% |")
    assert summary(found) == [
        "Oz: 1 of 2 windows lose; mean RMSE ratio 1.100",
        "Kansas: 0 of 1 windows lose; mean RMSE ratio 0.800",
        "all: 1 of 3 windows lose; mean RMSE ratio 1.000",
    ]


def test_an_interrupted_run_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The city is loaded once; windows of other cities stay in the file, those of another kind are measured anew."""
    file = tmp_path / "figures.json"
    kept = [measured("Seattle", "2024-02-01", 0.2), measured("Oz", "2024-02-01", 0.3)]
    older = measured("Seattle", "2024-05-01", 0.5) | {"kind": "gbm"}
    file.write_text(json.dumps({"windows": [*kept, older]}))
    (tmp_path / "seattle-counts.parquet").touch()
    loads, asked = [], []

    @contextmanager
    def loaded(*_: Any) -> Iterator[None]:
        loads.append(1)
        yield

    def measure(city: City, _: None, window: date, __: int) -> dict[str, Any]:
        asked.append(str(window))
        if window.month == 8:
            raise TooLittleHistory("too little")
        return measured(city.name, str(window), 0.1)

    monkeypatch.setattr(cities, "read_files_of", lambda *_: (CITY, None))
    monkeypatch.setattr(cities, "windows", lambda *_: [date(2024, m, 1) for m in (2, 5, 8, 11)])
    monkeypatch.setattr(file_backtest, "loaded", loaded)
    monkeypatch.setattr(cities, "measure", measure)
    arguments = argparse.Namespace(
        folder=tmp_path, city=[], only=None, windows=0, retrain_days=28, json=file
    )
    cities.main(arguments)
    assert asked == ["2024-05-01", "2024-08-01", "2024-11-01"]
    assert len(loads) == 1
    stored = {
        (row["city"], row["window"]): row["gain"] for row in json.loads(file.read_text())["windows"]
    }
    assert stored == {
        ("Seattle", "2024-02-01"): 0.2,
        ("Seattle", "2024-05-01"): 0.1,
        ("Seattle", "2024-11-01"): 0.1,
        ("Oz", "2024-02-01"): 0.3,
    }
    assert "Seattle: 0 of 3 windows lose" in capsys.readouterr().out
