"""The usual hours of a counter, from the days before and after: similar days weigh more, near days too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from velocast.model.arrays import Booleans, Floats
from velocast.model.faults.day_grid import DAY_TYPES
from velocast.model.gaps.limits import GapLimits

SUNDAY = 6
REST = DAY_TYPES.index("rest")


def day_weights(
    weekdays: NDArray[np.int64], day_types: NDArray[np.int8], limits: GapLimits
) -> Floats:
    """Return how much each day tells about each other one, (D, D), before and after alike; nothing about itself.

    weekdays: (D,), Monday is 0. day_types: (D,), positions in DAY_TYPES. A holiday is like a Sunday.
    """
    kinds = np.where(day_types == REST, SUNDAY, weekdays)
    days = np.arange(len(kinds))
    alike = np.where(day_types[:, None] == day_types, limits.alike, limits.other)
    weights = np.where(kinds[:, None] == kinds, 1.0, alike)
    weights = weights * np.exp(-np.abs(days[:, None] - days) / limits.decay_days)
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights)


def usual_hours(
    counts: Floats, seen: Booleans, weights: Floats, factor: Floats
) -> tuple[Floats, Floats]:
    """Return each hour's usual count and the weight of the days it rests on, both (C, D, 24).

    counts: (C, D, 24), 0 where not seen. factor: (C, D, 24), what the peers explain of each hour: a rainy day's counts
    are divided by it, as a ratio of sums, so that quiet hours do not outweigh busy ones.
    """
    number = np.tensordot(seen.astype(np.float64), weights, ([1], [1])).transpose(0, 2, 1)
    top = np.tensordot(counts * seen, weights, ([1], [1])).transpose(0, 2, 1)
    bottom = np.tensordot(factor * seen, weights, ([1], [1])).transpose(0, 2, 1)
    return (top + 1e-3) / (bottom + 1e-2), number
