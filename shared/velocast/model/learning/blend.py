"""The default kind: the weighted mean of boosters, a ridge regression and two means of past counts.

They err in different ways. Boosters learn what depends on several things at once, the ridge follows recent counts
beyond what trees have seen, the mean of similar days is best where there is little to learn, and the mean of the same
weekday knows that a Friday is not a Tuesday.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats
from velocast.model.features.preprocessing import (
    FeatureRows,
    same_weekday_mean,
    similar_days_mean,
)
from velocast.model.learning import blend_weights, regressors, ridge
from velocast.model.learning.blend_weights import CANDIDATES, DailyErrors, voices_of
from velocast.model.learning.calendar_choice import choose_calendar
from velocast.model.learning.level_correction import DailyRatios, correct_level


def initial_hyperparameters(test_mode: bool) -> dict[str, Any]:
    """Return the hyperparameters of the voices that are fitted, and the weights before any are learned."""
    return {
        "boosters": regressors.hyperparameters(test_mode)["gbm"],
        "ridge": ridge.HYPERPARAMETERS,
        "weights": blend_weights.named(CANDIDATES[0]),
    }


def chosen_hyperparameters(
    params: dict[str, Any], frame: pd.DataFrame, seed: int
) -> dict[str, Any]:
    """Return the hyperparameters with the columns of the calendar that pay. Arguments as for `fit_blend`."""
    calendar = choose_calendar(params["ridge"], frame, seed)
    return params | {"ridge": params["ridge"] | {"calendar": calendar}}


def fit_blend(params: dict[str, Any], frame: FeatureRows, seed: int) -> dict[str, Any]:
    """Fit boosters and ridge.

    params: as `initial_hyperparameters`. frame: one or several feature frames whose rows all have a bike_count.
    """
    return {
        "boosters": regressors.fit_regressor("gbm", params["boosters"], frame, seed),
        "ridge": ridge.fit_ridge(params["ridge"], frame, seed),
        "weights": params["weights"],
    }


def learn_weights(
    fitted: dict[str, Any], held_out: pd.DataFrame, learned_days: int, seed: int
) -> dict[str, Any]:
    """Return what is to be kept with the fitted voices: `weights`, `levels` and, of a young city, `errors`.

    held_out: feature frame whose rows all have a bike_count, to which the voices were not fitted. learned_days: days
    with counts to learn from, the held-out ones among them; with `blend_weights.MATURE_DAYS`, no errors are kept.
    """
    learned = _learned(fitted, held_out)
    levels = {
        voice: asdict(DailyRatios.of(held_out, expected)) for voice, expected in learned.items()
    }
    voices = _voices(fitted | {"levels": levels}, learned, held_out, None)
    kept = {
        "levels": levels,
        "weights": blend_weights.named(blend_weights.choose_weights(voices, held_out, seed)),
    }
    if learned_days >= blend_weights.MATURE_DAYS:
        return kept
    errors = DailyErrors.of(voices, held_out)
    return kept | {"errors": {"days": errors.days, "products": errors.products}}


def blended_counts(
    fitted: dict[str, Any], frame: pd.DataFrame, learned_until: datetime | None
) -> Floats:
    """Return forecast counts, (n,), bikes per hour, >= 0.

    frame: (n, any). Counts of the days before an origin, in the frame or kept from training, correct the level of its
    forecasts and, in a young city, move the weights (`level_correction`, `blend_weights`). learned_until: end of the
    counts that the voices were fitted to; None if the frame is what was held out of the fit.
    """
    voices = _voices(fitted, _learned(fitted, frame), frame, learned_until)
    kept = fitted.get("errors")  # those of young cities only
    weights = blend_weights.weights_of_origins(
        frame,
        voices,
        tuple(fitted["weights"][voice] for voice in voices_of(fitted["weights"])),
        None if kept is None else DailyErrors(kept["days"], kept["products"]),
        learned_until,
    )
    return np.asarray((voices * weights).sum(axis=1), dtype="float64")


def _learned(fitted: dict[str, Any], frame: pd.DataFrame) -> dict[str, Floats]:
    """Return what each voice that is fitted forecasts, (n,), before its level is corrected."""
    return {
        "boosters": regressors.predict_counts(fitted["boosters"], frame),
        "ridge": ridge.predict_ridge(fitted["ridge"], frame),
    }


def _voices(
    fitted: dict[str, Any],
    learned: dict[str, Floats],
    frame: pd.DataFrame,
    learned_until: datetime | None,
) -> Floats:
    """Return what each voice of the model forecasts, (n, v). Means of counts follow the level by themselves."""
    levels = fitted.get("levels", {})  # models from before ADR 37 have none
    known = {voice: DailyRatios(**ratios) for voice, ratios in levels.items()}
    made = {
        voice: correct_level(frame, expected, known.get(voice), learned_until)
        for voice, expected in learned.items()
    }
    made |= {"similar_days": similar_days_mean(frame), "same_weekday": same_weekday_mean(frame)}
    return np.column_stack([made[voice] for voice in voices_of(fitted["weights"])])
