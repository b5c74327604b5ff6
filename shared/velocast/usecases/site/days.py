"""The days of a counter for its page: a calendar, its records, this year beside the last. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from velocast.core.datetimes import HOUR, start_of_local_day
from velocast.usecases.snapshot_format import CounterSnapshot

# From which share of its hours a day is as good as whole: a sum of fewer tells of the counter, not of the street.
WHOLE = 0.9
RECORDS = 3


class Day(NamedTuple):
    """A local day: bikes, None without a usable count, and the share of its hours that were counted.

    estimated, estimated_share: bikes of the hours that were only estimated, not in `bikes`, and the share of its hours.
    """

    date: date
    bikes: int | None
    share: float
    estimated: int = 0
    estimated_share: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether enough of its hours were counted to compare it with another day."""
        return self.bikes is not None and self.share >= WHOLE

    @property
    def rebuilt(self) -> int | None:
        """Bikes counted and estimated; None where counted and estimated hours together are too few to compare."""
        return (
            (self.bikes or 0) + self.estimated
            if self.share + self.estimated_share >= WHOLE
            else None
        )


def days_of(counter: CounterSnapshot, zone: ZoneInfo) -> Iterator[Day]:
    """Yield a counter's days up to the one before the forecast's."""
    if counter.days_from is None:
        return
    for number, (bikes, hours) in enumerate(zip(counter.days, counter.day_hours, strict=True)):
        day = counter.days_from + timedelta(number)
        length = _length(day, zone)
        estimated = (
            (counter.days_estimated[number], counter.day_hours_estimated[number] / length)
            if counter.days_estimated and counter.day_hours_estimated
            else (0, 0.0)
        )
        yield Day(day, bikes, hours / length, *estimated)


@lru_cache(maxsize=4096)  # all counters share their days
def _length(day: date, zone: ZoneInfo) -> int:
    """Return the number of a local day's hours: 24, or another at a clock change."""
    return (start_of_local_day(day + timedelta(1), zone) - start_of_local_day(day, zone)) // HOUR


def describe_days(counter: CounterSnapshot, zone: ZoneInfo) -> dict[str, Any] | None:
    """Return a counter's days, its records and the year to date; None without days.

    bikes: of each day from `from`, null without a count. counted: the percentage of each day's hours. estimated: bikes
    of the hours of each day that were only estimated, which are in no record; empty where none was. busiest: the days
    with the most bikes, the first is the record. quietest: the whole day with the fewest.
    """
    days = list(days_of(counter, zone))
    if not days:
        return None
    known = [(day.bikes, day) for day in days if day.bikes is not None]
    most = sorted(known, key=lambda pair: (-pair[0], pair[1].date))[:RECORDS]
    least = min(
        ((bikes, day.date) for bikes, day in known if day.whole),
        key=lambda pair: pair[0],
        default=None,
    )
    return {
        "from": days[0].date.isoformat(),
        "bikes": [day.bikes for day in days],
        "counted": [round(100 * day.share) for day in days],
        "estimated": [day.estimated for day in days]
        if any(d.estimated_share for d in days)
        else [],
        "whole": round(100 * WHOLE),
        "busiest": [_named(day.date, bikes) for bikes, day in most],
        "quietest": None if least is None else _named(least[1], least[0]),
        "year_to_date": compare_years(days),
    }


def _named(day: date, bikes: int) -> dict[str, Any]:
    return {"date": day.isoformat(), "bikes": bikes}


def compare_years(days: list[Day]) -> dict[str, Any]:
    """Compare the newest day's year, up to this day, with the same days of the year before.

    days: number of days of the year up to `until`; whole: those that were counted; bikes: all that were counted;
    compared: days that are whole in both years, `this` and `before` their bikes. 29 February has no day before.
    rebuilt: the same with the hours that were only estimated, and the share of its bikes that is; null without any.
    """
    last = days[-1].date
    known = {day.date: day for day in days}
    this = [day for day in days if day.date.year == last.year]
    both = [
        (day.bikes, before.bikes)
        for day in this
        if (before := known.get(_year_before(day.date) or date.min)) and day.whole and before.whole
    ]
    return {
        "year": last.year,
        "until": last.isoformat(),
        "days": last.timetuple().tm_yday,
        "whole": sum(day.whole for day in this),
        "bikes": sum(day.bikes or 0 for day in this),
        "compared": len(both),
        "this": sum(bikes or 0 for bikes, _ in both),
        "before": sum(bikes or 0 for _, bikes in both),
        "rebuilt": _compare_rebuilt(this, known),
    }


def _compare_rebuilt(this: list[Day], known: dict[date, Day]) -> dict[str, Any] | None:
    both = [
        (day, before)
        for day in this
        if (before := known.get(_year_before(day.date) or date.min))
        and day.rebuilt is not None
        and before.rebuilt is not None
    ]
    estimated = sum(day.estimated + before.estimated for day, before in both)
    if not estimated:
        return None
    new, old = (sum(day.rebuilt or 0 for day in days) for days in zip(*both, strict=True))
    return {
        "compared": len(both),
        "this": new,
        "before": old,
        "estimated_share": round(estimated / (new + old), 4),
    }


def _year_before(day: date) -> date | None:
    try:
        return day.replace(year=day.year - 1)
    except ValueError:  # 29 February
        return None
