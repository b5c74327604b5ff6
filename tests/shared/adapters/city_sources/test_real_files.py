"""Shipped cities that are verified by files: real ones, against hours that were prepared without this code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.shared.adapters.city_sources.transports.imitation import utc
from velocast.adapters.city_sources.reading import Harvest, read_files
from velocast.core.city import load_city

DATA = Path(__file__).parents[5] / "shared" / "data" / "cities"
KEY = ["id_compteur", "date"]

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/cities is absent")


def read(name: str, *paths: str) -> Harvest:
    return read_files(load_city(name), [DATA / "raw" / path for path in paths])


def compared(
    harvest: Harvest, prepared: str, rename: Callable[[str], str] = str
) -> tuple[int, set[str]]:
    """Check every usable hour that was also prepared; return how many, and of which counters.

    Hours that the clock change makes ambiguous were not prepared.
    """
    usable = pd.DataFrame(
        [row for row in harvest.counts.to_pylist() if row["quality"] is None]
    ).rename(columns={"counter_id": "id_compteur", "counted_at": "date"})
    first, last = usable["date"].min(), usable["date"].max()
    truth = pd.read_parquet(
        DATA / f"{prepared}-counts.parquet",
        columns=[*KEY, "sum_counts"],
        filters=[("date", ">=", first), ("date", "<=", last)],
    )
    truth["id_compteur"] = truth["id_compteur"].astype(str)
    names = {each: rename(each) for each in truth["id_compteur"].unique()}
    both = usable.merge(truth.assign(id_compteur=truth["id_compteur"].map(names)), on=KEY)
    assert both["bike_count"].tolist() == both["sum_counts"].tolist()
    return len(both), set(both["id_compteur"])


def test_seattle() -> None:
    names = {
        f"Fremont Bridge {s} Sidewalk": f"fremont-bridge-{s.lower()}" for s in ("East", "West")
    }
    harvest = read("seattle", "seattle.csv")
    number, counters = compared(harvest, "seattle", names.__getitem__)
    assert number > 1400
    assert counters == set(names.values())
    assert harvest.unknown_fields == []


def test_dublin() -> None:
    harvest = read("dublin", "dublin.csv")
    # the prepared hours have names that were cut after 28 characters, remarks included
    names = {each[:28].rstrip(): each for each in harvest.counts["counter_id"].unique().to_pylist()}
    names |= {"Charleville Mall (Unable to": "Charleville Mall"}
    number, counters = compared(harvest, "dublin", lambda each: names.get(each.rstrip(), each))
    assert number > 6000
    assert len(counters) == 9
    assert harvest.unknown_fields == []


def test_muenster() -> None:
    months = [f"{site}-2024-{month}" for site in (100034978, 300037405) for month in ("03", "10")]
    harvest = read("muenster", *(f"muenster/{month}.csv" for month in months))
    number, counters = compared(harvest, "muenster")
    assert number > 2800
    assert counters == {"100034978", "300037405"}
    assert harvest.unknown_fields == []


@pytest.mark.parametrize(
    ("file", "counter", "expected"),
    [
        ("paris_portal_export.csv", "100003096-353242251", {utc(2021, 9, 1, 1): 3}),
        (
            "paris_api_records.json",
            "100056038-101056038",
            {utc(2025, 12, 31, 12): 69, utc(2025, 12, 31, 21): 0},
        ),
    ],
)
def test_paris(file: str, counter: str, expected: dict[object, int]) -> None:
    rows = read("paris", file).counts.to_pylist()
    found = {row["counted_at"]: row["bike_count"] for row in rows if row["counter_id"] == counter}
    assert found.items() >= expected.items()
