"""Shipped cities that are verified by files: real ones, against hours that were prepared without this code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from velocast.adapters.city_sources.reading import Harvest, read_files
from velocast.core.city import load_city

DATA = Path(__file__).parents[5] / "shared" / "data" / "cities"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/cities is absent")


def read(name: str, *paths: str) -> Harvest:
    return read_files(load_city(name), [DATA / "raw" / path for path in paths])


def prepared(name: str, rename: Callable[[str], str] = str) -> dict[tuple[str, pd.Timestamp], int]:
    """Return counts by counter and hour. Hours that the clock change makes ambiguous are not among them."""
    frame = pd.read_parquet(DATA / f"{name}-counts.parquet", columns=["id_compteur", "date", "sum_counts"])  # fmt: skip
    ids = frame["id_compteur"].astype(str).map(rename)
    return dict(zip(zip(ids, frame["date"], strict=True), frame["sum_counts"], strict=True))


def compared(harvest: Harvest, truth: dict[tuple[str, pd.Timestamp], int]) -> tuple[int, set[str]]:
    """Check every hour that both have; return how many, and of which counters."""
    usable = [row for row in harvest.counts.to_pylist() if row["quality"] is None]
    both = [
        (row["counter_id"], row["bike_count"], truth[key])
        for row in usable
        if (key := (row["counter_id"], pd.Timestamp(row["counted_at"]))) in truth
    ]
    assert [(each, found) for each, found, _ in both] == [(each, true) for each, _, true in both]
    return len(both), {each for each, _, _ in both}


def test_seattle() -> None:
    names = {
        f"Fremont Bridge {s} Sidewalk": f"fremont-bridge-{s.lower()}" for s in ("East", "West")
    }
    harvest = read("seattle", "seattle.csv")
    number, counters = compared(harvest, prepared("seattle", names.__getitem__))
    assert number > 1400
    assert counters == set(names.values())
    assert harvest.unknown_fields == []


def test_dublin() -> None:
    harvest = read("dublin", "dublin.csv")
    found = {row["counter_id"] for row in harvest.counts.to_pylist()}
    # the prepared hours have names that were cut after 28 characters, remarks included
    names = {"Charleville Mall (Unable to ": "Charleville Mall"}
    names |= {each[:28].rstrip(): each for each in found}
    truth = prepared("dublin", lambda each: names.get(each, names.get(each.rstrip(), each)))
    number, counters = compared(harvest, truth)
    assert number > 6000
    assert len(counters) == 9
    assert harvest.unknown_fields == []


def test_muenster() -> None:
    months = [f"{site}-2024-{month}" for site in (100034978, 300037405) for month in ("03", "10")]
    harvest = read("muenster", *(f"muenster/{month}.csv" for month in months))
    number, counters = compared(harvest, prepared("muenster"))
    assert number > 2800
    assert counters == {"100034978", "300037405"}
    assert harvest.unknown_fields == []
