"""What the other counters say of an hour: the mean of a normal distribution, given their deviations in that hour.

A deviation is the logarithm of count over usual count. Its covariance between counters carries the city's day, the
weather, the neighbours and the other direction: whatever moved together before and after the gap.
"""

from __future__ import annotations

import numpy as np

from velocast.model.arrays import Booleans, Floats
from velocast.model.gaps.limits import GapLimits

UNSEEN = 1e4  # variance of a deviation that nobody has seen: it then says nothing
LEAST_VARIANCE, LEAST_EIGENVALUE, MOST_CORRELATION = 0.01, 0.02, 0.98
HOURS_AT_ONCE = 512  # bounds the memory of the matrices


def covariance(deviation: Floats, noise: Floats, limits: GapLimits) -> Floats:
    """Return the covariance (C, C) of deviations (C, T) without their noise (C, T), shrunk and positive definite."""
    weight = np.where(noise < UNSEEN, 1.0 / (noise + 0.05), 0.0)
    weighted = deviation * weight
    found = weighted @ weighted.T / np.maximum(weight @ weight.T, 1e-9)
    square = weight**2
    own = (square * (deviation**2 - noise)).sum(1) / np.maximum(square.sum(1), 1e-9)
    scale = np.sqrt(np.maximum(own, LEAST_VARIANCE))
    correlation = (1.0 - limits.shrinkage) * found / scale[:, None] / scale
    correlation = np.clip(correlation, -MOST_CORRELATION, MOST_CORRELATION)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    definite = (vectors * np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
    return np.asarray(definite * scale[:, None] * scale)


def told_by_peers(deviation: Floats, noise: Floats, limits: GapLimits) -> tuple[Floats, Floats]:
    """Return mean and variance, both (C, T), of each deviation given the others' of its hour, without its own.

    deviation: (C, T), 0 where not seen. noise: (C, T), UNSEEN where not seen.
    """
    between = covariance(deviation, noise, limits)
    counters, hours = deviation.shape
    mean, variance = np.zeros_like(deviation), np.zeros_like(deviation)
    diagonal = np.arange(counters)
    for first in range(0, hours, HOURS_AT_ONCE):
        part = slice(first, first + HOURS_AT_ONCE)
        values, noises = deviation[:, part].T, noise[:, part].T
        matrices = np.repeat(between[None], len(values), 0)
        matrices[:, diagonal, diagonal] += noises
        precision = np.linalg.inv(matrices)
        own = precision[:, diagonal, diagonal]
        mean[:, part] = (values - np.einsum("tcd,td->tc", precision, values) / own).T
        variance[:, part] = np.maximum(1.0 / own - noises, 0.0).T
    return mean, variance


def heard(seen: Booleans) -> Booleans:
    """Return (C, D, 24): whether another counter was seen in the hour."""
    return np.asarray(seen.sum(0)[None] - seen > 0)
