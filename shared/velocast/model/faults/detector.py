"""The detector: one day after the other, each judged by what was known at its end. Later days may revise it."""

from __future__ import annotations

from collections.abc import Collection

from velocast.model.faults.day_grid import DayGrid
from velocast.model.faults.expectation import expect, learn
from velocast.model.faults.kinds import Mark
from velocast.model.faults.ledger import Ledger
from velocast.model.faults.levels import find_levels
from velocast.model.faults.limits import DEFAULT, FaultLimits
from velocast.model.faults.repetition import find_stuck
from velocast.model.faults.shapes import find_shifted, find_swapped
from velocast.model.faults.silence import find_dead, find_sparse
from velocast.model.faults.spikes import find_spikes


def find_faults(
    grid: DayGrid, limits: FaultLimits = DEFAULT, *, dead: Collection[str] = frozenset()
) -> Ledger:
    """Return what is to be said of all hours of a grid once its last day is over.

    dead: counters that were dead before the grid begins; they remain so until they count. Leaving out the
    days that follow changes no marks except those that a later day takes back or adds.
    """
    ledger = Ledger(grid, limits)
    ledger.open[[name in dead for name in grid.counters]] = Mark.DEAD
    for day in range(ledger.days):
        view = expect(ledger, day)
        find_dead(ledger, day, view.known)
        find_stuck(ledger, day, view.known)
        find_spikes(ledger, day)
        find_sparse(ledger, day)
        find_swapped(ledger, day, view.known)
        find_shifted(ledger, day, view.known)
        find_levels(ledger, day, view)
        learn(ledger, day, view)
    return ledger
