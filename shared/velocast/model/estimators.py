"""The kinds of model behind one interface: fit, predict, describe, to and from bytes.

What each kind learns is in `learners`; all are moved by what the last days' forecasts missed (`day_level`) and get
their intervals from `intervals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pandas as pd

from velocast.ground.errors import TooLittleHistory
from velocast.model import day_level, intervals, learners, storage
from velocast.model.features import FEATURE_DEFINITION, FEATURES
from velocast.model.intervals import Calibration, Floats
from velocast.model.learners import Kind

__all__ = ["Kind", "TrainedModel", "fit", "library_versions"]

TASK = "forecast"


@dataclass(frozen=True)
class TrainedModel:
    """A fitted estimator with all that is needed to forecast with it."""

    kind: str
    task: str
    feature_definition: str
    estimator: Any
    calibration: Calibration
    seed: int
    params: dict[str, Any]

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Forecast each row of a feature frame, also of a counter without history.

        frame: (n, any) of `usecases.feature_frames.read`; where the `day_level.DAYS` origins before one are in it too,
        that one's forecasts are moved by what theirs missed. Returns (n, 4) with its index: predicted_count, lower and
        upper (90 %, 0 <= lower <= predicted_count <= upper), busy_probability (NaN where a counter has no threshold).
        """
        return intervals.apply(frame, _expected(self.estimator, frame), self.calibration)

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
        card = storage.Card(
            kind=self.kind,
            task=self.task,
            feature_definition=self.feature_definition,
            seed=self.seed,
            params=self.params,
            calibration=self.calibration,
            library_versions=library_versions(),
        )
        return storage.pack(self.estimator, card)

    @staticmethod
    def from_bytes(data: bytes) -> TrainedModel:
        """Load a stored model without executing code.

        Raises ModelUnusable when it is no model, was made by another scikit-learn or for other features, or holds
        a type that is not on the list.
        """
        estimator, card = storage.unpack(data, feature_definition=FEATURE_DEFINITION)
        return TrainedModel(
            card.kind,
            card.task,
            card.feature_definition,
            estimator,
            card.calibration,
            card.seed,
            card.params,
        )


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide what a model forecasts."""
    return {name: version(name) for name in ("numpy", "pandas", "scikit-learn", "skops")}


def fit(
    kind: Kind,
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
    params = learners.settings(test_mode)[kind]
    estimator = learners.fitted(kind, params, known, seed)
    errors = intervals.calibrate(held_out.assign(predicted_count=_expected(estimator, held_out)))
    if not held_out.empty:
        estimator = learners.fitted(
            kind, params, pd.concat([known, held_out], ignore_index=True), seed
        )
    return TrainedModel(kind, TASK, FEATURE_DEFINITION, estimator, errors, seed, params)


def _with_actuals(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["bike_count"].notna()]


def _expected(estimator: Any, frame: pd.DataFrame) -> Floats:
    return day_level.corrected(frame, learners.expected(estimator, frame))
