"""Intervals widened and narrowed according to the forecast errors of the last days."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from tests.shared.model.feature_rows import feature_rows
from velocast.model.intervals import adaptive
from velocast.model.intervals.conformal import GRID, Calibration, LeadErrors

FRAME = feature_rows(date(2021, 3, 12), origins=20)  # over the clock change of 28 March
EXPECTED = np.full(len(FRAME), 100.0)
SCALE = np.full(len(FRAME), 10.0)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ERRORS = LeadErrors(low=-1.0, high=2.0, quantiles=tuple(np.linspace(-1.5, 2.5, len(GRID))))
LEARNED = Calibration(rows=1000, knots=(), pooled=ERRORS, lead_days={})


def factors(frame: pd.DataFrame, learned_until: datetime = LONG_AGO) -> list[float]:
    """Return the factor of each origin, in order."""
    found = pd.Series(
        adaptive.adapt_scale(frame, EXPECTED, SCALE, LEARNED, learned_until) / SCALE,
        index=frame.index,
    )
    assert (found.groupby(frame["origin_at"]).nunique() == 1).all()
    return [float(value) for value in found.groupby(frame["origin_at"]).first()]


def off(bikes: float) -> pd.DataFrame:
    """Return counts that all differ from their forecasts by this number of bikes."""
    return FRAME.assign(bike_count=EXPECTED + bikes)


@pytest.mark.parametrize(("bikes", "needed"), [(-15.0, 1.5), (30.0, 1.5), (-8.0, 0.8), (16.0, 0.8)])
def test_the_scale_follows_the_errors_of_the_last_days(bikes: float, needed: float) -> None:
    found = factors(off(bikes))
    assert found[: adaptive.MIN_DAYS] == [1.0] * adaptive.MIN_DAYS
    for days, factor in enumerate(found[adaptive.MIN_DAYS :], start=adaptive.MIN_DAYS):
        entered = min(days, adaptive.DAYS)
        assert factor == pytest.approx(needed ** (entered / (entered + adaptive.PRIOR_DAYS)))


def test_errors_as_expected_change_nothing() -> None:
    """A tenth of the counts is at or beyond the ends of the intervals."""
    share = np.linspace(0.1, 1.1, 24)[FRAME["local_hour"]]
    found = factors(FRAME.assign(bike_count=EXPECTED + 20.0 * share))
    assert found == pytest.approx([1.0] * len(found), abs=0.05)


def test_counts_at_or_after_an_origin_do_not_change_its_intervals() -> None:
    before = adaptive.adapt_scale(FRAME, EXPECTED, SCALE, LEARNED, LONG_AGO)
    for origin in FRAME["origin_at"].unique():
        nonsense = FRAME.assign(
            bike_count=FRAME["bike_count"].where(FRAME["target_at"] < origin, 4999.0)
        )
        rows = (FRAME["origin_at"] == origin).to_numpy()
        after = adaptive.adapt_scale(nonsense, EXPECTED, SCALE, LEARNED, LONG_AGO)
        np.testing.assert_array_equal(after[rows], before[rows])


def test_days_that_the_model_was_trained_on_are_not_used() -> None:
    origins = FRAME["origin_at"].drop_duplicates().tolist()
    found = factors(off(-15.0), learned_until=origins[10].to_pydatetime())
    assert found[: 10 + adaptive.MIN_DAYS] == [1.0] * (10 + adaptive.MIN_DAYS)
    assert min(found[10 + adaptive.MIN_DAYS :]) > 1.1


def test_the_factor_is_bounded() -> None:
    assert max(factors(off(-5000.0))) == adaptive.WIDEST
    assert min(factors(off(0.0))) == adaptive.NARROWEST


def test_a_few_hours_are_not_enough() -> None:
    sparse = off(-15.0)
    sparse.loc[sparse["local_hour"] > 1, "bike_count"] = np.nan
    assert factors(sparse) == [1.0] * 20


def test_without_counts_the_scale_is_unchanged() -> None:
    assert factors(FRAME.drop(columns="bike_count")) == [1.0] * 20
