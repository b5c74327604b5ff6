"""How high a day stands as a whole: forecasts moved by what the last days' forecasts missed in sum.

Half of a good model's squared error is the level of the day, the same for all counters: a warm spell, a strike, the end
of a curfew. What yesterday's forecasts missed in sum tells of today.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from velocast.model.arrays import Floats

Integers = NDArray[np.int64]
DAYS = 3  # days before the origin that enter
YESTERDAY, LAST_DAYS = 0.2, 0.2  # powers of the ratios; found on Paris, where 0.1 to 0.4 did alike
SMALLEST, LARGEST = 0.7, 1.4
MIN_ROWS = 24  # counted hours of a day; fewer tell more of themselves than of the city


def correct_level(frame: pd.DataFrame, expected: Floats) -> Floats:
    """Return forecasts, (n,), moved by the ratio of counts to forecasts of the DAYS before their origin.

    frame: (n, any) with origin_at, lead_day and, for days gone by, bike_count; expected: (n,), its forecasts in bikes.
    Of each earlier origin in the frame its own day's rows (lead day 0) enter, which end where the next origin begins:
    nothing at or after an origin moves it. An origin without earlier ones in the frame is left as it is.
    """
    if "bike_count" not in frame.columns or frame.empty:
        return expected
    days = _day_numbers(frame)
    sums = _sums(frame, expected, days)
    known = {day: _factor(sums, day) for day in np.unique(days).tolist()}
    return np.asarray(expected * [known[day] for day in days.tolist()], dtype="float64")


def _day_numbers(frame: pd.DataFrame) -> Integers:
    """Number the origins' local days; they begin 23 to 25 hours apart."""
    origin = frame["origin_at"]
    days = (origin - origin.min()) / pd.Timedelta(days=1)
    return np.asarray(np.rint(days.to_numpy()), dtype=np.int64)


def _sums(frame: pd.DataFrame, expected: Floats, days: Integers) -> pd.DataFrame:
    counted = (frame["lead_day"] == 0).to_numpy() & frame["bike_count"].notna().to_numpy()
    rows = pd.DataFrame(
        {
            "counted": frame["bike_count"].to_numpy(dtype="float64")[counted],
            "expected": expected[counted],
            "rows": 1,
        }
    )
    sums = rows.groupby(days[counted]).sum()
    return sums[sums["rows"] >= MIN_ROWS]


def _factor(sums: pd.DataFrame, day: int) -> float:
    yesterday = _ratio(sums[sums.index == day - 1])
    last_days = _ratio(sums[(sums.index >= day - DAYS) & (sums.index < day)])
    return float(np.clip(yesterday**YESTERDAY * last_days**LAST_DAYS, SMALLEST, LARGEST))


def _ratio(sums: pd.DataFrame) -> float:
    counted, expected = float(sums["counted"].sum()), float(sums["expected"].sum())
    return counted / expected if counted > 0 and expected > 0 else 1.0
