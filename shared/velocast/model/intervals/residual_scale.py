"""Residual scale: the usual error of a forecast, learned from its size, the hour and the counter's recent variation.

It is learned from the errors of out-of-sample forecasts. Where these are too few, the usual error depends only on the
size of the forecast (`conformal`).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats
from velocast.model.features.definition import RECENT, SHARES, WEEKS
from velocast.model.features.preprocessing import base_and_level, fill_empty_columns
from velocast.model.parallel import in_parallel

MIN_ROWS = 2_000
SMALLEST_ERROR = 0.5  # bikes per hour: counts are integers, so no forecast is more certain
# Interval width is proportional to this power of the usual error. With 1, quiet and busy hours are covered alike.
POWER = 1.0
# Of models that do not carry theirs. At the same overall coverage it made intervals a sixth narrower on average, by
# covering the quietest tenth of hours 97 % and the busiest 80 % (ADR 20).
EARLIER_POWER = 0.77
SETTINGS = {
    "loss": "gamma",
    "max_iter": 40,
    "learning_rate": 0.1,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 100,
    "early_stopping": False,
}


def fit_residual_scale(frame: pd.DataFrame, expected: Floats, seed: int) -> tuple[Any, Floats]:
    """Learn the residual scale of forecasts from their errors.

    frame: feature frame with bike_count, n rows; expected: (n,), out-of-sample forecasts, bikes per hour. Returns the
    estimator and (n,) the scale of each row, predicted by an estimator that was not trained on the row's week, so that
    the scaled errors are as large as future ones. Returns None and an empty array with fewer than MIN_ROWS rows or with
    a single week.
    """
    if len(frame) < MIN_ROWS:
        return None, np.empty(0)
    x = _inputs(frame, expected)
    error = np.abs(frame["bike_count"].to_numpy(dtype="float64") - expected)
    week = (frame["target_at"] - frame["target_at"].min()).dt.days.to_numpy() // 7 % 2
    if (week == week[0]).all():
        return None, np.empty(0)
    # what each of the three is fitted to: all weeks, or every other one
    learned = [np.full(len(frame), True), week == 1, week == 0]
    whole, *halves = in_parallel(lambda own: _fitted(x[own], error[own], seed), learned)
    unseen = np.empty(len(frame))
    for half, own in zip(halves, learned[1:], strict=True):
        unseen[~own] = _scale(half, x[~own])
    return whole, unseen


def predict_scale(
    estimator: Any, frame: pd.DataFrame, expected: Floats, power: float = POWER
) -> Floats:
    """Return the residual scale of each forecast, (n,), > 0: the unit of its interval."""
    return _scale(estimator, _inputs(frame, expected), power)


def _fitted(x: Floats, error: Floats, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(**SETTINGS, random_state=seed).fit(
        fill_empty_columns(x), np.maximum(error, SMALLEST_ERROR)
    )


def _scale(estimator: Any, x: Floats, power: float = POWER) -> Floats:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="openmp"):
        usual = estimator.predict(x)
    return np.asarray(np.maximum(usual, SMALLEST_ERROR) ** power, dtype="float64")


def _inputs(frame: pd.DataFrame, expected: Floats) -> Floats:
    """Return forecast size, hour, lead day and the counter's recent variation, (n, 15), NaN where unknown."""
    base, level = base_and_level(frame)
    days = frame[list(RECENT)].to_numpy(dtype="float64", na_value=np.nan)
    weeks = frame[list(WEEKS)].to_numpy(dtype="float64", na_value=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # hours without any known value
        scatter = [
            np.nanstd(days, axis=1),
            np.nanstd(weeks, axis=1),
            np.nanmean(np.abs(days - expected[:, None]), axis=1),
            np.nanmean(np.abs(weeks - expected[:, None]), axis=1),
        ]
    known = frame[["local_hour", "weekday", "is_rest", "lead_day", *SHARES]]
    return np.column_stack(
        [
            np.log1p(expected),
            np.log(level),
            expected / level,
            base / level,
            known.to_numpy(dtype="float64", na_value=np.nan),
            *(values / level for values in scatter),
        ]
    )
