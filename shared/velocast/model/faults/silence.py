"""Dead counters, which count nothing or next to nothing, and sparse ones, whose hours are missing."""

from __future__ import annotations

import numpy as np

from velocast.model.faults.kinds import Mark
from velocast.model.faults.ledger import GridMask, GridValues, Ledger

DAY_HOURS = 24
WINDOWS = (1, 2, 3, 5, 7, 10)  # days that are judged together
SILENT_SHARE = 0.1  # an hour with more than this share of its expected bikes is not silent
STRAY_SHARE = 0.03  # stray counts of an hour: one bike, or this share of those expected


def silent_hours(counts: GridValues, expected: GridValues, seen: GridMask) -> GridMask:
    """Return which hours have no bikes, or so few that they are strays."""
    strays = np.maximum(1.0, STRAY_SHARE * expected)
    return np.asarray(seen & (counts <= SILENT_SHARE * expected) & (counts <= strays), dtype=bool)


def find_dead(ledger: Ledger, day: int, known: GridMask) -> None:
    """Mark dead counters. A fault that began or ended within a day is marked from or to its hour."""
    counts, seen = ledger.counts[:, day], ledger.seen[:, day]
    expected = ledger.expected[:, day]
    silent = silent_hours(counts, expected, seen)
    mass = (expected * silent).sum(1) / np.maximum(ledger.expected_seen[:, day], 1e-6)
    active = seen & (expected >= 2.0)
    # strays are few: a counter at a twentieth of its level still counts
    zeros = ((counts == 0) & active).sum(1) >= 0.6 * active.sum(1)
    ledger.silent[:, day] = mass * zeros
    there = seen.any(1)
    _never_counted(ledger, day, ~known & there)
    going_on = ledger.silent[:, day] >= ledger.limits.dead_going_on
    for counter in np.flatnonzero(known & there & (going_on | (ledger.open == Mark.DEAD))).tolist():
        since = _dead_since(ledger, counter, day)
        was_dead = ledger.open[counter] == Mark.DEAD
        if since is None and was_dead and going_on[counter]:
            since = day
        if since is not None:
            start = since * 24 if was_dead else _first_silent_hour(ledger, counter, since)
            ledger.open[counter] = Mark.DEAD
            ledger.mark(counter, start, day * 24 + 24, Mark.DEAD, day, over=True)
        elif was_dead:
            ledger.mark(counter, day * 24, _first_bike(ledger, counter, day), Mark.DEAD, day)
            ledger.open[counter] = Mark.NONE
    _find_long_silence(ledger, day, known)


def _find_long_silence(ledger: Ledger, day: int, known: GridMask) -> None:
    """Mark runs of zeros of a day's length or more that lie in no whole day."""
    limits = ledger.limits
    zero = ledger.seen[:, day] & (ledger.counts[:, day] == 0)
    end = day * 24 + np.arange(24)[None] + 1
    length = np.where(zero, end - ledger.run_start[:, day], 0)
    rested = known & (ledger.marks[:, day] != Mark.DEAD).any(1)
    for counter in np.flatnonzero(rested & (length.max(1) >= DAY_HOURS)).tolist():
        hour = int(length[counter].argmax())
        start, until = int(ledger.run_start[counter, day, hour]), int(end[0, hour])
        expected = float(ledger.expected[counter].reshape(-1)[start:until].sum())
        below = np.log((expected + 1.0) / (0.1 * expected + 1.0))
        if (
            expected >= limits.dead_bikes
            and below >= limits.zero_spreads * ledger.spread[counter, day]
            and start >= ledger.remember_from[counter] * 24
        ):
            ledger.mark(counter, start, until, Mark.DEAD, day, over=True)


def _dead_since(ledger: Ledger, counter: int, day: int) -> int | None:
    """Return the first of the silent days up to `day` that together cannot be chance; None where they can."""
    limits = ledger.limits
    for length in WINDOWS:
        first = day - length + 1
        if first < max(0, ledger.remember_from[counter]):
            return None
        least = limits.dead_mass - (0.05 if length > 1 else 0.0)
        if ledger.silent[counter, first : day + 1].min() < least:
            return None
        expected = float(ledger.expected_seen[counter, first : day + 1].sum())
        if expected < limits.dead_bikes:
            continue
        below = np.log((expected + 1.0) / (0.1 * expected + 1.0))
        if below >= limits.dead_spreads * ledger.spread[counter, day]:
            return first
    return None


def _never_counted(ledger: Ledger, day: int, new: GridMask) -> None:
    """Mark counters of unknown level that have sent nothing but zeros for two days, while most others count."""
    total = ledger.counts[:, day].sum(1)
    for counter in np.flatnonzero(new & (ledger.open == Mark.DEAD)).tolist():
        if total[counter] <= 3:
            ledger.mark(counter, day * 24, day * 24 + 24, Mark.DEAD, day)
        else:
            ledger.open[counter] = Mark.NONE
    for counter in np.flatnonzero(new & (total == 0) & (ledger.open != Mark.DEAD)).tolist():
        first = max(int(ledger.first[counter]), day - 1)
        hours = ledger.seen[counter, first : day + 1].sum()
        if ledger.counts[counter, first : day + 1].sum() > 0 or hours < 36:
            continue
        others = np.any(ledger.seen[:, day], axis=1)
        others[counter] = False
        counted = ledger.counts[others, first : day + 1].sum((1, 2))
        if len(counted) >= 2 and (counted > 0).mean() >= 0.7 and np.median(counted) >= 40:
            ledger.open[counter] = Mark.DEAD
            begun = int(ledger.first[counter])
            if ledger.counts[counter, begun : day + 1].sum() == 0:
                first = begun
            ledger.mark(counter, first * 24, day * 24 + 24, Mark.DEAD, day)


def _first_silent_hour(ledger: Ledger, counter: int, day: int) -> int:
    """Return the hour at which the silence before the start of `day` began, if a tenth of the day before is silent."""
    silent = _silent(ledger, counter)
    start = day * 24
    while start > max(0, day * 24 - 24) and silent[start - 1]:
        start -= 1
    expected = ledger.expected[counter].reshape(-1)
    before = expected[max(0, day * 24 - 24) : day * 24].sum()
    return start if expected[start : day * 24].sum() > 0.1 * before else day * 24


def _first_bike(ledger: Ledger, counter: int, day: int) -> int:
    """Return the hour of `day` that ends the silence, if a tenth of the day is silent; else the day's start."""
    silent = _silent(ledger, counter)
    end = day * 24
    while end < day * 24 + 24 and silent[end]:
        end += 1
    expected = ledger.expected[counter].reshape(-1)
    whole = expected[day * 24 : day * 24 + 24].sum()
    return end if expected[day * 24 : end].sum() > 0.1 * whole else day * 24


def _silent(ledger: Ledger, counter: int) -> GridMask:
    return silent_hours(
        ledger.counts[counter].reshape(-1),
        ledger.expected[counter].reshape(-1),
        ledger.seen[counter].reshape(-1),
    )


def find_sparse(ledger: Ledger, day: int) -> None:
    """Mark two days and more with few hours, and absences of absent_days or more, while the city publishes.

    A late or interrupted transmission leaves an incomplete day, and portals lose a day or two of single counters,
    mostly at the end of a month; neither says anything about the counter.
    """
    limits = ledger.limits
    city = ledger.city_publishes[day]
    published = ledger.grid.published[:, day]
    begun = day > ledger.first  # a counter is present for only part of its first day
    absent = begun & ~published.any(1)
    ledger.absent_days = np.where(absent, ledger.absent_days + 1, 0)
    if city.sum() < 12:
        return
    expected = ledger.expected[:, day]
    missing = ~published & city[None]
    whole = expected.sum(1)
    share = np.where(
        whole > 0,
        (expected * missing).sum(1) / np.maximum(whole, 1e-6),
        missing.sum(1) / city.sum(),
    )
    few = begun & (share >= limits.sparse_share) & (missing.sum(1) >= limits.sparse_hours)
    ledger.few_days = np.where(few, ledger.few_days + 1, 0)
    partly = (ledger.few_days >= 2) & (ledger.absent_days < ledger.few_days)
    gone = (ledger.absent_days >= limits.absent_days) & (ledger.absent_days <= limits.left_days)
    for counter in np.flatnonzero(few & (partly | gone)).tolist():
        back = min(int(ledger.few_days[counter]), limits.absent_days) - 1
        ledger.mark(counter, (day - back) * 24, day * 24 + 24, Mark.SPARSE, day)
