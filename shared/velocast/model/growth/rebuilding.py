"""Estimates for hours without a usable count: the counter's usual day, at its level, scaled by the city's day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velocast.model.arrays import Floats

ROUNDS = 4
AROUND = 28  # days on either side from which a counter's level is taken
SHRINK = 3.0  # days at the usual level that each level is mixed with


@dataclass(frozen=True)
class Rebuilt:
    """counts: (C, D, 24), bikes per hour, NaN only for a counter without any count. estimated: (C, D, 24)."""

    counts: Floats
    estimated: NDArray[np.bool_]


Rebuild = Callable[[Floats, NDArray[np.int8]], Rebuilt]


def rebuild_from_usual_days(counts: Floats, day_types: NDArray[np.int8]) -> Rebuilt:
    """Estimate the missing hours of all counters.

    counts: (C, D, 24), bikes per hour, NaN where missing or not usable. day_types: (D,), days of a type are alike.
    The estimate is usual(counter, type, hour) x city(day) x level(counter, days around).
    """
    counts = np.asarray(counts, dtype="float64")
    there = ~np.isnan(counts)
    known = np.where(there, counts, 0.0)
    kinds = [day_types == kind for kind in np.unique(day_types)]
    scale = np.ones(counts.shape[:2])
    usual = _usual(known, there, scale, kinds)
    for _ in range(ROUNDS):
        expected = np.where(there, usual, 0.0).sum(2)
        counted = known.sum(2)
        level = _levels(counted, expected * _city(counted, expected)[None, :])
        scale = level * _city(counted, expected * level)[None, :]
        usual = _usual(known, there, scale, kinds)
    return Rebuilt(np.where(there, counts, usual * scale[:, :, None]), ~there)


def _usual(
    known: Floats, there: NDArray[np.bool_], scale: Floats, kinds: list[NDArray[np.bool_]]
) -> Floats:
    """Return what each counter, day and hour has at the scale 1, (C, D, 24)."""
    weight = there * scale[:, :, None]
    every = _ratio(known.sum(1), weight.sum(1))
    usual = np.empty(known.shape)
    for days in kinds:
        own = _ratio(known[:, days].sum(1), weight[:, days].sum(1))
        usual[:, days] = np.where(np.isnan(own), every, own)[:, None, :]
    # an hour that was never counted has the mean of the counter's hours
    return np.where(np.isnan(usual), np.nanmean(usual, axis=2, keepdims=True), usual)


def _city(counted: Floats, expected: Floats) -> Floats:
    """Return the city's factor of each day, (D,); 1 where no counter counted."""
    factor = _ratio(np.nansum(counted, axis=0), np.nansum(expected, axis=0))
    return np.where(np.isnan(factor), 1.0, factor)


def _levels(counted: Floats, expected: Floats) -> Floats:
    """Return the level of each counter around each day, (C, D): 1 is the usual one.

    Where nothing was counted around a day, the level is that of the nearest days on both sides.
    """
    days = counted.shape[1]
    expected = np.nan_to_num(expected)
    sums = [np.cumsum(np.pad(a, ((0, 0), (1, 0))), axis=1) for a in (counted, expected)]
    low = np.maximum(np.arange(days) - AROUND, 0)
    high = np.minimum(np.arange(days) + AROUND + 1, days)
    near, usual = (total[:, high] - total[:, low] for total in sums)
    mean = expected.sum(1) / np.maximum((expected > 0).sum(1), 1)
    level = _ratio(near + SHRINK * mean[:, None], usual + SHRINK * mean[:, None])
    known = usual > 0
    for own, there in zip(level, known, strict=True):
        if there.any():
            own[:] = np.interp(np.arange(days), np.flatnonzero(there), own[there])
    return np.asarray(np.where(np.isnan(level) | (level <= 0), 1.0, level))


def _ratio(above: Floats, below: Floats) -> Floats:
    result = np.full(above.shape, np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result
