"""Which windows the benchmark of cities measures, by whose description, and the table that it prints."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.cities import description_of, markdown, windows
from velocast.core.city import load_city
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
