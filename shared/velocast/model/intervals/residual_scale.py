"""How far each forecast usually misses, learned: by its size, the hour and how much the counter scattered lately.

The errors that teach it are of forecasts made without knowing their counts. Where there are too few of them the size of
the forecast alone tells (`intervals`).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats
from velocast.model.features.definition import RECENT, SHARES, WEEKS
from velocast.model.features.preprocessing import base_and_level, fill_empty_columns

MIN_ROWS = 2_000
SMALLEST_ERROR = 0.5  # bikes per hour: counts are whole, so no forecast of one is surer
# Intervals grow with this power of the usual error. With 1 every hour would be covered alike; with less quiet hours are
# covered more often than rush hours, and at the same coverage overall intervals are a sixth narrower on average (Paris,
# 12 weeks: 73 bikes with 1, 61 with this; the interval score, which weighs both, is 3 % worse).
POWER = 0.77
SETTINGS = {
    "loss": "gamma",
    "max_iter": 40,
    "learning_rate": 0.1,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 100,
    "early_stopping": False,
}


def fit_residual_scale(frame: pd.DataFrame, expected: Floats, seed: int) -> tuple[Any, Floats]:
    """Learn the usual error of forecasts from their errors.

    frame: feature frame with bike_count, n rows; expected: (n,), forecasts that knew none of these counts, bikes per
    hour. Returns the estimator, None with fewer than MIN_ROWS rows, and (n,) the scale of each row by an estimator that
    did not see its week: errors in units of it are as large as those to come.
    """
    if len(frame) < MIN_ROWS:
        return None, np.empty(0)
    x = _inputs(frame, expected)
    error = np.abs(frame["bike_count"].to_numpy(dtype="float64") - expected)
    week = (frame["target_at"] - frame["target_at"].min()).dt.days.to_numpy() // 7 % 2
    if (week == week[0]).all():
        return None, np.empty(0)
    unseen = np.empty(len(frame))
    for part in (0, 1):
        unseen[week == part] = _scale(
            _fitted(x[week != part], error[week != part], seed), x[week == part]
        )
    return _fitted(x, error, seed), unseen


def predict_scale(estimator: Any, frame: pd.DataFrame, expected: Floats) -> Floats:
    """Return what each forecast's interval is measured in, (n,), > 0."""
    return _scale(estimator, _inputs(frame, expected))


def _fitted(x: Floats, error: Floats, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="openmp"):  # see learners: its threads would spin
        return HistGradientBoostingRegressor(**SETTINGS, random_state=seed).fit(
            fill_empty_columns(x), np.maximum(error, SMALLEST_ERROR)
        )


def _scale(estimator: Any, x: Floats) -> Floats:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="openmp"):
        usual = estimator.predict(x)
    return np.asarray(np.maximum(usual, SMALLEST_ERROR) ** POWER, dtype="float64")


def _inputs(frame: pd.DataFrame, expected: Floats) -> Floats:
    """Size of the forecast, hour, lead, how much the counter scattered and moved lately, (n, 15); NaN where unknown."""
    base, level = base_and_level(frame)
    days = frame[list(RECENT)].to_numpy(dtype="float64", na_value=np.nan)
    weeks = frame[list(WEEKS)].to_numpy(dtype="float64", na_value=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # hours of which nothing is known
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
