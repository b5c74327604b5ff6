"""Spikes: single hours with more bikes than the counter has ever had, on a day that is not busy as a whole."""

from __future__ import annotations

import numpy as np

from velocast.model.faults.kinds import Mark
from velocast.model.faults.ledger import GridMask, GridValues, Ledger

LEAST_DAYS = 5


def find_spikes(ledger: Ledger, day: int) -> None:
    """Mark hours far above the counter's credible level: its highest hour of the day, exceeded on one day in fifty.

    An otherwise busy day, an unsteady counter, and other counters that surge in the same hour make a fault less likely.
    """
    limits = ledger.limits
    counts, seen = ledger.counts[:, day], ledger.seen[:, day]
    expected = ledger.expected[:, day]
    known = _credible_level(ledger, day)
    if known is None:
        return
    level, days = known
    high = seen & (counts > 3.0 * expected + 10.0)
    rest = np.where(seen & ~high, counts, 0.0).sum(1)
    usual_rest = np.where(seen & ~high, expected, 0.0).sum(1)
    busy = np.maximum((rest + 5.0) / (usual_rest + 5.0), 1.0)
    busy = (busy * np.exp(2.0 * np.clip(ledger.spread[:, day] - 0.25, 0.0, 1.0)))[:, None]
    limit = level[:, None] * np.minimum(busy, 4.0)
    spikes = (counts > limits.spike_times * limit + limits.spike_bikes) & (
        counts > 5.0 * expected * busy + 10.0
    )
    spikes |= (counts > limits.spike_times_hour * (expected + 2.0) * busy) & (
        counts > 1.5 * limit + limits.spike_bikes
    )
    spikes &= seen & (days >= LEAST_DAYS)[:, None]
    surging = (counts > 1.5 * level[:, None]) | (counts > 2.5 * expected + 10.0)
    others = surging.sum(0)[None] - spikes >= max(2.0, 0.08 * ledger.counters)
    for one, other in (ledger.grid.pairs.T, ledger.grid.pairs[:, ::-1].T):
        np.logical_or.at(others, one, surging[other])
    beyond_all = (counts > 6.0 * level[:, None]) & (counts > 20.0 * expected)
    spikes &= ~others | beyond_all
    few = spikes.sum(1) <= limits.spike_hours  # more are a change of level
    ledger.mark_cells(day, spikes & few[:, None], Mark.SPIKE)


def _credible_level(ledger: Ledger, day: int) -> tuple[GridValues, GridValues] | None:
    """Return each counter's credible level, at least 1, and of how many days it is; None on the first day."""
    usable: GridMask = ledger.usable
    if not usable.shape[1]:
        return None
    first = day - usable.shape[1]
    highest = np.where(usable, ledger.counts[:, first:day], -1.0).max(2)
    days = (highest >= 0).sum(1)
    ranked = np.sort(highest, axis=1)
    place = np.clip(ranked.shape[1] - 1 - np.floor(0.02 * days).astype(np.int64), 0, None)
    return np.maximum(ranked[np.arange(ledger.counters), place], 1.0), days
