"""Every kind of model behind one interface, and the task it is for."""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd

from velocast.core.kinds import Kind
from velocast.model.learning import busy_classifier, forecaster, serialization
from velocast.model.learning.busy_classifier import BusyModel
from velocast.model.learning.forecaster import TrainedModel

SEED = 20210503  # of every fit: the same counts give the same model


class Model(Protocol):
    """What `TrainedModel` (counts) and `BusyModel` (busy hours) have in common."""

    @property
    def task(self) -> str:
        """What it is for."""

    @property
    def feature_definition(self) -> str:
        """The features it was trained on."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return what it says of each row of a feature frame."""

    def describe(self) -> dict[str, Any]:
        """What is logged about it."""

    def to_bytes(self) -> bytes:
        """Store it."""


def fit_model(
    kind: Kind, train: pd.DataFrame, held_out: pd.DataFrame, *, seed: int, test_mode: bool = False
) -> TrainedModel | BusyModel:
    """Fit a model of a kind; train and held_out as for `estimators.fit`, a classifier learns from both."""
    if kind == "affluence":
        rows = pd.concat([train, held_out], ignore_index=True)
        return busy_classifier.fit_busy_classifier(rows, seed=seed, test_mode=test_mode)
    return forecaster.fit_forecaster(kind, train, held_out, seed=seed, test_mode=test_mode)


def from_bytes(data: bytes) -> TrainedModel | BusyModel:
    """Load a stored model of any kind. Raises ModelUnusable."""
    if serialization.stored_task(data) == busy_classifier.TASK:
        return BusyModel.from_bytes(data)
    return TrainedModel.from_bytes(data)


def primary_output(model: Model, frame: pd.DataFrame) -> pd.Series[float]:
    """Return the one number of each row by which two models of a task are compared: a count, or a probability.

    Rows of which a classifier can say nothing are 0 for both.
    """
    predicted = model.predict(frame)
    name = "busy_probability" if model.task == busy_classifier.TASK else "predicted_count"
    return predicted[name].fillna(0.0)
