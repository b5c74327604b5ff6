"""Lasting changes of level: halved, doubled and others."""

from __future__ import annotations

import numpy as np

from velocast.model.faults.expectation import LEAST_COVERAGE, DayView
from velocast.model.faults.kinds import LEVELS, Mark, level_of
from velocast.model.faults.ledger import GridMask, GridValues, Ledger

LONGEST = 7  # days that are judged together
NEAR = (
    0.5,
    0.95,
    0.4,
)  # least and largest mean and least day (logarithms) of a change that is near one half or double
LIKEWISE = 0.5  # share of a counter's change that the other direction must show
DAYS_AFTER_ACCEPTED = 5


def find_levels(ledger: Ledger, day: int, view: DayView) -> None:
    """Mark counters whose level has changed, from the first day of the change; end changes that are over.

    A change that lasts accept_days is the counter's new level: its marks are taken back.
    """
    free = (ledger.marks[:, day] == Mark.NONE).any(1)
    judged = view.known & (view.coverage >= LEAST_COVERAGE) & free
    _leave_out_marked_hours(ledger, day, judged)
    ledger.adjusted[~judged, day] = np.nan
    _forget_usual_multiples(ledger, day)
    has_level = judged & np.isin(ledger.open, LEVELS)
    for counter in np.flatnonzero(has_level).tolist():
        _continue(ledger, counter, day)
    fresh = judged & ~has_level
    for length in range(2, LONGEST + 1):
        since = day - length + 1
        if since < 0:
            break
        hit, mean = _changed(ledger, since, day)
        for counter in np.flatnonzero(hit & fresh).tolist():
            fresh[counter] = False
            _begin(ledger, counter, since, day, float(mean[counter]))


def _changed(ledger: Ledger, since: int, day: int) -> tuple[GridMask, GridValues]:
    """Return whose level has changed since a day, and the mean change (logarithm)."""
    limits = ledger.limits
    length = day - since + 1
    change = ledger.adjusted[:, since : day + 1]
    mean = change.mean(1)
    least, largest = np.abs(change).min(1), np.abs(mean)
    spread = ledger.spread[:, since : day + 1].mean(1)
    significance = largest * np.sqrt(length) / (spread * np.sqrt(1.0 + 0.2 * (length - 1)))
    near = (largest >= NEAR[0]) & (largest <= NEAR[1]) & (least >= NEAR[2])
    asked = np.where(near, limits.near_spreads[length - 2], limits.level_spreads[length - 2])
    recent = [
        sum(n > day - limits.repeat_days for n in changes) for changes in ledger.level_changes
    ]
    asked = asked * (1.0 + limits.repeats * np.array(recent))
    # every count a multiple of one number: bikes are counted several times
    multiple = (ledger.multiple[:, since : day + 1].min(1) > 1) & (mean > 0)
    asked = np.where(multiple, limits.multiple_spreads, asked)
    hit = (np.sign(change) == np.sign(mean)[:, None]).all(1) & (significance >= asked)
    hit &= largest >= np.where(multiple, 0.3, limits.level_change)
    hit &= least >= np.where(multiple, 0.1, limits.level_each_day)
    hit &= (ledger.marks[:, since : day + 1] == Mark.NONE).any(2).all(1)
    hit &= since >= ledger.remember_from + DAYS_AFTER_ACCEPTED
    return hit & ~_other_direction_too(ledger, mean), mean


def _other_direction_too(ledger: Ledger, change: GridValues) -> GridMask:
    """Return whose other direction at the same site has changed likewise: people went elsewhere, no counter failed."""
    likewise = np.zeros(ledger.counters, bool)
    for one, other in (ledger.grid.pairs.T, ledger.grid.pairs[:, ::-1].T):
        share = np.nan_to_num(change[other]) / np.where(change[one] == 0, 1.0, change[one])
        likewise[one] |= share >= LIKEWISE
    return likewise


def _begin(ledger: Ledger, counter: int, since: int, day: int, change: float) -> None:
    kind = level_of(float(np.exp(change)))
    ledger.level_changes[counter].append(day)
    ledger.open[counter] = kind
    ledger.since[counter] = since
    ledger.level[counter] = change
    ledger.normal_days[counter] = 0
    ledger.mark(counter, since * 24, day * 24 + 24, kind, day)


def _continue(ledger: Ledger, counter: int, day: int) -> None:
    """Mark a day that is nearer to the changed level than to the usual one; two other days end the change."""
    change = float(ledger.adjusted[counter, day])
    if np.isnan(change):
        return
    if abs(change - ledger.level[counter]) >= abs(change):
        ledger.normal_days[counter] += 1
        if ledger.normal_days[counter] >= 2:
            ledger.open[counter] = Mark.NONE
        return
    ledger.normal_days[counter] = 0
    ledger.mark(counter, day * 24, day * 24 + 24, Mark(int(ledger.open[counter])), day)
    before = day - int(ledger.since[counter])
    mean = (ledger.level[counter] * before + change) / (before + 1)
    ledger.level[counter] = np.clip(mean, -3.0, 3.0)
    if before + 1 >= ledger.limits.accept_days:
        _accept(ledger, counter, day)


def _accept(ledger: Ledger, counter: int, day: int) -> None:
    since = int(ledger.since[counter])
    marks = ledger.marks[counter, since : day + 1]
    marks[ledger.is_level(marks)] = Mark.NONE
    ledger.remember_from[counter] = since
    ledger.open[counter] = Mark.NONE


def _leave_out_marked_hours(ledger: Ledger, day: int, judged: GridMask) -> None:
    """Judge the level of a day by its hours without a mark; NaN where they are too few."""
    marked = (ledger.marks[:, day] != Mark.NONE).any(1)
    for counter in np.flatnonzero(judged & marked).tolist():
        hours = ledger.seen[counter, day] & (ledger.marks[counter, day] == Mark.NONE)
        expected = ledger.expected[counter, day]
        ratio = np.nan
        if expected[hours].sum() > LEAST_COVERAGE * expected.sum():
            counted = ledger.counts[counter, day][hours].sum()
            ratio = float(np.log((counted + 1.0) / (expected[hours].sum() + 1.0)))
        ledger.adjusted[counter, day] += ratio - ledger.log_ratio[counter, day]
        ledger.log_ratio[counter, day] = ratio


def _forget_usual_multiples(ledger: Ledger, day: int) -> None:
    """Ignore the common multiple of a counter whose counts often have one: it is no sign of a fault."""
    first = max(0, day - 56)
    often = (ledger.multiple[:, first:day] > 1).sum(1) > 0.2 * max(day - first, 1)
    ledger.multiple[often, day] = 1
