"""Forecasts corrected by the total error of the last days' forecasts."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from tests.shared.model.feature_rows import feature_rows
from velocast.model.learning import level_correction
from velocast.model.learning.level_correction import correct_level

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
