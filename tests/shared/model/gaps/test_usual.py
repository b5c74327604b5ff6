"""Usual hours, beside weighted means of pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd

from velocast.model.gaps.limits import GapLimits
from velocast.model.gaps.usual import day_weights, usual_hours

LIMITS = GapLimits(decay_days=10.0, alike=0.4, other=0.1)
DAYS = 28
WEEKDAYS = np.arange(DAYS) % 7
TYPES = np.array([0, 0, 0, 0, 0, 1, 2], dtype=np.int8)[WEEKDAYS]


def test_days_before_and_after_weigh_the_same_and_a_day_is_no_witness_of_itself() -> None:
    weights = day_weights(WEEKDAYS, TYPES, LIMITS)
    np.testing.assert_array_equal(weights, weights.T)
    assert (np.diag(weights) == 0).all()
    assert weights[14, 7] == weights[14, 21] == np.exp(-0.7)
    assert weights[14, 15] == 0.4 * np.exp(-0.1)  # a Tuesday of a Monday
    assert weights[14, 12] == 0.1 * np.exp(-0.2)  # a Saturday


def test_a_holiday_is_like_a_sunday() -> None:
    types = TYPES.copy()
    types[14] = 2
    weights = day_weights(WEEKDAYS, types, LIMITS)
    assert weights[14, 13] == np.exp(-0.1)
    assert weights[14, 7] == 0.1 * np.exp(-0.7)


def test_the_usual_hour_is_the_weighted_mean_of_the_days_that_were_seen() -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(40, (1, DAYS, 24)).astype(float)
    seen = rng.random(counts.shape) < 0.8
    factor = np.exp(rng.normal(0, 0.3, counts.shape))
    weights = day_weights(WEEKDAYS, TYPES, LIMITS)
    usual, number = usual_hours(counts * seen, seen, weights, factor)
    days = pd.DataFrame(
        {"bikes": counts[0, :, 8], "factor": factor[0, :, 8], "weight": weights[14]}
    )
    days = days[seen[0, :, 8]]
    means = days[["bikes", "factor"]].mul(days["weight"], axis=0).sum()
    np.testing.assert_allclose(usual[0, 14, 8], means["bikes"] / means["factor"], rtol=0.005)
    np.testing.assert_allclose(number[0, 14, 8], days["weight"].sum())
