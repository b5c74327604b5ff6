"""Estimates of all hours of some counters, each made as if its own count were not known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velocast.model.arrays import Floats
from velocast.model.gaps import beside, peers, spread
from velocast.model.gaps.limits import DEFAULT, GapLimits
from velocast.model.gaps.usual import day_weights, usual_hours

MOST = 2.5  # counts are limited to within a factor e^2.5 of the usual one for comparison
BASES = ("usual", "usual+peers", "usual+beside", "usual+peers+beside")


@dataclass(frozen=True)
class HourEstimates:
    """Bikes per hour, (C, D, 24) each; NaN where too little is known. basis: positions in BASES."""

    mean: Floats
    lower: Floats
    upper: Floats
    basis: NDArray[np.int8]


def estimate_hours(
    counts: NDArray[np.floating],
    weekdays: NDArray[np.int64],
    day_types: NDArray[np.int8],
    limits: GapLimits = DEFAULT,
) -> HourEstimates:
    """Estimate every hour from the others.

    counts: (C, D, 24), bikes per hour; NaN where there is none or none that is usable. weekdays, day_types: (D,), as
    for `day_weights`. The sum of a counter's estimates over its counted hours is that of its counts, up to a quarter.
    """
    seen = ~np.isnan(counts)
    known = np.nan_to_num(counts).astype(np.float64)
    weights = day_weights(weekdays, day_types, limits)
    shape, flat = known.shape, (len(known), -1)
    told = np.zeros(shape)
    for _ in range(limits.rounds):
        usual, days = usual_hours(known, seen, weights, np.exp(told))
        base = usual + limits.pseudo
        deviation = np.where(seen, np.log((known + limits.pseudo) / base), 0.0).clip(-MOST, MOST)
        own_noise = limits.overdispersion / base + limits.noise
        noise = np.where(seen, own_noise, peers.UNSEEN)
        mean, variance = peers.told_by_peers(deviation.reshape(flat), noise.reshape(flat), limits)
        told, uncertain = mean.reshape(shape), variance.reshape(shape)
    precision = np.where(seen, 1.0 / (own_noise + 0.05), 0.0)
    left = deviation - told
    level = beside.level_beside(left, precision, limits)[:, :, None]
    far = told + level
    close = far + beside.hours_beside(left - level, precision, limits)
    near = beside.near(seen, limits)
    chosen = np.where(near, close, far)
    size = np.sqrt(uncertain + own_noise)
    enough = days >= limits.least_weight
    low, high = _limits_of(deviation, (far, close), size, usual, seen & enough, near)
    estimate = _bikes(base, chosen, limits)
    counted = seen & enough
    ratio = ((known * counted).sum((1, 2)) + 50.0) / ((estimate * counted).sum((1, 2)) + 50.0)
    estimate = estimate * np.clip(ratio, 0.8, 1.25)[:, None, None]
    basis = peers.heard(seen).astype(np.int8) + 2 * near.astype(np.int8)
    return HourEstimates(
        mean=np.where(enough, estimate, np.nan),
        lower=np.where(enough, np.minimum(_bikes(base, low, limits), estimate), np.nan),
        upper=np.where(enough, np.maximum(_bikes(base, high, limits), estimate), np.nan),
        basis=basis,
    )


def _limits_of(
    deviation: Floats,
    centres: tuple[Floats, Floats],
    size: Floats,
    usual: Floats,
    learn: NDArray[np.bool_],
    near: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Return the interval's ends as deviations: of estimates far from the counter's own hours, and near to them."""
    ends = []
    for centre in centres:
        score = (deviation - centre) / size
        scale = spread.own_scale(score, learn)
        low, high = spread.score_limits(score / scale, usual, learn)
        ends.append((centre + low * scale * size, centre + high * scale * size))
    (far_low, far_high), (near_low, near_high) = ends
    return np.where(near, near_low, far_low), np.where(near, near_high, far_high)


def _bikes(base: Floats, deviation: Floats, limits: GapLimits) -> Floats:
    return np.maximum(base * np.exp(deviation) - limits.pseudo, 0.0)
