"""Adaptive intervals: widened or narrowed according to the forecast errors of the last two weeks.

The errors learned in training become outdated: a strike, the summer, new cycle lanes. The intervals that the same model
would have given on the days since are compared with the counts.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats
from velocast.model.intervals.conformal import MIN_ERRORS, NOMINAL, Calibration, interval_bounds

DAYS = 14  # days before the origin that are used
MIN_DAYS = 3
PRIOR_DAYS = 7.0  # weight, in days, of the errors learned in training
NARROWEST, WIDEST = 0.7, 1.6


def adapt_scale(
    frame: pd.DataFrame,
    expected: Floats,
    scale: Floats,
    calibration: Calibration,
    learned_until: datetime,
) -> Floats:
    """Return the residual scale of each forecast, (n,), adapted to the days before its origin.

    frame: n rows with origin_at, lead_day and, for past days, bike_count; expected, scale: (n,), the forecasts and
    their residual scale. Of earlier origins only lead day 0 is used, which ends where the next origin begins, so no
    count at or after an origin affects it. Only origins at or after `learned_until` are used, because the model was
    trained on the counts before.
    """
    if "bike_count" not in frame.columns:
        return scale
    missed = _missed(frame, expected, scale, calibration, learned_until)
    at, origins = pd.factorize(frame["origin_at"])
    factors = np.array([_factor(missed, origin) for origin in origins], dtype="float64")
    return np.asarray(scale * factors[at], dtype="float64")


def _missed(
    frame: pd.DataFrame,
    expected: Floats,
    scale: Floats,
    calibration: Calibration,
    learned_until: datetime,
) -> pd.DataFrame:
    """Return origin_at and share: the error of each forecast, relative to the distance to its interval's end."""
    rows = (
        (frame["lead_day"] == 0)
        & frame["bike_count"].notna()
        & (frame["origin_at"] >= learned_until)
    ).to_numpy()
    error = frame["bike_count"].to_numpy(dtype="float64")[rows] - expected[rows]
    low, high = (end[rows] for end in interval_bounds(frame, calibration))
    reach = np.where(error < 0, -low, high) * scale[rows]
    share = np.divide(np.abs(error), reach, out=np.zeros_like(reach), where=reach > 0)
    # not as a numpy array, which would hold a Timestamp object for each row
    return pd.DataFrame({"origin_at": frame["origin_at"].array[rows], "share": share})


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
