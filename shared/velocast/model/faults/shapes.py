"""Days whose hours fit another counter or another clock: swapped directions and shifted clocks."""

from __future__ import annotations

import numpy as np

from velocast.model.faults.kinds import LEVELS, Mark
from velocast.model.faults.ledger import SHIFTS, GridMask, Ledger

LITTLE = 0.3  # bikes per hour added to what is expected, so that no hour is impossible
WINDOWS = (2, 3, 4, 5, 6, 7)  # days that are judged together
LEAST_ALIKE_DAYS = 2


def find_swapped(ledger: Ledger, day: int, known: GridMask) -> None:
    """Mark counters of one site that each fit the other's expectation better than their own, on two days or more."""
    pairs, limits = ledger.grid.pairs, ledger.limits
    if not len(pairs):
        return
    one, other = pairs.T
    both = ledger.seen[one, day] & ledger.seen[other, day]
    mine, theirs = ledger.expected[one, day] + LITTLE, ledger.expected[other, day] + LITTLE
    ratio = np.log(theirs / mine)
    noise = ledger.noise
    first = ((ledger.counts[one, day] * ratio - (theirs - mine)) * both).sum(1) / noise[one]
    second = ((-ledger.counts[other, day] * ratio - (mine - theirs)) * both).sum(1) / noise[other]
    judged = known[one] & known[other] & (both.sum(1) >= 12)
    judged &= (ledger.alike_days[one] >= LEAST_ALIKE_DAYS) & (
        ledger.alike_days[other] >= LEAST_ALIKE_DAYS
    )
    gain = np.where(judged[:, None], np.stack([first, second], axis=1), -1.0)
    ledger.swap_gain[:, day] = gain
    alive = gain.sum(1) > 0
    for length in WINDOWS:
        since = day - length + 1
        if since < 0:
            break
        alive &= (ledger.swap_gain[:, since : day + 1].sum(2) > 0).all(1)
        summed = ledger.swap_gain[:, since : day + 1].sum(1)
        hit = alive & (summed.min(1) > limits.swap_gain / 4) & (summed.sum(1) > limits.swap_gain)
        for pair in np.flatnonzero(hit).tolist():
            alive[pair] = False
            _mark_swap(ledger, int(one[pair]), int(other[pair]), since, day)


def _mark_swap(ledger: Ledger, one: int, other: int, since: int, day: int) -> None:
    for counter, partner in ((one, other), (other, one)):
        marks = ledger.marks[counter, since : day + 1]
        # what looked like a change of level or of the clock is the other direction's
        new = (marks == Mark.NONE) | np.isin(marks, (*LEVELS, Mark.CLOCK_SHIFT))
        new &= ~ledger.grid.accepted[counter, since : day + 1]
        ledger.found[counter, since : day + 1][new] = day
        marks[new] = Mark.SWAPPED
        ledger.detail[counter, since : day + 1] = partner
        if ledger.open[counter] in LEVELS:
            ledger.open[counter] = Mark.NONE


def find_shifted(ledger: Ledger, day: int, known: GridMask) -> None:
    """Mark days whose hours fit a clock that is 1 to 12 hours early or late, two days or more in a row."""
    if day < 1:
        return
    limits = ledger.limits
    judged = known & ledger.seen[:, day].all(1) & ledger.seen[:, day - 1].all(1)
    judged &= (ledger.marks[:, day] == Mark.NONE).all(1) & (ledger.alike_days >= LEAST_ALIKE_DAYS)
    which = np.flatnonzero(judged)
    if not len(which):
        return
    ledger.shift_gain[which, day] = _shift_gain(ledger, which, day)
    found = np.zeros(ledger.counters, bool)
    for length in WINDOWS:
        since = day - length + 1
        if since < 1:
            break
        gain = ledger.shift_gain[:, since : day + 1]
        summed = np.nan_to_num(gain.sum(1), nan=-1.0)
        best = summed.argmax(1)
        rows = np.arange(ledger.counters)
        hit = judged & ~found & (summed[rows, best] > limits.shift_gain) & (SHIFTS[best] != 0)
        hit &= (gain[rows, :, best] > 0).all(1)
        hit &= (ledger.marks[:, since : day + 1] == Mark.NONE).all((1, 2))
        for counter in np.flatnonzero(hit).tolist():
            ledger.mark(counter, since * 24, day * 24 + 24, Mark.CLOCK_SHIFT, day)
            ledger.detail[counter, since : day + 1] = SHIFTS[best[counter]]
            found[counter] = True
    going_on = judged & ~found & (ledger.marks[:, day - 1] == Mark.CLOCK_SHIFT).any(1)
    for counter in np.flatnonzero(going_on).tolist():
        gain = ledger.shift_gain[counter, day]
        if gain.max() > limits.shift_gain / 6:
            ledger.mark(counter, day * 24, day * 24 + 24, Mark.CLOCK_SHIFT, day)
            ledger.detail[counter, day] = SHIFTS[gain.argmax()]


def _shift_gain(ledger: Ledger, which: np.ndarray, day: int) -> np.ndarray:
    """Return by how much each shift fits the day's hours better than none, less what it does in the whole city."""
    today = ledger.expected[which, day]
    expected = np.concatenate([ledger.expected[which, day - 1], today, today], axis=1) + LITTLE
    counts, noise = ledger.counts[which, day], ledger.noise[which]
    likelihood = []
    for shift in SHIFTS:
        hours = expected[:, 24 - shift : 48 - shift]
        share = hours / hours.sum(1, keepdims=True)
        likelihood.append((counts * np.log(share)).sum(1) / noise)
    gain = np.stack(likelihood, axis=1)
    gain -= gain[:, [len(SHIFTS) // 2]]
    if len(which) >= 5:
        gain -= np.maximum(np.median(gain, axis=0), 0.0)[None]
    return gain
