"""Reference models: the mean of similar days and two naive forecasts. A model has to beat them; they need no fit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats
from velocast.model.features.preprocessing import similar_days_mean
from velocast.model.intervals import conformal
from velocast.model.intervals.conformal import Calibration

WEEK_BEFORE = "value_168h_before"
FOUR_WEEKS = "same_hour_4w_mean"
SIMILAR_DAYS = "similar_days"


def forecast_similar_days(frame: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """Forecast with the mean of similar days, or the best substitute that the history offers.

    frame: (n, any) from `usecases.feature_store.read_features`. Returns (n, 7) with the frame's index: the columns of
    `conformal.add_intervals`. Only busy_probability can be NaN: where a counter has no threshold.
    """
    return conformal.add_intervals(frame, similar_days_mean(frame), calibration)


def calibrate_similar_days(frame: pd.DataFrame) -> Calibration:
    """Learn the errors of this forecast from recent origins whose hours have been counted since.

    frame: as for `forecast_similar_days`, with bike_count. Nothing is fitted, so any past origins can be used.
    """
    return conformal.calibrate(frame.assign(predicted_count=similar_days_mean(frame)))


def naive_forecasts(frame: pd.DataFrame) -> dict[str, Floats]:
    """Return the naive forecasts of a feature frame by name, each (n,), bikes per hour.

    Where the repeated hour was not counted, they use the mean of similar days, so that all are scored on the same rows.
    """
    similar = similar_days_mean(frame)
    return {
        WEEK_BEFORE: _or(frame["lag_168h"], similar),
        FOUR_WEEKS: _or(frame["same_hour_4w_mean"], similar),
        SIMILAR_DAYS: similar,
    }


def _or(values: pd.Series[float], fallback: Floats) -> Floats:
    known = values.to_numpy(dtype="float64", na_value=np.nan)
    return np.where(np.isnan(known), fallback, known)
