"""City-wide daily level correction: forecasts are scaled by the total error of the last days' forecasts.

Half of a good model's squared error is the level of the day, which all counters share: a warm spell, a strike, the end
of a curfew. The total error of yesterday's forecasts predicts part of today's.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats, Integers

DAYS = 3  # days before the origin that are used
YESTERDAY, LAST_DAYS = (
    0.2,
    0.2,
)  # exponents of the ratios, tuned on Paris, where 0.1 to 0.4 perform alike
SMALLEST, LARGEST = 0.7, 1.4
MIN_ROWS = 24  # counted hours of a day; fewer do not represent the city
# Fewer show their own day rather than the city's. R2 with and without, without weather: two counters in Seattle in
# November 2018 0.878 and 0.895; eight in Dublin in December 2023 0.879 and 0.850.
MIN_COUNTERS = 3


def correct_level(frame: pd.DataFrame, expected: Floats) -> Floats:
    """Return forecasts, (n,), corrected by the ratio of counts to forecasts over the DAYS before their origin.

    frame: (n, any) with origin_at, lead_day and, for past days, bike_count; expected: (n,), its forecasts in bikes per
    hour. Of earlier origins only lead day 0 is used, which ends where the next origin begins, so no count at or after
    an origin affects it. Forecasts of an origin without earlier ones in the frame are unchanged, as are those of fewer
    than MIN_COUNTERS counters.
    """
    if "bike_count" not in frame.columns or frame["counter_id"].nunique() < MIN_COUNTERS:
        return expected
    days = _day_numbers(frame)
    sums = _sums(frame, expected, days)
    origins, at = np.unique(days, return_inverse=True)
    factors = np.array([_factor(sums, day) for day in origins.tolist()], dtype="float64")
    return np.asarray(expected * factors[at], dtype="float64")


def _day_numbers(frame: pd.DataFrame) -> Integers:
    """Number the local days of the origins, which are 23 to 25 hours apart."""
    origin = frame["origin_at"]
    days = (origin - origin.min()) / pd.Timedelta(days=1)
    return np.asarray(np.rint(days.to_numpy()), dtype=np.int64)


def _sums(frame: pd.DataFrame, expected: Floats, days: Integers) -> dict[int, tuple[float, float]]:
    """Return the counted and the expected bikes of each day that has enough counts."""
    counted = (frame["lead_day"] == 0).to_numpy() & frame["bike_count"].notna().to_numpy()
    rows = pd.DataFrame(
        {
            "counted": frame["bike_count"].to_numpy(dtype="float64")[counted],
            "expected": expected[counted],
            "rows": 1,
        }
    )
    sums = rows.groupby(days[counted]).sum()
    known = sums[sums["rows"] >= MIN_ROWS]
    both = known[["counted", "expected"]].to_numpy(dtype="float64").tolist()
    return {int(day): (met, made) for day, (met, made) in zip(known.index, both, strict=True)}


def _factor(sums: dict[int, tuple[float, float]], day: int) -> float:
    yesterday = _ratio(sums, day - 1, day)
    last_days = _ratio(sums, day - DAYS, day)
    return float(np.clip(yesterday**YESTERDAY * last_days**LAST_DAYS, SMALLEST, LARGEST))


def _ratio(sums: dict[int, tuple[float, float]], first: int, until: int) -> float:
    days = [sums[day] for day in range(first, until) if day in sums]
    counted, expected = (sum(both[n] for both in days) for n in (0, 1))
    return counted / expected if counted > 0 and expected > 0 else 1.0
