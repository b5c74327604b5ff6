"""Intervals kept up to date: widened or narrowed by how often the last weeks' forecasts missed them.

A model's errors are learned when it is trained and then get old: a strike, a summer, new cycle lanes. What the same
model, intervals and all, would have said of the days since is compared with what was counted.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats
from velocast.model.intervals.conformal import MIN_ERRORS, NOMINAL, Calibration, interval_bounds

DAYS = 14  # days before the origin that enter
MIN_DAYS = 3
PRIOR_DAYS = 7.0  # days that the errors learned in training weigh
NARROWEST, WIDEST = 0.7, 1.6


def adapt_scale(
    frame: pd.DataFrame,
    expected: Floats,
    scale: Floats,
    calibration: Calibration,
    learned_until: datetime,
) -> Floats:
    """Return the scale of each forecast, (n,), as the days before its origin suggest.

    frame: n rows with origin_at, lead_day and, for days gone by, bike_count; expected, scale: (n,), its forecasts and
    what their intervals are measured in. Of each earlier origin its own day's rows (lead day 0) enter, which end where
    the next origin begins: nothing at or after an origin moves it. Only origins at or after `learned_until` enter: the
    model knows the counts before it.
    """
    if "bike_count" not in frame.columns:
        return scale
    missed = _missed(frame, expected, scale, calibration, learned_until)
    origins = frame["origin_at"]
    factors = {origin: _factor(missed, origin) for origin in origins.unique()}
    return np.asarray(scale * origins.map(factors).to_numpy(dtype="float64"), dtype="float64")


def _missed(
    frame: pd.DataFrame,
    expected: Floats,
    scale: Floats,
    calibration: Calibration,
    learned_until: datetime,
) -> pd.DataFrame:
    """Return origin_at and share: how far each count lay from its forecast, 1 at the end of its interval."""
    rows = (
        (frame["lead_day"] == 0)
        & frame["bike_count"].notna()
        & (frame["origin_at"] >= learned_until)
    ).to_numpy()
    error = frame["bike_count"].to_numpy(dtype="float64")[rows] - expected[rows]
    low, high = (end[rows] for end in interval_bounds(frame, calibration))
    reach = np.where(error < 0, -low, high) * scale[rows]
    share = np.divide(np.abs(error), reach, out=np.zeros_like(reach), where=reach > 0)
    return pd.DataFrame({"origin_at": frame["origin_at"].to_numpy()[rows], "share": share})


def _factor(missed: pd.DataFrame, origin: pd.Timestamp) -> float:
    before = (missed["origin_at"] < origin) & (
        # local days are 23 to 25 hours long
        missed["origin_at"] > origin - pd.Timedelta(days=DAYS, hours=12)
    )
    share = missed.loc[before, "share"]
    days = missed.loc[before, "origin_at"].nunique()
    if days < MIN_DAYS or len(share) < MIN_ERRORS:
        return 1.0
    needed = float(share.quantile(NOMINAL))
    return float(np.clip(needed ** (days / (days + PRIOR_DAYS)), NARROWEST, WIDEST))
