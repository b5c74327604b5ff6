"""The forecaster of counts, for all kinds of regressor: fit, predict, describe, to and from bytes.

`blend` or one of `regressors` forecasts counts, and `level_correction` corrects them by the errors of the last days,
in a blend also of the last two weeks. Intervals come from `intervals.conformal`, in units of a learned scale
(`residual_scale`) that is adapted to recent errors (`adaptive`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

import pandas as pd

from velocast.core.errors import TooLittleHistory
from velocast.core.kinds import ForecastKind
from velocast.model.arrays import Floats
from velocast.model.evaluation import reference_models
from velocast.model.features.definition import FEATURE_DEFINITION, FEATURES
from velocast.model.intervals import adaptive, conformal, residual_scale
from velocast.model.intervals.conformal import Calibration
from velocast.model.learning import (
    blend,
    blend_weights,
    level_correction,
    regressors,
    serialization,
)

TASK = "forecast"
# Share of the boosters' rows in the first fit, which serves only to learn weights and errors (ADR 36).
TRIAL_SHARE = 0.5


@dataclass(frozen=True)
class TrainedModel:
    """A fitted estimator with all that is needed to forecast.

    estimator: a dictionary of `forecast`, from `blend` or `regressors`, `spread`, from `residual_scale` (None where too
    few errors were known), and `power`, the power of it to which intervals are proportional.
    params: the hyperparameters; of a blend also the weights that it learned, and what of the calendar its ridge uses.
    calibration: the error distribution of the model; similar_days: that of the mean of similar days, which forecasts
    counters with too little history for the model.
    learned_until: end (exclusive, UTC) of the counts that the model was trained on.
    """

    kind: str
    task: str
    feature_definition: str
    estimator: Any
    calibration: Calibration
    similar_days: Calibration
    learned_until: datetime
    seed: int
    params: dict[str, Any]

    @property
    def recent_days(self) -> int:
        """Days before an origin in which the model's errors can adjust its forecasts."""
        forecast = self.estimator["forecast"]
        moves_weights = isinstance(forecast, dict) and "errors" in forecast
        return blend_weights.RECENT_DAYS if moves_weights else adaptive.DAYS

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Forecast each row of a feature frame, also of counters without history.

        frame: (n, any) from `usecases.feature_store.read_features`. If it includes the preceding origins of an origin
        (`recent_days`), their errors correct its forecasts and adapt its intervals, and in a young city the weights of
        a blend (`blend_weights`).
        Returns (n, 7) with the frame's index: predicted_count, lower and upper (90 %, 0 <= lower <= predicted_count <=
        upper), q25, q50 and q75 (quantiles), busy_probability (NaN where a counter has no threshold).
        """
        expected = _expected(self.estimator["forecast"], frame, self.learned_until)
        if self.estimator["spread"] is None:
            return conformal.add_intervals(frame, expected, self.calibration)
        power = self.estimator.get("power", residual_scale.EARLIER_POWER)
        scale = residual_scale.predict_scale(self.estimator["spread"], frame, expected, power)
        scale = adaptive.adapt_scale(frame, expected, scale, self.calibration, self.learned_until)
        return conformal.add_intervals(frame, expected, self.calibration, scale)

    def describe(self) -> dict[str, Any]:
        """Return what is logged about the model: names, hyperparameters, seed, sizes."""
        return {
            "kind": self.kind,
            "task": self.task,
            "feature_definition": self.feature_definition,
            "features": list(FEATURES),
            "seed": self.seed,
            "params": self.params,
            "calibration_rows": self.calibration.rows,
        }

    def to_bytes(self) -> bytes:
        """Serialize the model in skops format; equal models give equal bytes."""
        card = serialization.ForecasterCard(
            kind=self.kind,
            task=self.task,
            feature_definition=self.feature_definition,
            seed=self.seed,
            params=self.params,
            calibration=self.calibration,
            similar_days=self.similar_days,
            learned_until=self.learned_until,
            library_versions=library_versions(),
        )
        return serialization.pack(self.estimator, card)

    @staticmethod
    def from_bytes(data: bytes) -> TrainedModel:
        """Load a stored model without executing code.

        Raises ModelUnusable when the bytes are no model, when the model was made with another scikit-learn version or
        for other features, or when it contains a type that is not trusted.
        """
        estimator, card = serialization.unpack_forecaster(data)
        return TrainedModel(
            card.kind,
            card.task,
            card.feature_definition,
            estimator,
            card.calibration,
            card.similar_days,
            card.learned_until,
            card.seed,
            card.params,
        )


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that affect a model's forecasts."""
    return {name: version(name) for name in ("numpy", "pandas", "scikit-learn", "skops")}


def fit_forecaster(
    kind: ForecastKind,
    train: pd.DataFrame,
    calibration: pd.DataFrame,
    *,
    seed: int,
    test_mode: bool = False,
) -> TrainedModel:
    """Fit a model on `train`, learn its errors on `calibration`, then fit it again on both.

    train, calibration: feature frames with bike_count (rows without are left out). The origins of calibration must be
    later than those of train, or the intervals are too narrow. test_mode: fits in seconds; the model is not usable.
    Raises TooLittleHistory when train has no counts.
    """
    known, held_out = _with_actuals(train), _with_actuals(calibration)
    if known.empty:
        raise TooLittleHistory(
            f"training a {kind}: none of {len(train)} rows has a count and a history; backfill earlier counts"
        )
    params = _hyperparameters(kind, test_mode)
    if kind == "blend":
        params = blend.chosen_hyperparameters(params, known, seed)
    estimator = _fit(kind, _for_trial(kind, params), [known], seed)
    weighed: dict[str, Any] = {}
    if kind == "blend":
        days = pd.concat([known["local_date"], held_out["local_date"]]).nunique()
        weighed = blend.learn_weights(estimator, held_out, days, seed)
        params = params | {"weights": weighed["weights"]}
        estimator = estimator | weighed
    expected = _expected(estimator, held_out, None)
    usual, scale = residual_scale.fit_residual_scale(held_out, expected, seed)
    errors = conformal.calibrate(
        held_out.assign(predicted_count=expected), None if usual is None else scale
    )
    if not held_out.empty:  # not joined into one frame, which would take 130 MB in Paris
        estimator = _fit(kind, params, [known, held_out], seed)
        if weighed:
            estimator = estimator | weighed
    last = pd.concat([known["target_at"], held_out["target_at"]]).max()
    return TrainedModel(
        kind=kind,
        task=TASK,
        feature_definition=FEATURE_DEFINITION,
        estimator={"forecast": estimator, "spread": usual, "power": residual_scale.POWER},
        calibration=errors,
        similar_days=reference_models.calibrate_similar_days(held_out),
        learned_until=(last + pd.Timedelta(hours=1)).to_pydatetime(),
        seed=seed,
        params=params,
    )


def _hyperparameters(kind: ForecastKind, test_mode: bool) -> dict[str, Any]:
    return (
        blend.initial_hyperparameters(test_mode)
        if kind == "blend"
        else regressors.hyperparameters(test_mode)[kind]
    )


def _for_trial(kind: ForecastKind, params: dict[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters of the fit without the held-out rows: its boosters learn from fewer rows."""
    if kind == "blend":
        return params | {"boosters": _for_trial("gbm", params["boosters"])}
    if kind == "gbm":
        return params | {"max_rows": round(TRIAL_SHARE * params["max_rows"])}
    return params


def _fit(
    kind: ForecastKind, params: dict[str, Any], frames: Sequence[pd.DataFrame], seed: int
) -> Any:
    if kind == "blend":
        return blend.fit_blend(params, frames, seed)
    return regressors.fit_regressor(kind, params, frames, seed)


def _with_actuals(frame: pd.DataFrame) -> pd.DataFrame:
    known = frame["bike_count"].notna()
    return frame if known.all() else frame[known]  # a frame of a year takes 90 MB


def _expected(estimator: Any, frame: pd.DataFrame, learned_until: datetime | None) -> Floats:
    if isinstance(estimator, dict):
        return blend.blended_counts(estimator, frame, learned_until)
    return level_correction.correct_level(frame, regressors.predict_counts(estimator, frame))
