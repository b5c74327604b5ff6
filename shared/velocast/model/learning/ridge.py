"""Ridge regression for each local hour: what is linear in the recent counts, which trees can only step along.

It learns the residual that the boosters learn, how far a count lies from the mean of similar days in units of the
counter's level, and shares strength with the hours beside it. numpy only: a fit takes about a second.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats, Integers
from velocast.model.features.calendar_features import SCHOOL_COLUMNS
from velocast.model.features.definition import EVENT, HISTORY, SHARES, SIMILAR, WEATHER
from velocast.model.features.preprocessing import (
    LEVEL_COLUMNS,
    Drawn,
    FeatureRows,
    base_and_level,
    draw_rows,
    drawn_column,
    drawn_numbers,
)

# `calendar`: names of CALENDAR, chosen for each city (`calendar_choice`).
HYPERPARAMETERS: dict[str, Any] = {
    "penalty": 100.0,
    "neighbours": 0.3,
    "max_rows": 160_000,
    "calendar": [],
}
HOURS = 24
BLOCK = 50_000  # rows forecast at once, so that memory does not grow with them
FIT_BLOCK = 8_000  # the same of a fit; the last bits of its sums depend on it
RESIDUALS = (-3.0, 5.0)  # in levels; what lies beyond is cut, in the fit and in the forecast
SHARE_RANGE = (0.3, 3.0)
MOST_WEATHER = 3.0  # standard deviations
LEAD_UNIT = 4.0  # lead days
HOLIDAY = 7  # the column after those of the weekdays
AROUND = ("is_eve", "is_morrow", "is_bridge")
# What the city's file may say of a day, and the features that say it: used only where they pay.
CALENDAR: dict[str, tuple[str, ...]] = {"school_holidays": SCHOOL_COLUMNS, "events": (EVENT,)}
_RECENT = [name for name in HISTORY if name not in ("similar_day_mean", "level")] + list(SIMILAR)
_SCHOOL_PRODUCTS = 3  # columns of `_calendar_columns` beyond the features themselves
_CALENDAR_WIDTHS = {"school_holidays": len(SCHOOL_COLUMNS) + _SCHOOL_PRODUCTS, "events": 1}
# columns without the calendar's: the recent counts; one, lead, shares alone and by lead, kinds of day, weather
_WIDTH = len(_RECENT) + 2 + 2 * len(SHARES) + HOLIDAY + 1 + len(AROUND) + len(WEATHER)
_DAY = ("lead_day", "weekday", "is_holiday", "is_rest", "is_saturday")
_USED = (*_RECENT, *SHARES, *WEATHER, *AROUND, *_DAY)


def fit_ridge(params: dict[str, Any], frame: FeatureRows, seed: int) -> dict[str, Any]:
    """Fit the coefficients of each hour.

    params: `penalty` (of standardized columns), `neighbours` (weight of the hours beside), `max_rows`, `calendar` (what
    of CALENDAR is used). frame: one or several feature frames whose rows all have a bike_count.
    Returns `calendar` and arrays: `weather_mean` and `weather_scale`, (17,); `coefficients`, (24, columns of
    `_design`).
    """
    return Equations.of(frame, params, draw_rows(frame, params["max_rows"], seed)).solved()


@dataclass(frozen=True)
class Equations:
    """The normal equations of some rows: what a fit needs to know of them.

    gram: (24, columns, columns); moment: (24, columns), both by local hour. weight: the sum of the rows' weights.
    """

    params: dict[str, Any]
    weather: tuple[Floats, Floats]
    gram: Floats
    moment: Floats
    weight: float

    @staticmethod
    def of(frame: FeatureRows, params: dict[str, Any], drawn: Drawn | None = None) -> Equations:
        """Return the equations of all rows of a frame, or of the drawn ones."""
        return Equations.of_parts(Regression.of(frame, params, drawn))[0]

    @staticmethod
    def of_parts(regression: Regression, parts: Integers | None = None) -> list[Equations]:
        """Return the equations of each part of the rows, which add up to those of all. parts: (n,), numbers from 0."""
        from threadpoolctl import threadpool_limits

        rows = len(regression.target)
        part_of = np.zeros(rows, dtype=np.int64) if parts is None else parts
        count = int(part_of.max(initial=0)) + 1
        columns = regression.columns
        gram, moment = np.zeros((count, HOURS, columns, columns)), np.zeros((count, HOURS, columns))
        with threadpool_limits(limits=1, user_api="blas"):  # the last bits depend on their number
            for begin in range(0, rows, FIT_BLOCK):
                part = slice(begin, begin + FIT_BLOCK)
                group = part_of[part] * HOURS + regression.hours[part]
                order = np.argsort(group, kind="stable")
                x = regression.design(part)[order]
                weighted = x * regression.weight[part][order, None]
                target = regression.target[part][order]
                numbers, starts = np.unique(group[order], return_index=True)
                ends = np.append(starts[1:], len(order))
                for number, first, end in zip(numbers, starts, ends, strict=True):
                    at = divmod(int(number), HOURS)
                    gram[at] += weighted[first:end].T @ x[first:end]
                    moment[at] += weighted[first:end].T @ target[first:end]
        return [
            Equations(
                regression.params,
                regression.weather,
                gram[n],
                moment[n],
                float(regression.weight[part_of == n].sum()),
            )
            for n in range(count)
        ]

    @staticmethod
    def total(parts: Sequence[Equations]) -> Equations:
        """Return the equations of the rows of all parts."""
        gram = np.sum([part.gram for part in parts], axis=0)
        moment = np.sum([part.moment for part in parts], axis=0)
        weight = sum(part.weight for part in parts)
        return Equations(parts[0].params, parts[0].weather, gram, moment, weight)

    def without(self, part: Equations) -> Equations:
        """Return the equations of the rows that are not in a part."""
        gram, moment = self.gram - part.gram, self.moment - part.moment
        return Equations(self.params, self.weather, gram, moment, self.weight - part.weight)

    def using(self, calendar: Sequence[str]) -> Equations:
        """Return the equations without the columns of the calendar that are not named."""
        kept = kept_columns(self.params["calendar"], calendar)
        params = self.params | {"calendar": list(calendar)}
        gram, moment = self.gram[:, kept][:, :, kept], self.moment[:, kept]
        return Equations(params, self.weather, gram, moment, self.weight)

    def solved(self) -> dict[str, Any]:
        """Return what `predict_ridge` needs."""
        return {
            "weather_mean": self.weather[0],
            "weather_scale": self.weather[1],
            "coefficients": _solve(self.gram, self.moment, self.weight, self.params),
            "calendar": list(self.params["calendar"]),
        }


@dataclass(frozen=True)
class Regression:
    """The rows of a fit, whose design is computed in blocks so that memory does not grow with them.

    drawn: the rows of `frame` that are used. base, level, counts, target, weight, hours: (n,), of these rows.
    weather: mean and standard deviation of each column.
    """

    frame: FeatureRows
    params: dict[str, Any]
    drawn: Drawn
    base: Floats
    level: Floats
    counts: Floats
    target: Floats
    weight: Floats
    hours: Integers
    weather: tuple[Floats, Floats]

    @staticmethod
    def of(frame: FeatureRows, params: dict[str, Any], drawn: Drawn | None = None) -> Regression:
        """Return the regression of all rows of a frame, or of the drawn ones."""
        frames = [frame] if isinstance(frame, pd.DataFrame) else frame
        drawn = [np.arange(len(part)) for part in frames] if drawn is None else drawn
        known = pd.DataFrame({name: drawn_column(frame, drawn, name) for name in LEVEL_COLUMNS})
        base, level = base_and_level(known)
        counts = drawn_numbers(frame, drawn, "bike_count")
        return Regression(
            frame=frame,
            params=params,
            drawn=drawn,
            base=base,
            level=level,
            counts=counts,
            target=np.clip((counts - base) / level, *RESIDUALS),
            weight=level**2 / np.mean(level**2),
            hours=known["local_hour"].to_numpy(dtype="int64"),
            weather=_standards(frame, drawn),
        )

    @property
    def columns(self) -> int:
        """The number of columns of the design."""
        return _WIDTH + sum(_CALENDAR_WIDTHS[name] for name in self.params["calendar"])

    def design(self, part: slice) -> Floats:
        """Return the columns of some rows, in order, (n, columns)."""
        numbers = np.arange(len(self.base))[part]
        ends = np.cumsum([len(at) for at in self.drawn])
        of_frame = np.split(numbers, np.searchsorted(numbers, ends[:-1]))
        drawn = [
            at[own - (end - len(at))]
            for at, own, end in zip(self.drawn, of_frame, ends, strict=True)
        ]
        calendar = self.params["calendar"]
        names = (*_USED, *(name for told in calendar for name in CALENDAR[told]))
        columns = {name: drawn_numbers(self.frame, drawn, name) for name in names}
        rows = pd.DataFrame(columns, copy=False)
        return _design(rows, self.base[part], self.level[part], *self.weather, calendar)


def predict_ridge(fitted: dict[str, Any], frame: pd.DataFrame) -> Floats:
    """Return forecast counts, (n,), bikes per hour, >= 0, never NaN."""
    base, level = base_and_level(frame)
    weather = fitted["weather_mean"], fitted["weather_scale"]
    calendar = fitted.get("calendar", [])  # models of earlier definitions have none
    own = fitted["coefficients"]
    hours = frame["local_hour"].to_numpy(dtype="int64")
    residual = np.empty(len(frame))
    for begin in range(0, len(frame), BLOCK):
        part = slice(begin, begin + BLOCK)
        x = _design(frame.iloc[part], base[part], level[part], *weather, calendar)
        residual[part] = np.einsum("ij,ij->i", x, own[hours[part]])
    counts = base + level * np.clip(residual, *RESIDUALS)
    return np.asarray(np.maximum(counts, 0.0), dtype="float64")


def _solve(gram: Floats, moment: Floats, weight: float, params: dict[str, Any]) -> Floats:
    """Return coefficients, (24, columns), of the columns as they are; penalized as if each had the root mean square 1.

    gram: (24, columns, columns); moment: (24, columns). A column that is always 0 gets the coefficient 0.
    """
    scale = np.sqrt(np.einsum("hjj->j", gram) / weight)
    scale[scale == 0] = 1.0
    gram, moment = gram / np.outer(scale, scale), moment / scale
    beside = params["neighbours"]
    gram = gram + beside * (np.roll(gram, 1, axis=0) + np.roll(gram, -1, axis=0))
    moment = moment + beside * (np.roll(moment, 1, axis=0) + np.roll(moment, -1, axis=0))
    penalty = params["penalty"] * np.eye(len(scale))
    return np.asarray(np.linalg.solve(gram + penalty, moment[:, :, None])[:, :, 0] / scale)


def _standards(frame: FeatureRows, drawn: Drawn) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each weather column, both (17,); 0 and 1 where it does not vary."""
    columns = (pd.Series(drawn_numbers(frame, drawn, name)) for name in WEATHER)
    mean, scale = np.array([(column.mean(), column.std(ddof=0)) for column in columns]).T
    varies = scale > 0
    return np.where(varies, mean, 0.0), np.where(varies, scale, 1.0)


def _design(
    frame: pd.DataFrame,
    base: Floats,
    level: Floats,
    weather_mean: Floats,
    weather_scale: Floats,
    calendar: Collection[str] = (),
) -> Floats:
    """Return the columns of the regression, (n, 58 and those of `calendar`), never NaN, in units of the level.

    An unknown count is taken for the mean of similar days, unknown weather for usual weather.
    """
    b = base / level
    recent = _floats(frame, _RECENT) / level[:, None] - b[:, None]
    shares = np.log(np.clip(_floats(frame, SHARES), *SHARE_RANGE))
    lead = frame["lead_day"].to_numpy(dtype="float64") / LEAD_UNIT
    weekday = frame["weekday"].to_numpy(dtype="int64")
    kind_of_day = np.where(frame["is_holiday"].to_numpy() > 0, HOLIDAY, weekday)
    weather = (_floats(frame, WEATHER) - weather_mean) / weather_scale
    shared = np.column_stack(
        [
            np.ones_like(b),
            lead,
            shares,
            shares * lead[:, None],
            np.eye(HOLIDAY + 1)[kind_of_day],
            _floats(frame, AROUND),
            np.clip(weather, -MOST_WEATHER, MOST_WEATHER),
            *(_calendar_columns(frame, name) for name in CALENDAR if name in calendar),
        ]
    )
    return np.nan_to_num(np.column_stack([recent, shared * b[:, None]]))


def _calendar_columns(frame: pd.DataFrame, name: str) -> Floats:
    """Return the columns of one of CALENDAR, (n, any).

    Of school holidays: whether there are any at the target, their share before the origin, of which the similar days
    are made, both together, and what they change on rest days and Saturdays.
    """
    values = _floats(frame, CALENDAR[name])
    if name != "school_holidays":
        return values
    free, share = values.T
    more = (free * share, free * frame["is_rest"], free * frame["is_saturday"])
    return np.column_stack([values, *more])


def kept_columns(calendar: Collection[str], used: Collection[str]) -> Integers:
    """Return which columns of a design with `calendar` remain if only `used` of CALENDAR is kept, (n,)."""
    kept = [True] * _WIDTH
    for name in CALENDAR:
        if name in calendar:
            kept += [name in used] * _CALENDAR_WIDTHS[name]
    return np.flatnonzero(kept)


def _floats(frame: pd.DataFrame, names: Sequence[str]) -> Floats:
    return np.asarray(frame[list(names)].to_numpy(dtype="float64", na_value=np.nan))
