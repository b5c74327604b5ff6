"""Series that remember where they were."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def autocorrelated(
    rng: np.random.Generator, shape: tuple[int, int], *, keep: float, spread: float
) -> Floats:
    """Draw a first-order autoregressive series along axis 0 with standard deviation `spread`."""
    steps = rng.normal(0, spread * np.sqrt(1 - keep**2), shape)
    steps[0] = rng.normal(0, spread, shape[1])
    for row in range(1, shape[0]):
        steps[row] += keep * steps[row - 1]
    return steps
