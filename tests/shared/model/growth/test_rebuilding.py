"""Estimates of hours that were taken out of a city whose counts are known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.counts.simulated_growth import simulated_city
from velocast.model.growth.change import CityDays
from velocast.model.growth.rebuilding import rebuild_from_usual_days


@pytest.fixture(scope="module")
def city() -> CityDays:
    return simulated_city(4, trend=0.1, counters=8, days=200).days


@pytest.mark.parametrize("days", [1, 9, 40])
def test_days_taken_out_are_closer_than_the_same_days_of_the_week_before(
    city: CityDays, days: int
) -> None:
    start, counter = 100, 2
    hidden = city.counts.copy()
    hidden[counter, start : start + days] = np.nan

    found = rebuild_from_usual_days(hidden, city.day_types)

    right = city.counts[counter, start : start + days]
    known = ~np.isnan(right)
    ours = found.counts[counter, start : start + days]
    week = city.counts[counter, start - 7 : start - 7 + days]
    assert np.abs(ours - right)[known].sum() < 0.7 * np.nansum(np.abs(week - right)[known])
    assert np.nansum(ours[known]) == pytest.approx(right[known].sum(), rel=0.12)
    assert found.estimated[counter, start : start + days].all()


def test_what_was_counted_stays(city: CityDays) -> None:
    found = rebuild_from_usual_days(city.counts, city.day_types)

    there = ~np.isnan(city.counts)
    np.testing.assert_array_equal(found.counts[there], city.counts[there])
    np.testing.assert_array_equal(found.estimated, ~there)
    assert np.isfinite(found.counts).all()
    assert (found.counts >= 0).all()


def test_a_missing_hour_moves_with_the_day_of_the_city() -> None:
    counts = np.full((3, 28, 24), 10.0)
    counts[:, 20] = 5.0  # snow
    counts[1, 20, 12] = np.nan
    counts[2, :14] = np.nan

    found = rebuild_from_usual_days(counts, np.zeros(28, np.int8))

    assert found.counts[1, 20, 12] == pytest.approx(5.0, rel=0.02)
    assert found.counts[2, 3, 7] == pytest.approx(10.0, rel=0.02)
