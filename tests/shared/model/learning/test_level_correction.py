"""Forecasts corrected by the total error of the last days' forecasts."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from tests.shared.model.feature_rows import feature_rows
from velocast.model.learning import level_correction
from velocast.model.learning.level_correction import (
    LEAST_MEMORY_DAYS,
    MEMORY,
    MEMORY_DAYS,
    DailyRatios,
    correct_level,
)

ROWS = feature_rows(date(2021, 3, 25), origins=6)  # over the clock change of 28 March
EXPECTED = ROWS["similar_day_mean"].to_numpy() + 1.0


def factors(frame: pd.DataFrame, expected: np.ndarray) -> list[float]:
    """Return the factor of each origin, in order."""
    moved = pd.Series(correct_level(frame, expected) / expected, index=frame.index)
    spread = moved.groupby(frame["origin_at"]).agg(["min", "max"])
    assert (spread["max"] - spread["min"]).max() < 1e-12
    return [float(value) for value in spread["min"]]


def test_counts_as_expected_change_nothing() -> None:
    assert factors(ROWS.assign(bike_count=EXPECTED), EXPECTED) == pytest.approx([1.0] * 6)


def test_a_day_above_its_forecasts_lifts_the_next_ones() -> None:
    third = ROWS["origin_at"] == ROWS["origin_at"].unique()[2]
    counted = np.where(third, 2 * EXPECTED, EXPECTED)
    found = factors(ROWS.assign(bike_count=counted), EXPECTED)
    assert found[:3] == pytest.approx([1.0, 1.0, 1.0])
    of_three = (4 / 3) ** level_correction.LAST_DAYS
    assert found[3] == pytest.approx(2**level_correction.YESTERDAY * of_three, rel=0.02)
    assert found[4] == pytest.approx(of_three, rel=0.02)
    assert found[5] == pytest.approx(of_three, rel=0.02)


def test_counts_at_or_after_an_origin_do_not_change_its_forecasts() -> None:
    origins = ROWS["origin_at"].unique()
    before = correct_level(ROWS, EXPECTED)
    for origin in origins:
        nonsense = ROWS.assign(
            bike_count=ROWS["bike_count"].where(ROWS["target_at"] < origin, 4999.0)
        )
        rows = (ROWS["origin_at"] == origin).to_numpy()
        np.testing.assert_array_equal(correct_level(nonsense, EXPECTED)[rows], before[rows])


def test_the_factor_is_bounded() -> None:
    counted = ROWS.assign(bike_count=EXPECTED * 1000)
    sunk = ROWS.assign(bike_count=0.001 * EXPECTED)
    assert max(factors(counted, EXPECTED)) == pytest.approx(level_correction.LARGEST)
    assert min(factors(sunk, EXPECTED)) == pytest.approx(level_correction.SMALLEST)


def test_two_counters_are_not_the_city() -> None:
    doubled = ROWS.assign(bike_count=2 * EXPECTED)
    two = (doubled["counter_id"] != "c2").to_numpy()
    assert max(factors(doubled, EXPECTED)) > 1.2
    assert factors(doubled[two], EXPECTED[two]) == pytest.approx([1.0] * 6)


def test_a_few_hours_of_a_day_are_not_enough() -> None:
    counted = ROWS["bike_count"].where(ROWS.index % 24 == 0) * 5  # 3 counters, an hour a day
    assert factors(ROWS.assign(bike_count=counted), EXPECTED) == [1.0] * 6


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(ROWS.drop(columns="bike_count"), id="no counts"),
        pytest.param(ROWS.assign(bike_count=np.nan), id="none counted"),
        pytest.param(ROWS.assign(bike_count=0.0), id="only zeros"),
        pytest.param(ROWS.head(0), id="no rows"),
    ],
)
def test_without_past_days_forecasts_stay_as_they_are(frame: pd.DataFrame) -> None:
    expected = EXPECTED[: len(frame)]
    np.testing.assert_array_equal(correct_level(frame, expected), expected)


NOTHING = DailyRatios(np.empty(0, dtype=np.int64), np.empty(0))
LONG_AGO = datetime.fromisoformat("2020-01-01T00:00:00+00:00")
WEEKS = feature_rows(date(2021, 4, 1), origins=MEMORY_DAYS + 6)
MADE = WEEKS["similar_day_mean"].to_numpy() + 1.0


def lasting(
    counted: np.ndarray, known: DailyRatios = NOTHING, learned_until: datetime | None = LONG_AGO
) -> np.ndarray:
    """Return the factor of each origin that comes from what lasts."""
    frame = WEEKS.assign(bike_count=counted)
    both = correct_level(frame, MADE, known, learned_until) / correct_level(frame, MADE)
    return np.asarray(pd.Series(both).groupby(WEEKS["origin_at"].to_numpy()).first())


def test_what_lasts_is_corrected_by_the_median_day_of_two_weeks() -> None:
    assert lasting(MADE) == pytest.approx(1.0)
    found = lasting(1.1 * MADE)
    assert found[:LEAST_MEMORY_DAYS] == pytest.approx(1.0)
    few = LEAST_MEMORY_DAYS / MEMORY_DAYS
    assert found[LEAST_MEMORY_DAYS] == pytest.approx(1.1 ** (MEMORY * few))
    assert found[MEMORY_DAYS:] == pytest.approx(1.1**MEMORY)
    # a day of rain and one of a race leave the median where it is
    odd = WEEKS["local_date"].isin(WEEKS["local_date"].unique()[[8, 10]])
    assert lasting(np.where(odd, 0.2 * MADE, 1.1 * MADE))[-1] == pytest.approx(1.1**MEMORY)
    # two weeks of snow are no season
    assert lasting(0.7 * MADE)[-1] == pytest.approx(0.8**MEMORY)


def test_no_count_from_an_origin_on_is_remembered() -> None:
    counted = 1.1 * MADE
    before = lasting(counted)
    origin = WEEKS["origin_at"].unique()[9]
    later = (WEEKS["target_at"] >= origin).to_numpy()
    after = lasting(np.where(later, 3 * counted, counted))
    np.testing.assert_allclose(after[:10], before[:10], rtol=1e-12)
    assert not np.allclose(after[10:], before[10:])


def test_held_out_days_are_remembered_and_learned_ones_are_not() -> None:
    held_out = WEEKS[WEEKS["lead_day"] == 0].assign(bike_count=1.2)
    known = DailyRatios.of(held_out, np.ones(len(held_out)))
    assert known.logs == pytest.approx(np.log(1.2))
    end = WEEKS["target_at"].max() + timedelta(days=1)
    assert lasting(1.1 * MADE, NOTHING, end) == pytest.approx(1.0)
    assert lasting(MADE, known, None)[-1] == pytest.approx(1.2**MEMORY)
    assert lasting(MADE, known, None)[0] == pytest.approx(1.0)
    # days since the training are added to those that were held out, which stay as they were forecast then
    assert lasting(1.1 * MADE, known, LONG_AGO)[-1] == pytest.approx(1.2**MEMORY)


def test_a_day_with_few_rows_or_no_bikes_has_no_ratio() -> None:
    day = WEEKS[WEEKS["target_at"] < WEEKS["target_at"].min() + timedelta(days=1)].head(24)
    assert len(DailyRatios.of(day, np.ones(24)).days) == 1
    assert len(DailyRatios.of(day.head(23), np.ones(23)).days) == 0
    assert len(DailyRatios.of(day.assign(bike_count=0.0), np.ones(24)).days) == 0
    assert len(DailyRatios.of(day, np.zeros(24)).days) == 0


def test_what_lasts_is_corrected_for_one_counter_too() -> None:
    alone = WEEKS[WEEKS["counter_id"] == "c0"]
    made = alone["similar_day_mean"].to_numpy() + 1.0
    found = correct_level(alone.assign(bike_count=1.1 * made), made, NOTHING, LONG_AGO) / made
    assert found[(alone["origin_at"] == alone["origin_at"].max()).to_numpy()] == pytest.approx(
        1.1**MEMORY
    )
