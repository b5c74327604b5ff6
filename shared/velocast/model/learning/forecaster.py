"""The kinds of model behind one interface: fit, predict, describe, to and from bytes.

What each kind learns is in `learners`; all are moved by what the last days' forecasts missed (`day_level`) and get
their intervals from `intervals`, in units of an error learned too (`spread`) and kept up to date (`recent`).
"""

from __future__ import annotations

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
from velocast.model.learning import level_correction, regressors, serialization

TASK = "forecast"


@dataclass(frozen=True)
class TrainedModel:
    """A fitted estimator with all that is needed to forecast with it.

    estimator: the `forecast` of `learners` and the `spread` of its errors, None where too few were known.
    similar_days: how far the mean of similar days misses, for counters that the model knows too little of.
    learned_until: no count at or after it was learned from (UTC).
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

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Forecast each row of a feature frame, also of a counter without history.

        frame: (n, any) of `usecases.feature_store.read_features`; where the `day_level.DAYS` and `recent.DAYS` origins before
        one are in it too, that one's forecasts are moved by what theirs missed, and its intervals widened or narrowed.
        Returns (n, 4) with its index: predicted_count, lower and
        upper (90 %, 0 <= lower <= predicted_count <= upper), busy_probability (NaN where a counter has no threshold).
        """
        expected = _expected(self.estimator["forecast"], frame)
        if self.estimator["spread"] is None:
            return conformal.add_intervals(frame, expected, self.calibration)
        scale = residual_scale.predict_scale(self.estimator["spread"], frame, expected)
        scale = adaptive.adapt_scale(frame, expected, scale, self.calibration, self.learned_until)
        return conformal.add_intervals(frame, expected, self.calibration, scale)

    def describe(self) -> dict[str, Any]:
        """What is logged about the model: names, settings, seed, sizes."""
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
        """Store the model in skops format; equal models give equal bytes."""
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

        Raises ModelUnusable when it is no model, was made by another scikit-learn or for other features, or holds
        a type that is not on the list.
        """
        estimator, card = serialization.unpack_forecaster(
            data, feature_definition=FEATURE_DEFINITION
        )
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
    """Versions of the libraries that decide what a model forecasts."""
    return {name: version(name) for name in ("numpy", "pandas", "scikit-learn", "skops")}


def fit_forecaster(
    kind: ForecastKind,
    train: pd.DataFrame,
    calibration: pd.DataFrame,
    *,
    seed: int,
    test_mode: bool = False,
) -> TrainedModel:
    """Fit a model, learn from `calibration` how far it misses, then fit it again on both.

    train, calibration: feature frames with bike_count (rows without are left out), the latter of origins after those of
    train and not among them, else the intervals come out too narrow. test_mode: seconds, and worth nothing.
    Raises TooLittleHistory when train has no actuals.
    """
    known, held_out = _with_actuals(train), _with_actuals(calibration)
    if known.empty:
        raise TooLittleHistory(
            f"training a {kind}: none of {len(train)} rows has a count and a history; backfill earlier counts"
        )
    params = regressors.hyperparameters(test_mode)[kind]
    estimator = regressors.fit_regressor(kind, params, known, seed)
    expected = _expected(estimator, held_out)
    usual, scale = residual_scale.fit_residual_scale(held_out, expected, seed)
    errors = conformal.calibrate(
        held_out.assign(predicted_count=expected), None if usual is None else scale
    )
    everything = pd.concat([known, held_out], ignore_index=True)
    if not held_out.empty:
        estimator = regressors.fit_regressor(kind, params, everything, seed)
    return TrainedModel(
        kind=kind,
        task=TASK,
        feature_definition=FEATURE_DEFINITION,
        estimator={"forecast": estimator, "spread": usual},
        calibration=errors,
        similar_days=reference_models.calibrate_similar_days(held_out),
        learned_until=(everything["target_at"].max() + pd.Timedelta(hours=1)).to_pydatetime(),
        seed=seed,
        params=params,
    )


def _with_actuals(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["bike_count"].notna()]


def _expected(estimator: Any, frame: pd.DataFrame) -> Floats:
    return level_correction.correct_level(frame, regressors.predict_counts(estimator, frame))
