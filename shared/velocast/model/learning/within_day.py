"""Updates within the day: what was counted since midnight corrects the forecasts of the rest of the day.

The forecasts from midnight stay the base. Shares of what they missed so far, in the whole city and at the counter, are
added to the hours to come; the shares are learned from earlier days' forecasts and counts. Forecasts of a model and of
the mean of similar days are updated in the same way.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats
from velocast.model.intervals.conformal import MIN_ERRORS, NOMINAL, QUANTILES

LEARNED_DAYS = 56  # days before the origin that are learned from
MIN_DAYS = 21
HOURS = 25  # of the longest local day
RECENT_HOURS = 3
FADING_HOURS = 3.0  # the deviation of the last hours loses two thirds of its weight in this time
# A larger deviation comes from few bikes at night, or from one street: it does not last, and would outweigh all others.
LARGEST_DEVIATION = 0.4
# Bikes that are added to a counter's sum before it is the divisor: a few bikes deviate by chance.
CHANCE = 20.0
# The ridge's penalty is worth this many more days on which deviations did not last.
CALM_DAYS = 3.0
# Share of the squared error of held-out weeks that an update must remove. Counts until 6 o'clock seldom do.
LEAST_GAIN = 0.01
SMALLEST, LARGEST = 0.3, 3.0  # factors
NEAR = (2, 5)  # hours ahead at which the intervals' next class begins
SMALLEST_REACH = 0.5  # bikes: counts are integers


@dataclass(frozen=True)
class _Days:
    """Forecasts and counts of days: (n, HOURS), NaN where there is none; a row for each counter and day.

    day: (n,), the number of the day of each row; days: how many there are. place: the row and hour of each row of the
    frame that they were made from. in_city: (n,), whether a row's bikes are added to those of the city.
    """

    forecast: Floats
    lower: Floats
    upper: Floats
    counted: Floats
    day: np.ndarray[Any, np.dtype[np.int64]]
    days: int
    place: tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]
    in_city: np.ndarray[Any, np.dtype[np.bool_]]

    @staticmethod
    def of(frame: pd.DataFrame, sums: Collection[str] = ()) -> _Days:
        """Arrange a frame of counter_id, origin_at, lead_hours, predicted_count, lower, upper and bike_count.

        sums: ids of those that are sums of others.
        """
        pairs = pd.MultiIndex.from_frame(frame[["origin_at", "counter_id"]])
        row, known = pd.factorize(pairs)
        day, days = pd.factorize(known.get_level_values(0))
        hour = frame["lead_hours"].to_numpy(dtype=np.int64)

        def by_hour(name: str) -> Floats:
            values = np.full((len(known), HOURS), np.nan)
            values[row, hour] = frame[name].to_numpy(dtype="float64", na_value=np.nan)
            return values

        return _Days(
            forecast=by_hour("predicted_count"),
            lower=by_hour("lower"),
            upper=by_hour("upper"),
            counted=by_hour("bike_count"),
            day=day,
            days=len(days),
            place=(row, hour),
            in_city=~known.get_level_values(1).isin(list(sums)),
        )


@dataclass(frozen=True)
class DayUpdate:
    """How forecasts from midnight are corrected when the first `known_hours` hours of their day are known.

    shares: (8,), of `_regressors`. reach: (3,), the factor of the intervals in each class of hours ahead. days: the
    number of days that they were learned from.
    """

    known_hours: int
    shares: Floats
    reach: Floats
    days: int

    def apply(self, frame: pd.DataFrame, *, sums: Collection[str] = ()) -> pd.DataFrame:
        """Return the forecasts of the hours of one day from `known_hours` on, corrected.

        frame: the forecasts from midnight of that day, all counters and hours: counter_id, origin_at, lead_hours,
        predicted_count, lower, upper, QUANTILES, busy_probability, busy_threshold, and bike_count, of which only the
        first `known_hours` hours are read. sums: ids of the counters among them that are sums of others, whose bikes
        are not counted again in the city's. Returns the rows of the later hours, with the frame's index and columns:
        0 <= lower <= predicted_count <= upper, bikes per hour.
        """
        days = _Days.of(frame, sums)
        factors = np.full(days.forecast.shape, np.nan)
        regressors = _regressors(days, self.known_hours)
        factors[:, self.known_hours :] = _factors(
            days.forecast[:, self.known_hours :], regressors, self.shares
        )
        later = days.place[1] >= self.known_hours
        factor = factors[days.place][later]
        reach = self.reach[_classes(days.place[1][later] - self.known_hours)] * factor
        rows = frame[later]
        before = rows["predicted_count"].to_numpy(dtype="float64")
        after = before * factor
        moved = {
            name: np.clip(after + reach * (rows[name].to_numpy(dtype="float64") - before), 0, None)
            for name in ("lower", "upper", *QUANTILES)
        }
        made = rows.assign(predicted_count=after, **moved)
        busy = rows["busy_probability"] + _above(made) - _above(rows)
        return made.assign(busy_probability=busy.clip(0.0, 1.0))


def learn_day_update(past: pd.DataFrame, known_hours: int) -> DayUpdate | None:
    """Learn from earlier days which shares of what was missed until `known_hours` (1 to 23) last.

    past: forecasts from midnight of the hours of their own day, made before that day: counter_id, origin_at,
    lead_hours, predicted_count, lower, upper, and bike_count (NaN: not counted), without sums of counters. Returns None
    with fewer than MIN_DAYS days, and where an update learned from every other week does not remove LEAST_GAIN of the
    squared error of the rest.
    """
    if past["origin_at"].nunique() < MIN_DAYS:
        return None
    days = _Days.of(past)
    regressors = _regressors(days, known_hours)
    later = days.forecast[:, known_hours:]
    missed = days.counted[:, known_hours:] - later
    odd = days.day // 7 % 2 == 1
    unseen = np.empty_like(later)  # factors from shares that were not learned from the row's week
    for part in (odd, ~odd):
        unseen[part] = _factors(
            later[part], regressors[part], _learn_shares(regressors, missed, days, ~part)
        )
    before, after = np.nansum(missed**2), np.nansum((missed - later * (unseen - 1.0)) ** 2)
    if not after <= (1.0 - LEAST_GAIN) * before:
        return None
    shares = _learn_shares(regressors, missed, days, odd | ~odd)
    return DayUpdate(known_hours, shares, _reach(days, known_hours, unseen), days.days)


def _learn_shares(regressors: Floats, missed: Floats, days: _Days, rows: Any) -> Floats:
    """Return the shares of `_regressors` that best explain what was missed in some rows: ridge regression."""
    counted = ~np.isnan(missed) & rows[:, None]
    x, y = regressors[counted], missed[counted]
    products = x.T @ x
    learned_days = max(1, len(np.unique(days.day[rows])))
    calm = np.diag(np.diag(products) * CALM_DAYS / learned_days + 1e-9)
    return np.asarray(np.linalg.solve(products + calm, x.T @ y), dtype="float64")


def _regressors(days: _Days, known_hours: int) -> Floats:
    """Return what may be missed in the hours from `known_hours` on: (n, HOURS - known_hours, 8), bikes per hour.

    The forecast times the relative deviation until then: of the city and of the counter beyond the city's, in all hours
    and in the last RECENT_HOURS; and each of them fading with the hours ahead.
    """
    later = days.forecast[:, known_hours:]
    fading = np.exp(-np.arange(later.shape[1]) / FADING_HOURS)
    deviations = [
        *_deviations(days, 0, known_hours),
        *_deviations(days, max(0, known_hours - RECENT_HOURS), known_hours),
    ]
    lasting = [later * deviation[:, None] for deviation in deviations]
    return np.stack([*lasting, *(values * fading for values in lasting)], axis=-1)


def _deviations(days: _Days, since: int, until: int) -> tuple[Floats, Floats]:
    """Return the relative deviation of some hours' counts from their forecasts, of city and counter: (n,) each."""
    counted, forecast = days.counted[:, since:until], days.forecast[:, since:until]
    known = ~np.isnan(counted) & ~np.isnan(forecast)
    bikes = np.where(known, counted, 0.0).sum(axis=1)
    expected = np.where(known, forecast, 0.0).sum(axis=1)
    all_bikes = np.bincount(days.day, bikes * days.in_city, days.days)
    all_expected = np.bincount(days.day, expected * days.in_city, days.days)
    city = ((all_bikes - all_expected) / (all_expected + CHANCE))[days.day]
    own = (bikes - expected * (1 + city)) / (expected + CHANCE)
    return (
        np.clip(city, -LARGEST_DEVIATION, LARGEST_DEVIATION),
        np.clip(own, -LARGEST_DEVIATION, LARGEST_DEVIATION),
    )


def _factors(later: Floats, regressors: Floats, shares: Floats) -> Floats:
    """Return the factors of the forecasts of the later hours."""
    change = regressors @ shares
    relative = np.divide(change, later, out=np.zeros_like(later), where=later > 0)
    return np.clip(1.0 + relative, SMALLEST, LARGEST)


def _classes(hours_ahead: Any) -> Any:
    return np.searchsorted(NEAR, hours_ahead, side="right")


def _reach(days: _Days, known_hours: int, factors: Floats) -> Floats:
    """Return the factors of the intervals with which NOMINAL of these days' counts lie inside."""
    forecast, lower, upper, counted = (
        values[:, known_hours:] for values in (days.forecast, days.lower, days.upper, days.counted)
    )
    error = counted - forecast * factors
    to_end = factors * np.where(error < 0, forecast - lower, upper - forecast)
    needed = np.abs(error) / np.maximum(to_end, SMALLEST_REACH)
    ahead = _classes(np.arange(needed.shape[1]))
    found = np.ones(len(NEAR) + 1)
    for each in np.unique(ahead):
        known = needed[:, ahead == each]
        known = known[~np.isnan(known)]
        if len(known) >= MIN_ERRORS:
            found[each] = np.quantile(known, NOMINAL)
    return found


def _above(forecasts: pd.DataFrame) -> pd.Series[float]:
    """Return an estimate, from the interval, of the probability of a count above `busy_threshold`; NaN without one."""
    from scipy.special import ndtr, ndtri

    width = (forecasts["upper"] - forecasts["lower"]).clip(lower=SMALLEST_REACH)
    deviation = width / 2 / float(ndtri((1.0 + NOMINAL) / 2.0))
    beyond = (forecasts["predicted_count"] - forecasts["busy_threshold"]) / deviation
    return pd.Series(ndtr(beyond.to_numpy(dtype="float64")), index=forecasts.index)
