"""Stuck counters: one value hour after hour, or the same day again."""

from __future__ import annotations

import numpy as np

from velocast.model.faults.kinds import Mark
from velocast.model.faults.ledger import GridMask, Ledger

LAGS = (1, 7)  # days after which a day may come again
LEAST_BIKES, LEAST_HOURS = 20, 6  # a repeated day with less is no evidence


def find_stuck(ledger: Ledger, day: int, known: GridMask) -> None:
    """Mark runs of one value above 0 that are too improbable, and days that equal an earlier one hour by hour."""
    _add_surprise(ledger, day)
    counts, seen = ledger.counts[:, day], ledger.seen[:, day]
    end = day * 24 + np.arange(24)[None] + 1
    start = ledger.run_start[:, day]
    surprise = ledger.surprise[:, day * 24 + 1 : day * 24 + 25] - np.take_along_axis(
        ledger.surprise, start, axis=1
    )
    stuck = known[:, None] & seen & (counts > 0)
    stuck &= (end - start >= ledger.limits.stuck_hours) & (surprise >= ledger.limits.stuck_nats)
    for counter, hour in np.argwhere(stuck).tolist():
        ledger.mark(counter, start[counter, hour], end[0, hour], Mark.STUCK, day, over=True)
    enough = (seen.sum(1) >= 20) & (counts.sum(1) >= LEAST_BIKES)
    enough &= (counts > 0).sum(1) >= LEAST_HOURS
    for lag in LAGS:
        if day < lag:
            continue
        same = enough & (~seen | (counts == ledger.counts[:, day - lag])).all(1)
        if same.sum() >= max(2.0, 0.5 * enough.sum()):
            continue  # many counters repeat it: that is how the city publishes
        for counter in np.flatnonzero(same).tolist():
            first = day - 1 if lag == 1 else day
            ledger.mark(counter, first * 24, day * 24 + 24, Mark.STUCK, day, over=True)


def _add_surprise(ledger: Ledger, day: int) -> None:
    """Add up minus the logarithm of each hour's probability, that of a normal distribution around what is expected."""
    expected = ledger.expected[:, day]
    variance = expected + (0.35 * expected) ** 2 + 0.5
    density = np.exp(-((ledger.counts[:, day] - expected) ** 2) / (2.0 * variance))
    probability = np.clip(density / np.sqrt(2.0 * np.pi * variance), 2.5e-3, 0.6)
    nats = np.where(ledger.seen[:, day], -np.log(probability), 0.0)
    before = ledger.surprise[:, day * 24 : day * 24 + 1]
    ledger.surprise[:, day * 24 + 1 : day * 24 + 25] = before + np.cumsum(nats, axis=1)
