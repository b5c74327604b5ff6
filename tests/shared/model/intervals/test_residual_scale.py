"""The learned scale of forecast errors."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from tests.shared.model.feature_rows import feature_rows, without_history
from velocast.model.intervals import conformal, residual_scale


def noisy(seed: int, origins: int = 28) -> pd.DataFrame:
    """Return counts that vary three times as much in the afternoon as in the morning, whatever their size."""
    frame = feature_rows(date(2021, 5, 3), origins=origins, counters=2, seed=seed)
    random = np.random.default_rng(seed)
    wide = np.where(frame["local_hour"] >= 12, 15.0, 5.0)
    frame["bike_count"] = 100 + random.normal(0, wide)
    return frame[frame["lead_hours"] < 72].reset_index(drop=True)


def test_the_scale_depends_on_the_hour() -> None:
    seen, later = noisy(1), noisy(2)
    estimator, unseen = residual_scale.fit_residual_scale(seen, np.full(len(seen), 100.0), seed=1)
    scale = pd.Series(residual_scale.predict_scale(estimator, later, np.full(len(later), 100.0)))
    by_half = scale.groupby(later["local_hour"] >= 12).mean()
    assert by_half[True] / by_half[False] == pytest.approx(3**residual_scale.POWER, rel=0.1)
    assert len(unseen) == len(seen)
    # if its own error were used, the scale of a row would follow it
    error = np.abs(seen["bike_count"] - 100) ** residual_scale.POWER
    morning = (seen["local_hour"] < 12).to_numpy()
    assert abs(np.corrcoef(unseen[morning], error[morning])[0, 1]) < 0.1


def test_scaled_intervals_cover_nine_tenths_in_both_halves_of_the_day() -> None:
    seen, later = noisy(3), noisy(4)
    expected = np.full(len(seen), 100.0)
    estimator, unseen = residual_scale.fit_residual_scale(seen, expected, seed=1)
    learned = conformal.calibrate(seen.assign(predicted_count=expected), unseen)
    assert learned.knots == ()
    scale = residual_scale.predict_scale(estimator, later, expected)
    found = conformal.add_intervals(later, expected, learned, scale)
    inside = later["bike_count"].between(found["lower"], found["upper"])
    assert inside.mean() == pytest.approx(0.9, abs=0.02)
    by_half = inside.groupby(later["local_hour"] >= 12).mean()
    assert by_half.between(0.84, 0.96).all()
    by_size = conformal.add_intervals(
        later, expected, conformal.calibrate(seen.assign(predicted_count=expected))
    )
    assert (found["upper"] - found["lower"]).mean() < (by_size["upper"] - by_size["lower"]).mean()


def test_a_counter_without_history_has_a_scale_too() -> None:
    seen = noisy(5)
    estimator, _ = residual_scale.fit_residual_scale(seen, np.full(len(seen), 100.0), seed=1)
    bare = without_history(seen, "c1")
    scale = residual_scale.predict_scale(estimator, bare, np.full(len(bare), 100.0))
    assert np.isfinite(scale).all()
    assert (scale > 0).all()


@pytest.mark.parametrize("rows", [0, residual_scale.MIN_ROWS - 1])
def test_nothing_is_learned_from_few_errors(rows: int) -> None:
    frame = noisy(6).head(rows)
    estimator, unseen = residual_scale.fit_residual_scale(frame, np.full(len(frame), 100.0), seed=1)
    assert estimator is None
    assert len(unseen) == 0


def test_nothing_is_learned_from_a_single_week() -> None:
    frame = noisy(7, origins=200)
    week = frame[(frame["target_at"] - frame["target_at"].min()).dt.days < 7]
    many = pd.concat([week] * 6, ignore_index=True)
    assert len(many) >= residual_scale.MIN_ROWS
    assert residual_scale.fit_residual_scale(many, np.full(len(many), 100.0), seed=1)[0] is None
