"""Growth of simulated cities in which it is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from benchmarks.counts.simulated_growth import SimulatedCity, simulated_city
from velocast.core.unknown import Unknown
from velocast.core.weather_variables import VALUES
from velocast.model.growth.change import CityDays, Comparison, Growth
from velocast.model.growth.periods import Periods, compared_periods


def compared(city: CityDays) -> Comparison:
    periods = compared_periods(city.first, city.first + timedelta(days=city.counts.shape[1]))
    assert isinstance(periods, Periods)
    return Comparison(city, periods)


def growth(city: CityDays) -> Growth:
    found = compared(city).whole_city()
    assert isinstance(found, Growth)
    return found


@pytest.fixture(scope="module")
def made() -> SimulatedCity:
    return simulated_city(11, trend=0.12, counters=8)


@pytest.fixture(scope="module")
def found(made: SimulatedCity) -> Growth:
    return growth(made.days)


def test_finds_the_known_growth(made: SimulatedCity, found: Growth) -> None:
    assert found.adjusted.low < made.growth < found.adjusted.high
    assert found.adjusted.change == pytest.approx(made.growth, abs=0.03)
    assert found.claimed
    assert 0.01 < found.estimated < 0.12


def test_the_raw_change_is_that_of_the_sums(made: SimulatedCity, found: Growth) -> None:
    kept = made.days.counts  # every counter has both years
    assert found.counters == len(kept)
    raw = np.nansum(kept[:, 364:]) / np.nansum(kept[:, :364]) - 1
    assert found.raw.change == pytest.approx(raw)
    assert found.gaps == pytest.approx(found.raw.change - found.rebuilt.change)


def test_a_wet_year_is_no_fall() -> None:
    """The newer year has rain at noon on a third of its days, and then half the bikes."""
    made = simulated_city(12, trend=0.0, counters=8)
    rng = np.random.default_rng(1)
    wet = np.flatnonzero(rng.random(364) < 0.33) + 364
    counts = made.days.counts.copy()
    assert made.days.weather is not None
    weather = made.days.weather.copy()
    counts[:, wet] = np.floor(counts[:, wet] * 0.5)
    weather[wet, 6:22, VALUES.index("precipitation_mm")] = 4.0

    told = growth(replace(made.days, counts=counts, weather=weather))
    untold = growth(replace(made.days, counts=counts, weather=None))

    assert told.rebuilt.change < -0.08
    assert told.weather is not None
    assert told.weather < -0.08
    assert told.adjusted.change == pytest.approx(0, abs=0.035)
    assert not told.claimed
    assert untold.weather is None
    assert untold.adjusted.change < -0.08


def test_months_without_a_counter_are_no_fall(made: SimulatedCity) -> None:
    counts = made.days.counts.copy()
    largest = int(np.nansum(counts, axis=(1, 2)).argmax())
    counts[largest, 500:600] = np.nan

    found = growth(replace(made.days, counts=counts))

    assert found.gaps < -0.02
    assert found.adjusted.change == pytest.approx(made.growth, abs=0.04)


def test_counters_without_both_years_are_named_and_left_out(made: SimulatedCity) -> None:
    counts = made.days.counts.copy()
    counts[0, :250] = np.nan
    counts[1] = np.where(np.isnan(counts[1]), np.nan, 0)
    comparison = compared(replace(made.days, counts=counts))

    late, quiet, city = (
        comparison.counter("c00"),
        comparison.counter("c01"),
        comparison.whole_city(),
    )

    assert isinstance(late, Unknown)
    assert "of the days of the older period" in late.reason
    assert quiet == Unknown(reason="fewer than 5 bikes a day")
    assert isinstance(city, Growth)
    assert city.counters == len(counts) - 2


def test_nothing_is_said_of_a_city_without_counters_to_compare(made: SimulatedCity) -> None:
    counts = np.full_like(made.days.counts, np.nan)
    counts[:, 400:] = 50.0

    assert isinstance(compared(replace(made.days, counts=counts)).whole_city(), Unknown)


def test_another_way_to_rebuild_can_be_given(made: SimulatedCity) -> None:
    from velocast.model.growth.rebuilding import Rebuilt

    periods = compared_periods(made.days.first, date(2024, 3, 4))
    assert isinstance(periods, Periods)
    comparison = Comparison(
        made.days,
        periods,
        rebuild=lambda counts, _: Rebuilt(np.nan_to_num(counts), np.isnan(counts)),
    )

    found = comparison.whole_city()

    assert isinstance(found, Growth)
    assert found.estimated == 0  # zeros in place of all gaps
    assert found.rebuilt.change == pytest.approx(found.raw.change)
