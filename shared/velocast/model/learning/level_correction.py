"""City-wide daily level correction: forecasts are scaled by the total error of the last days' forecasts.

Half of a good model's squared error is the level of the day, which all counters share: a warm spell, a strike, the end
of a curfew. The total error of yesterday's forecasts predicts part of today's. What lasts for weeks, such as a spring
that learned voices have not seen, shows in the median day of two weeks, which a rainy day does not move.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from velocast.model.arrays import Booleans, Floats, Integers

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
MEMORY_DAYS = 14  # before the origin, whose median ratio corrects what lasts
MEMORY = 0.35  # its exponent where all of these days are known, less where fewer are (ADR 37)
LEAST_MEMORY_DAYS = 3
MOST_LASTING = float(np.log(1.25))  # a larger median is snow or an outage, not a season


@dataclass(frozen=True)
class DailyRatios:
    """How much more was counted than was forecast on each day, by forecasts that did not know the day.

    days: (k,), local days as days since 1970, each once. logs: (k,), logarithms of counted over expected bikes.
    """

    days: Integers
    logs: Floats

    @staticmethod
    def of(frame: pd.DataFrame, expected: Floats) -> DailyRatios:
        """Return the ratios by the local day of the target, of days with at least MIN_ROWS rows and some bikes.

        frame: (n, any) with local_date and bike_count, never NaN; expected: (n,), its forecasts in bikes per hour.
        """
        days, at = np.unique(local_days(frame), return_inverse=True)
        counted, made, rows = (
            np.bincount(at, weights=values, minlength=len(days))
            for values in (frame["bike_count"].to_numpy(dtype="float64"), expected, None)
        )
        usable = (rows >= MIN_ROWS) & (counted > 0) & (made > 0)
        return DailyRatios(days[usable], np.log(counted[usable] / made[usable]))

    def and_later(self, later: DailyRatios) -> DailyRatios:
        """Return these days and those of `later` that are not among them."""
        new = ~np.isin(later.days, self.days)
        return DailyRatios(
            np.concatenate([self.days, later.days[new]]),
            np.concatenate([self.logs, later.logs[new]]),
        )

    def lasting(self, day: int) -> float:
        """Return the factor for an origin at the start of a local day: what lasted over the days before it."""
        logs = self.logs[(self.days >= day - MEMORY_DAYS) & (self.days < day)]
        if len(logs) < LEAST_MEMORY_DAYS:
            return 1.0
        lasting = np.clip(np.median(logs), -MOST_LASTING, MOST_LASTING)
        return float(np.exp(MEMORY * len(logs) / MEMORY_DAYS * lasting))


def local_days(frame: pd.DataFrame) -> Integers:
    """Number the local days of the targets, (n,), as days since 1970."""
    return np.asarray(frame["local_date"].to_numpy(dtype="datetime64[D]").astype(np.int64))


def rows_since(frame: pd.DataFrame, learned_until: datetime | None) -> Booleans:
    """Return which rows tell how well the origins since a training were forecast, (n,): lead day 0, and counted.

    learned_until: end of the counts that were learned from; None if no row was forecast without knowing it.
    """
    if learned_until is None or "bike_count" not in frame.columns:
        return np.zeros(len(frame), dtype=bool)
    return np.asarray(
        (frame["lead_day"] == 0)
        & frame["bike_count"].notna()
        & (frame["origin_at"] >= learned_until)
    )


def correct_level(
    frame: pd.DataFrame,
    expected: Floats,
    known: DailyRatios | None = None,
    learned_until: datetime | None = None,
) -> Floats:
    """Return forecasts, (n,), corrected by the ratio of counts to forecasts over the days before their origin.

    frame: (n, any) with origin_at, lead_day, local_date and, for past days, bike_count; expected: (n,), its forecasts
    in bikes per hour. known: ratios on rows that were held out in training; None for models that keep none, which
    correct by the last DAYS alone. learned_until: as for `rows_since`. Of earlier origins only lead day 0 is used,
    which ends where the next origin begins, so no count at or after an origin affects it. The last DAYS correct nothing
    where the frame has no earlier origins or fewer than MIN_COUNTERS counters.
    """
    factors = _of_last_days(frame, expected)
    if known is not None:
        factors = np.clip(
            factors * _lasting(frame, expected, known, learned_until), SMALLEST, LARGEST
        )
    return np.asarray(expected * factors, dtype="float64")


def _of_last_days(frame: pd.DataFrame, expected: Floats) -> Floats:
    if "bike_count" not in frame.columns or frame["counter_id"].nunique() < MIN_COUNTERS:
        return np.ones(len(frame))
    days = _day_numbers(frame)
    sums = _sums(frame, expected, days)
    origins, at = np.unique(days, return_inverse=True)
    factors = np.array([_factor(sums, day) for day in origins.tolist()], dtype="float64")
    return np.asarray(factors[at], dtype="float64")


def _lasting(
    frame: pd.DataFrame, expected: Floats, known: DailyRatios, learned_until: datetime | None
) -> Floats:
    new = rows_since(frame, learned_until)
    if new.any():
        counted = frame.loc[new, ["local_date", "bike_count"]]  # not all columns, to save time
        known = known.and_later(DailyRatios.of(counted, expected[new]))
    at, origins = pd.factorize(local_days(frame) - frame["lead_day"].to_numpy(dtype="int64"))
    factors = np.array([known.lasting(day) for day in origins.tolist()], dtype="float64")
    return np.asarray(factors[at], dtype="float64")


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
