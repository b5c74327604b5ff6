"""Linear regression of daily values whose errors are alike on days that follow each other.

The errors are the sum of two first-order autoregressions, a fast and a slow one, with correlations
(1 - s) f^|days apart| + s SLOW^|days apart|. f and s are averaged over by their restricted likelihood. s has a prior,
because two years say little about slow changes, and an interval that ignores them is a third too narrow
(benchmarks/README.md). Days may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from velocast.model.arrays import Floats

FAST = (0.0, 0.2, 0.35, 0.5, 0.65, 0.8, 0.88, 0.94)
SLOW = 0.95
BESIDE_SLOW = FAST[:6]
SHARES = (0.1, 0.2)  # of the variance, in the slow one
FAR = 4.5  # robust standard deviations: a day further away is moved to this distance
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
    fitted = _average(days, _near(y, columns), columns, error_grid())
    coefficients = np.zeros(x.shape[1])
    covariance = np.zeros((x.shape[1], x.shape[1]))
    coefficients[kept] = fitted[0]
    covariance[np.ix_(kept, kept)] = fitted[1]
    return SerialFit(coefficients, covariance, len(y) - len(kept))


def error_grid() -> Floats:
    """Return the kinds of errors that are averaged over, (G, 4): fast and slow correlation, share of the slow one, and
    what each is thought to be worth before the days are seen: half that there is no slow one."""
    alone = [(fast, SLOW, 0.0) for fast in FAST]
    both = [(fast, SLOW, share) for fast in BESIDE_SLOW for share in SHARES]
    weights = [0.5 / len(alone)] * len(alone) + [0.5 / len(both)] * len(both)
    return np.column_stack([np.array(alone + both), weights])


def whiten(days: NDArray[np.int64], values: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """Return values whose errors are independent with variance s2, (G, T, K), and log det of the correlations, (G,).

    days: (T,); values: (T, K); grid: as of `error_grid`. A Kalman filter whose state is both autoregressions.
    """
    kinds = len(grid)
    out = np.empty((kinds, *values.shape))
    log_det = np.zeros(kinds)
    correlation = grid[:, :2]
    variance = np.column_stack([1 - grid[:, 2], grid[:, 2]])
    state = np.zeros((kinds, 2, values.shape[1]))
    still = variance[:, :, None] * np.eye(2)
    spread = still.copy()
    for t, gap in enumerate(np.diff(days, prepend=days[0])):
        if t:
            kept = correlation ** int(gap)
            both = kept[:, :, None] * kept[:, None, :]
            state *= kept[:, :, None]
            spread = both * (spread - still) + still
        toward = spread.sum(2)
        total = toward.sum(1)
        error = values[t] - state.sum(1)
        out[:, t] = error / np.sqrt(total)[:, None]
        gain = toward / total[:, None]
        state += gain[:, :, None] * error[:, None, :]
        spread = spread - gain[:, :, None] * toward[:, None, :]
        log_det += np.log(total)
    return out, log_det


def _average(days: NDArray[np.int64], y: Floats, x: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """Return coefficients and covariance over the grid, weighted by the restricted likelihood."""
    white, log_det = whiten(days, np.column_stack([x, y]), grid)
    wx, wy = white[:, :, :-1], white[:, :, -1]
    gram = wx.transpose(0, 2, 1) @ wx
    moment = np.einsum("gtk,gt->gk", wx, wy)
    inverse = np.linalg.inv(gram)
    each = np.einsum("gkj,gj->gk", inverse, moment)
    degrees = len(y) - x.shape[1]
    variance = ((wy - np.einsum("gtk,gk->gt", wx, each)) ** 2).sum(1) / degrees
    variance = np.maximum(variance, 1e-12)
    log_likelihood = -0.5 * (log_det + np.linalg.slogdet(gram)[1] + degrees * np.log(variance))
    weight = grid[:, 3] * np.exp(log_likelihood - log_likelihood.max())
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
