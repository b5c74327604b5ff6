"""Autoregressive noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def autocorrelated_noise(
    rng: np.random.Generator, shape: tuple[int, int], *, correlation: float, std: float
) -> Floats:
    """Draw first-order autoregressive series along axis 0, standard deviation `std`, lag-1 `correlation`."""
    steps = rng.normal(0, std * np.sqrt(1 - correlation**2), shape)
    steps[0] = rng.normal(0, std, shape[1])
    for row in range(1, shape[0]):
        steps[row] += correlation * steps[row - 1]
    return steps
