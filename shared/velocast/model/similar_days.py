"""The forecast that needs no model: the mean of similar days, and what stands in for it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from velocast.model import intervals
from velocast.model.intervals import Calibration, Floats

KIND = "similar_days"


def forecast(frame: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """Forecast with the mean of similar days, or the next best that the history gives.

    frame: (n, any) of `usecases.feature_frames.read`. Returns (n, 4) with its index: predicted_count, lower, upper,
    busy_probability; never NaN but for busy_probability where a counter has no threshold.
    """
    return intervals.apply(frame, expected(frame), calibration)


def calibrate(frame: pd.DataFrame) -> Calibration:
    """Learn how far this forecast misses, from recent origins whose hours were counted meanwhile.

    frame: as `forecast`, with bike_count; nothing is fitted, so any past origins do.
    """
    return intervals.calibrate(frame.assign(predicted_count=expected(frame)))


def expected(frame: pd.DataFrame) -> Floats:
    """Return the count to expect of each hour, (n,), bikes per hour, never NaN.

    The mean of similar days (which the query fills with the hour's mean and the counter's level); for a counter without
    history the mean of the others of the frame at the same origin, of the same day type and hour, else hour, else any;
    where nobody had counted by then, 0.
    """
    own = frame["similar_day_mean"].astype("float64")
    if not own.isna().any():
        return np.asarray(own, dtype="float64")
    for keys in (
        ["origin_at", "day_type", "local_hour"],
        ["origin_at", "local_hour"],
        ["origin_at"],  # never of another origin: a later one knows what was counted since
    ):
        others = own.groupby([frame[key] for key in keys]).transform("mean")
        own = own.fillna(others)
    return np.asarray(own.fillna(0.0), dtype="float64")
