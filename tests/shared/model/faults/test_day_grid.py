"""Hours lie on the days of the city's clock, also when the clock changes."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from velocast.model.faults.day_grid import day_grid

PARIS = ZoneInfo("Europe/Paris")


def hours_of(first: str, periods: int, **columns: object) -> pd.DataFrame:
    at = pd.date_range(first, periods=periods, freq="h", tz="UTC")
    return pd.DataFrame(
        {"counter_id": "a", "counted_at": at, "bike_count": range(periods), **columns}
    )


def test_lays_hours_on_local_days() -> None:
    grid = day_grid(hours_of("2024-05-31T22:00", 48), PARIS, holidays=[date(2024, 6, 2)])

    assert (grid.first_day, grid.counts.shape) == (date(2024, 6, 1), (1, 2, 24))
    assert grid.counts.ravel().tolist() == list(range(48))
    assert grid.day_types.tolist() == [1, 2]  # a Saturday, and a Sunday


@pytest.mark.parametrize(
    ("first", "hours", "missing"),
    [("2024-03-30T23:00", 23, [2]), ("2024-10-26T22:00", 25, [])],
    ids=["23 hours", "25 hours"],
)
def test_keeps_days_of_23_and_25_hours(first: str, hours: int, missing: list[int]) -> None:
    grid = day_grid(hours_of(first, hours), PARIS)

    assert grid.counts.shape == (1, 1, 24)
    assert np.flatnonzero(~grid.published[0, 0]).tolist() == missing
    assert len(grid.cells) == hours
    if hours == 25:  # the first of the two hours stays
        assert grid.counts[0, 0, 2] == 2


def test_does_not_judge_what_others_have_judged() -> None:
    quality = [None, "refused", "outage", "flagged", "incomplete", "clock_change"]
    accepted = [True, *[False] * 5]

    grid = day_grid(hours_of("2024-06-01T00:00", 6, quality=quality, accepted=accepted), PARIS)

    assert np.flatnonzero(~np.isnan(grid.counts[0, 0])).tolist() == [2, 4]
    assert np.flatnonzero(grid.published[0, 0]).tolist() == list(range(2, 8))
    assert np.flatnonzero(grid.accepted[0, 0]).tolist() == [2]


def test_takes_counters_of_any_type_and_pairs_those_of_a_site() -> None:
    hours = pd.concat([hours_of("2024-06-01T00:00", 2).assign(counter_id=n) for n in (3, 1, 2)])

    grid = day_grid(hours, PARIS, sites={"1": "x", "3": "x", "2": "y"})

    assert grid.counters == ["1", "2", "3"]
    assert grid.pairs.tolist() == [[0, 2]]


def test_needs_an_hour() -> None:
    with pytest.raises(ValueError, match="no hour"):
        day_grid(hours_of("2024-06-01", 0), PARIS)
