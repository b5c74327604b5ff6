"""Calendar features of a local day: its type, public holidays and the days around them, school holidays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import date, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from velocast.core.errors import SettingsError
from velocast.model.arrays import Floats

DayType = Literal["working", "saturday", "rest"]
CALENDAR_COLUMNS = (
    "weekday",
    "is_rest",
    "is_saturday",
    "is_holiday",
    "is_eve",
    "is_morrow",
    "is_bridge",
)
SCHOOL_COLUMNS = ("is_school_holiday", "school_holiday_share_14d")
SCHOOL_DAYS_BEFORE = 14  # days before the origin, of whose counts the similar days are made
SATURDAY, SUNDAY = 5, 6
ONE_DAY = timedelta(days=1)


def day_type(day: date, holidays: Collection[date]) -> DayType:
    """Return "rest" for a Sunday or holiday, "saturday" for another Saturday, else "working"."""
    if day in holidays or day.weekday() == SUNDAY:
        return "rest"
    return "saturday" if day.weekday() == SATURDAY else "working"


def holiday_dates(country: str | None, first: date, last: date) -> list[date]:
    """Return the public holidays from `first` to `last`, both included, in order.

    country: ISO 3166 code, optionally with a subdivision after a hyphen (`FR`, `DE-BE`); None: no holidays.
    Raises SettingsError when the package `holidays` does not know the country.
    """
    if country is None:
        return []
    import holidays

    code, _, subdivision = country.partition("-")
    years = range(first.year, last.year + 1)
    try:
        known = holidays.country_holidays(code, subdiv=subdivision or None, years=years)
    except NotImplementedError as exc:
        raise SettingsError(
            f"holidays: {country!r} is no holiday calendar ({exc}); set an ISO 3166 code in the city's file"
        ) from exc
    return sorted(day for day in known if first <= day <= last)


def calendar_columns(
    frame: pd.DataFrame, zone: ZoneInfo, holidays: Collection[date]
) -> pd.DataFrame:
    """Return the calendar features of the local day of each target.

    frame: (n, any) with `target_at` (aware). holidays: those from one day before to one day after the targets.
    Returns (n, 8) with the frame's index: `local_date` (naive midnight), CALENDAR_COLUMNS (float64; weekday 0 = Monday,
    the others 0 or 1).
    """
    days = frame["target_at"].dt.tz_convert(zone).dt.tz_localize(None).dt.normalize()
    known = frozenset(holidays)
    unique = days.drop_duplicates()
    facts = pd.DataFrame(
        [_describe(day.date(), known) for day in unique],
        columns=list(CALENDAR_COLUMNS),
        index=unique.array,
        dtype="float64",
    )
    columns = facts.reindex(days.array).set_axis(frame.index)
    columns.insert(0, "local_date", days)
    return columns


def school_free_days(school_holidays: Iterable[tuple[str, str]]) -> frozenset[date]:
    """Return every day of the school holidays. school_holidays: first and last day of each, ISO 8601."""
    return frozenset(
        day.date() for first, last in school_holidays for day in pd.date_range(first, last)
    )


def school_columns(
    frame: pd.DataFrame, zone: ZoneInfo, free_days: Collection[date]
) -> pd.DataFrame:
    """Return what is known of the school holidays at each target, and at its origin.

    frame: (n, any) with `origin_at` and `target_at` (aware). free_days: of `school_free_days`; they are published years
    ahead, so those after the origin are known too.
    Returns (n, 2) with the frame's index, float64: SCHOOL_COLUMNS, whether the target's local day is one of them (0 or
    1), and the share of them among the SCHOOL_DAYS_BEFORE local days before the origin's.
    """
    free = frozenset(free_days)
    before = range(1, SCHOOL_DAYS_BEFORE + 1)
    shares = [
        _of_local_days(frame["target_at"], zone, lambda day: float(day in free)),
        _of_local_days(
            frame["origin_at"],
            zone,
            lambda day: sum(day - n * ONE_DAY in free for n in before) / SCHOOL_DAYS_BEFORE,
        ),
    ]
    return pd.DataFrame(dict(zip(SCHOOL_COLUMNS, shares, strict=True)), index=frame.index)


def _of_local_days(
    times: pd.Series[pd.Timestamp], zone: ZoneInfo, value: Callable[[date], float]
) -> Floats:
    """Return a value of the local day of each time, (n,), computed once for each day."""
    days = times.dt.tz_convert(zone).dt.tz_localize(None).dt.normalize()
    values = {day: value(day.date()) for day in days.drop_duplicates()}
    return np.asarray(days.map(values), dtype="float64")


def _describe(day: date, holidays: frozenset[date]) -> tuple[float, ...]:
    kind = day_type(day, holidays)
    holiday = day in holidays
    return (
        float(day.weekday()),
        float(kind == "rest"),
        float(kind == "saturday"),
        float(holiday),
        float(not holiday and day + ONE_DAY in holidays),
        float(not holiday and day - ONE_DAY in holidays),
        float(kind == "working" and _is_bridge(day, holidays)),
    )


def _is_bridge(day: date, holidays: frozenset[date]) -> bool:
    """Return whether the day is a Friday after or a Monday before a holiday."""
    return (day.weekday() == 4 and day - ONE_DAY in holidays) or (
        day.weekday() == 0 and day + ONE_DAY in holidays
    )
