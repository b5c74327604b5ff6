"""What moves a day's bikes besides growth: weekday, season, holidays and weather, as columns of a regression."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from velocast.core.weather_variables import VALUES
from velocast.model.arrays import Floats

YEAR_DAYS = 365.25
WEEKDAYS, FRIDAY, MONDAY = 7, 4, 0
DRY = 0.1  # mm in an hour
KNOWN_SHARE = 0.9  # of the days, for weather to be used at all


def day_columns(
    days: Sequence[date],
    *,
    holidays: Collection[date],
    free_days: Collection[date],
    span: int,
) -> tuple[Floats, Floats]:
    """Return the columns of weekday and season, (T, any), and those of holidays and days without school, (T, any).

    span: days of a period; a short one holds too little of the year for its waves.
    """
    weekday = np.array([day.weekday() for day in days])
    waves = 3 if span >= 300 else 1 if span >= 120 else 0
    angle = 2 * np.pi * np.array([day.timetuple().tm_yday for day in days]) / YEAR_DAYS
    season = [f(n * angle) for n in range(1, waves + 1) for f in (np.cos, np.sin)]
    usual = np.column_stack([*(weekday == n for n in range(1, WEEKDAYS)), *season])
    off = frozenset(holidays)
    one = timedelta(days=1)
    special = [
        (
            day in off and day.weekday() < 5,
            day in off and day.weekday() >= 5,
            day not in off and day + one in off,
            day not in off and _is_bridge(day, off),
            (day.month, day.day) >= (12, 24) or (day.month, day.day) == (1, 1),
            day in free_days and day.weekday() < 5,
        )
        for day in days
    ]
    return usual.astype("float64"), np.array(special, dtype="float64")


def _is_bridge(day: date, holidays: frozenset[date]) -> bool:
    one = timedelta(days=1)
    return (day.weekday() == FRIDAY and day - one in holidays) or (
        day.weekday() == MONDAY and day + one in holidays
    )


def weather_grid(weather: pd.DataFrame, first: date, days: int, zone: ZoneInfo) -> Floats:
    """Lay hourly weather on local days, (D, 24, len(VALUES)), NaN where it is not known.

    weather: valid_at (aware, start of the hour) and VALUES in the warehouse's units.
    """
    local = weather["valid_at"].dt.tz_convert(zone).dt.tz_localize(None)
    day = (local.dt.normalize() - pd.Timestamp(first)).dt.days.to_numpy()
    grid = np.full((days, 24, len(VALUES)), np.nan)
    inside = (day >= 0) & (day < days)
    values = weather.loc[inside, list(VALUES)].to_numpy("float64")
    grid[day[inside], local.dt.hour.to_numpy()[inside]] = values
    return grid


def weather_columns(grid: Floats, profile: Floats, rest: Floats) -> Floats:
    """Return the columns of weather, (T, 9), NaN on a day without weather.

    grid: (T, 24, len(VALUES)); profile: (24,), bikes by hour, because rain at night keeps nobody from cycling at noon;
    rest: (T,), 1 on days without work.
    """
    names = {name: n for n, name in enumerate(VALUES)}
    temperature, rain = grid[:, :, names["temperature_c"]], grid[:, :, names["precipitation_mm"]]
    warm = _weighted(temperature, profile)
    wet = _weighted(np.where(np.isnan(rain), np.nan, rain > DRY), profile)
    amount = _weighted(np.log1p(rain), profile)
    others = [
        _weighted(grid[:, :, names[n]], profile) for n in ("wind_kmh", "humidity_pct", "cloud_pct")
    ]
    scaled = (warm - 12) / 8
    columns = [scaled, scaled**2, scaled**3, wet, amount, *(o / 50 for o in others)]
    return np.column_stack([*columns, scaled * rest, wet * rest])


def _weighted(values: Floats, profile: Floats) -> Floats:
    weight = np.where(np.isnan(values), 0.0, profile)
    total = weight.sum(1)
    sums = (np.nan_to_num(values) * weight).sum(1)
    result = np.full(len(values), np.nan)
    np.divide(sums, total, out=result, where=total > profile.sum() / 2)
    return result
