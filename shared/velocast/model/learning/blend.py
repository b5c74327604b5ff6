"""The default kind: the weighted mean of boosters, a ridge regression and the mean of similar days.

The three err in different ways. Boosters learn what depends on several things at once, the ridge follows recent counts
beyond what trees have seen, and the mean of similar days is best where there is little to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from velocast.core.unknown import Unknown
from velocast.model.arrays import Floats
from velocast.model.evaluation import bootstrap
from velocast.model.features.preprocessing import similar_days_mean
from velocast.model.learning import regressors, ridge
from velocast.model.learning.level_correction import correct_level

VOICES = ("boosters", "ridge", "similar_days")
# The first are the usual weights. Four held-out weeks tell little about the weeks that follow: in all of five cities,
# the weights that were best on them did worse than these (ADR 19). So another candidate is chosen only where it is
# better by far, as in a city where learning does not pay.
CANDIDATES = ((0.3, 0.6, 0.1), (0.5, 0.5, 0.0), (0.0, 0.5, 0.5), (0.0, 0.0, 1.0))
CLEAR_GAIN = 0.05  # of the RMSE, at the least: the 5 % quantile over resampled days
CERTAINTY = 0.05
MIN_DAYS = 14


def initial_hyperparameters(test_mode: bool) -> dict[str, Any]:
    """Return the hyperparameters of the voices that are fitted, and the weights before any are learned."""
    return {
        "boosters": regressors.hyperparameters(test_mode)["gbm"],
        "ridge": ridge.HYPERPARAMETERS,
        "weights": _named(CANDIDATES[0]),
    }


def fit_blend(params: dict[str, Any], frame: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Fit boosters and ridge.

    params: as `initial_hyperparameters`. frame: feature frame whose rows all have a bike_count.
    """
    return {
        "boosters": regressors.fit_regressor("gbm", params["boosters"], frame, seed),
        "ridge": ridge.fit_ridge(params["ridge"], frame, seed),
        "weights": params["weights"],
    }


def learn_weights(fitted: dict[str, Any], held_out: pd.DataFrame, seed: int) -> dict[str, float]:
    """Return the weight of each of VOICES, chosen from CANDIDATES on rows that the voices were not fitted to.

    held_out: feature frame whose rows all have a bike_count. With fewer than MIN_DAYS days, or where no candidate gains
    CLEAR_GAIN, the weights are the usual ones.
    """
    if held_out["local_date"].nunique() < MIN_DAYS:
        return _named(CANDIDATES[0])
    error = _voices(fitted, held_out) - held_out[["bike_count"]].to_numpy(dtype="float64")
    squares = pd.DataFrame((error @ np.transpose(CANDIDATES)) ** 2, index=held_out.index)
    resampled = bootstrap.resampled_days(
        squares, held_out["local_date"], seed=seed, resamples=bootstrap.RESAMPLES
    )
    if isinstance(resampled, Unknown):
        return _named(CANDIDATES[0])
    sums, _ = resampled
    usual = np.maximum(sums[:, :1], np.finfo(float).tiny)
    gains = np.quantile(1.0 - np.sqrt(sums / usual), CERTAINTY, axis=0)
    best = int(np.argmax(gains))
    return _named(CANDIDATES[best if gains[best] >= CLEAR_GAIN else 0])


def blended_counts(fitted: dict[str, Any], frame: pd.DataFrame) -> Floats:
    """Return forecast counts, (n,), bikes per hour, >= 0, corrected by the level of the days before the origin."""
    weights = [fitted["weights"][voice] for voice in VOICES]
    return np.asarray(_voices(fitted, frame) @ weights, dtype="float64")


def _named(weights: Sequence[float]) -> dict[str, float]:
    return dict(zip(VOICES, weights, strict=True))


def _voices(fitted: dict[str, Any], frame: pd.DataFrame) -> Floats:
    """Return what each of VOICES forecasts, (n, 3). The mean of similar days follows the level by itself."""
    boosted = regressors.predict_counts(fitted["boosters"], frame)
    linear = ridge.predict_ridge(fitted["ridge"], frame)
    return np.column_stack(
        [correct_level(frame, boosted), correct_level(frame, linear), similar_days_mean(frame)]
    )
