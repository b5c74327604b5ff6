"""What a counter's own hours and days beside a gap say of it, beyond what its peers explain."""

from __future__ import annotations

import numpy as np

from velocast.model.arrays import Booleans, Floats
from velocast.model.gaps.limits import GapLimits

REACH_HOURS, REACH_DAYS, MOST = 12, 30, 1.5
NEAR = 0.5  # weight of seen hours from which the hours beside a gap are called near


def level_beside(left: Floats, precision: Floats, limits: GapLimits) -> Floats:
    """Return the counter's level (C, D) on the days before and after each day, as a deviation.

    left: (C, D, 24), deviations that peers do not explain. precision: (C, D, 24), 0 where not seen.
    """
    kernel = _kernel(limits.near_days, REACH_DAYS)
    top = _around((np.clip(left, -MOST, MOST) * precision).sum(2), kernel)
    weight = _around(precision.sum(2), kernel)
    return np.asarray(top / (weight + limits.near_days_prior))


def hours_beside(left: Floats, precision: Floats, limits: GapLimits) -> Floats:
    """Return the deviation (C, D, 24) of the hours before and after each hour; arguments as for `level_beside`."""
    flat = (left.shape[0], -1)
    kernel = _kernel(limits.near_hours, REACH_HOURS)
    clipped = np.clip(left, -MOST, MOST) * precision
    top = _around(clipped.reshape(flat), kernel)
    weight = _around(precision.reshape(flat), kernel)
    return np.asarray((top / (weight + limits.near_hours_prior)).reshape(left.shape))


def near(seen: Booleans, limits: GapLimits) -> Booleans:
    """Return (C, D, 24): whether the counter itself was seen in the hours around."""
    kernel = _kernel(limits.near_hours, REACH_HOURS)
    hours = seen.reshape(len(seen), -1).astype(np.float64)
    weight = _around(hours, kernel)
    return np.asarray((weight >= NEAR).reshape(seen.shape))


def _around(values: Floats, kernel: Floats) -> Floats:
    """Return the sums of values (C, T) around each, weighted by the kernel; beyond the ends is nothing."""
    reach, length = len(kernel) // 2, values.shape[1]
    padded = np.pad(values, ((0, 0), (reach, reach)))
    total = np.zeros_like(values)
    for first, weight in enumerate(kernel):
        if weight:
            total += weight * padded[:, first : first + length]
    return total


def _kernel(decay: float, reach: int) -> Floats:
    kernel = np.exp(-np.abs(np.arange(-reach, reach + 1)) / decay)
    kernel[reach] = 0.0
    return np.asarray(kernel)
