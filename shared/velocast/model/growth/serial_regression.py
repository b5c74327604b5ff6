"""Linear regression of daily values whose errors are alike on days that follow each other.

The errors are a first-order autoregression and white noise, var(e) = s2 ((1 - n) r^|days apart| + n). Both r and n are
averaged over by their restricted likelihood, so an interval also holds how little two years say about slow changes.
Days may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from velocast.model.arrays import Floats

CORRELATIONS = (0.0, 0.2, 0.35, 0.5, 0.6, 0.7, 0.78, 0.85, 0.9, 0.94, 0.97, 0.985, 0.993)
NOISES = (0.0, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95)
FAR = 4.5  # robust standard deviations: a day further away counts as one that lies there
_ALIKE = 1e-5  # share of a column that the columns before it must leave unexplained


@dataclass(frozen=True)
class SerialFit:
    """coefficients: (K,), 0 for a column that the ones before it explain. covariance: (K, K). degrees: of freedom."""

    coefficients: Floats
    covariance: Floats
    degrees: int

    def margin(self, contrast: Floats, probability: float) -> float:
        """Return half the width of the interval of contrast @ coefficients. contrast: (K,)."""
        spread = float(np.sqrt(contrast @ self.covariance @ contrast))
        return float(stdtrit(self.degrees, (1 + probability) / 2)) * spread


def fit_serial(days: NDArray[np.int64], y: Floats, x: Floats) -> SerialFit:
    """Fit y = x @ coefficients. days: (T,), increasing numbers of days; y: (T,); x: (T, K).

    Raises ValueError with no more days than independent columns.
    """
    kept = _independent(x)
    if len(y) <= len(kept) + 1:
        raise ValueError(f"{len(y)} days cannot tell {len(kept)} coefficients")
    columns = x[:, kept]
    grid = np.array([(r, n) for r in CORRELATIONS for n in NOISES if r or not n])
    fitted = _average(days, _near(y, columns), columns, grid)
    coefficients = np.zeros(x.shape[1])
    covariance = np.zeros((x.shape[1], x.shape[1]))
    coefficients[kept] = fitted[0]
    covariance[np.ix_(kept, kept)] = fitted[1]
    return SerialFit(coefficients, covariance, len(y) - len(kept))


def whiten(
    days: NDArray[np.int64], values: Floats, correlation: Floats, noise: Floats
) -> tuple[Floats, Floats]:
    """Return values whose errors are independent with variance s2, (G, T, K), and log det of the correlations, (G,).

    days: (T,); values: (T, K); correlation and noise: (G,), r and n.
    """
    out = np.empty((len(correlation), *values.shape))
    state = np.zeros((len(correlation), values.shape[1]))
    spread = 1 - noise
    log_det = np.zeros(len(correlation))
    gaps = np.diff(days, prepend=days[0])
    for t, gap in enumerate(gaps):
        if t:
            kept = correlation ** int(gap)
            state *= kept[:, None]
            spread = kept**2 * spread + (1 - kept**2) * (1 - noise)
        total = spread + noise
        error = values[t] - state
        gain = spread / total
        out[:, t] = error / np.sqrt(total)[:, None]
        state += gain[:, None] * error
        spread = spread * (1 - gain)
        log_det += np.log(total)
    return out, log_det


def _average(days: NDArray[np.int64], y: Floats, x: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """Return coefficients and covariance over the grid of (r, n), weighted by the restricted likelihood."""
    white, log_det = whiten(days, np.column_stack([x, y]), grid[:, 0], grid[:, 1])
    wx, wy = white[:, :, :-1], white[:, :, -1]
    gram = wx.transpose(0, 2, 1) @ wx
    moment = np.einsum("gtk,gt->gk", wx, wy)
    inverse = np.linalg.inv(gram)
    each = np.einsum("gkj,gj->gk", inverse, moment)
    degrees = len(y) - x.shape[1]
    variance = ((wy - np.einsum("gtk,gk->gt", wx, each)) ** 2).sum(1) / degrees
    variance = np.maximum(variance, 1e-12)
    log_likelihood = -0.5 * (log_det + np.linalg.slogdet(gram)[1] + degrees * np.log(variance))
    weight = np.exp(log_likelihood - log_likelihood.max())
    weight /= weight.sum()
    mean = weight @ each
    off = each - mean
    within = np.einsum("g,gkj->kj", weight * variance, inverse)
    return mean, within + (off * weight[:, None]).T @ off


def _near(y: Floats, x: Floats) -> Floats:
    """Return y with single far days moved to FAR robust standard deviations from what ordinary regression says."""
    fitted = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    spread = 1.4826 * float(np.median(np.abs(y - fitted)))
    return y if spread == 0 else np.clip(y, fitted - FAR * spread, fitted + FAR * spread)


def _independent(x: Floats) -> NDArray[np.int64]:
    """Return the positions of the columns that those before them do not explain."""
    kept: list[int] = []
    basis = np.empty((len(x), 0))
    for position, column in enumerate(x.T):
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        if np.linalg.norm(rest) > _ALIKE * max(float(np.linalg.norm(column)), 1e-12):
            kept.append(position)
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
    return np.array(kept, dtype=np.int64)
