"""What a file with times of the city's clock does when the clock is changed, seen where it spans a change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

MERGED_FROM = 1.5  # times the usual count of that hour
ENOUGH_BIKES = 40  # below, a ratio says nothing


@dataclass(frozen=True)
class Change:
    """One change of a clock: the local times, from `start` to before `end`, that are skipped or repeated."""

    start: datetime
    end: datetime
    skipped: bool


@dataclass(frozen=True)
class SeenClock:
    """What was seen: None where the file spans no such change. impossible: counts at times that the clock skips."""

    missing_hour: str | None = None
    repeated_hour: str | None = None
    impossible: int = 0
    changes: tuple[date, ...] = ()


def changes_between(first: datetime, last: datetime, zone: ZoneInfo) -> list[Change]:
    """Return the changes of a clock between two local times."""
    found = []
    day = first.replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= last:
        following = day + timedelta(days=1)
        before, after = (
            d.replace(tzinfo=zone).utcoffset() or timedelta(0) for d in (day, following)
        )
        if before != after:
            found.append(_change(day, before, after, zone))
        day = following
    return [
        c
        for c in found
        if c.start >= first - timedelta(hours=1) and c.end <= last + timedelta(hours=1)
    ]


def _change(day: datetime, before: timedelta, after: timedelta, zone: ZoneInfo) -> Change:
    for minute in range(0, 1440, 15):
        local = day + timedelta(minutes=minute)
        if after > before:
            real = (
                (local - before)
                .replace(tzinfo=ZoneInfo("UTC"))
                .astimezone(zone)
                .replace(tzinfo=None)
            )
            if real != local:
                return Change(local, local + (after - before), skipped=True)
        elif (
            local.replace(tzinfo=zone, fold=0).utcoffset()
            != local.replace(tzinfo=zone, fold=1).utcoffset()
        ):
            return Change(local, local + (before - after), skipped=False)
    raise AssertionError(f"{zone} changes on {day} at no quarter hour")


def see_clock(counts: pd.DataFrame, zone: ZoneInfo) -> SeenClock:
    """Say what the file does at each change. counts: counter_id, at (local), bike_count (NaN: blank), in file order."""
    times = counts["at"].dropna()
    if times.empty:
        return SeenClock()
    changes = changes_between(times.min().to_pydatetime(), times.max().to_pydatetime(), zone)
    missing, repeated, impossible = [], [], 0
    for change in changes:
        inside = counts[(counts["at"] >= change.start) & (counts["at"] < change.end)]
        if not _reports_around(counts, change):
            continue
        if change.skipped:
            missing.append(_as_skipped(inside))
            impossible += int((inside["bike_count"] > 0).sum())
        else:
            repeated.append(_as_repeated(counts, inside, change))
    return SeenClock(
        _strongest(missing, ("zero", "blank", "absent")),
        _strongest(repeated, ("twice", "merged", "once", "zero", "blank", "absent")),
        impossible,
        tuple(c.start.date() for c in changes),
    )


def _reports_around(counts: pd.DataFrame, change: Change) -> bool:
    """Return whether the file has times on both sides of a change; else it is an outage and shows nothing."""
    hours = pd.Timedelta(hours=2)
    at = counts["at"]
    return bool(
        ((at >= change.start - hours) & (at < change.start)).any()
        and ((at >= change.end) & (at < change.end + hours)).any()
    )


def _as_skipped(inside: pd.DataFrame) -> str:
    if inside.empty:
        return "absent"
    return "zero" if inside["bike_count"].notna().any() else "blank"


def _as_repeated(counts: pd.DataFrame, inside: pd.DataFrame, change: Change) -> str:
    if inside.empty:
        return "absent"
    if _comes_twice(counts, inside):
        return "twice"
    if inside["bike_count"].isna().all():
        return "blank"
    usual = _usual(counts, change)
    seen = float(inside["bike_count"].sum())
    if seen == 0 and usual >= ENOUGH_BIKES:
        return "zero"
    if usual < ENOUGH_BIKES:
        return "unknown"
    return "merged" if seen >= MERGED_FROM * usual else "once"


def _comes_twice(counts: pd.DataFrame, inside: pd.DataFrame) -> bool:
    """Return whether most times of the hour have two rows, where those of the day before have one."""
    before = counts[
        (counts["at"] >= inside["at"].min() - pd.Timedelta(days=1))
        & (counts["at"] <= inside["at"].max() - pd.Timedelta(days=1))
    ]
    rows, usual = (
        each.groupby(["counter_id", "at"]).size().median() if len(each) else 1.0
        for each in (inside, before)
    )
    return bool(rows >= 2 * usual)


def _usual(counts: pd.DataFrame, change: Change) -> float:
    """Return the count of that hour on the same weekday of the weeks around, and of the hours beside it, averaged."""
    sums = []
    for days in (-14, -7, 7, 14):
        start, end = change.start + timedelta(days=days), change.end + timedelta(days=days)
        rows = counts[(counts["at"] >= start) & (counts["at"] < end)]
        if rows["bike_count"].notna().any():
            sums.append(float(rows["bike_count"].sum()))
    width = change.end - change.start
    for start in (change.start - width, change.end):
        rows = counts[(counts["at"] >= start) & (counts["at"] < start + width)]
        if rows["bike_count"].notna().any():
            sums.append(float(rows["bike_count"].sum()))
    return float(np.median(sums)) if sums else 0.0


def _strongest(seen: list[str], order: tuple[str, ...]) -> str | None:
    """Return what most changes show; among equals, the first in `order`."""
    told = [each for each in seen if each in order]
    if not told:
        return None
    return max(order, key=lambda each: (told.count(each), -order.index(each)))
