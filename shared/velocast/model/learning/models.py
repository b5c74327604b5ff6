"""One interface for all kinds of model: forecasters of counts and the busy-hour classifier."""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd

from velocast.core.kinds import AFFLUENCE, Kind
from velocast.model.learning import busy_classifier, forecaster, serialization
from velocast.model.learning.busy_classifier import BusyModel
from velocast.model.learning.forecaster import TrainedModel

SEED = 20210503  # for every fit, so that the same counts give the same model


class Model(Protocol):
    """What `TrainedModel` (counts) and `BusyModel` (busy hours) have in common."""

    @property
    def task(self) -> str:
        """The task of the model."""

    @property
    def feature_definition(self) -> str:
        """The feature definition it was trained with."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the predictions for the rows of a feature frame."""

    def describe(self) -> dict[str, Any]:
        """Return what is logged about the model."""

    def to_bytes(self) -> bytes:
        """Serialize the model."""


def fit_model(
    kind: Kind, train: pd.DataFrame, held_out: pd.DataFrame, *, seed: int, test_mode: bool = False
) -> TrainedModel | BusyModel:
    """Fit a model of a kind. train, held_out: as for `fit_forecaster`; a classifier is trained on both."""
    if kind == AFFLUENCE:
        rows = pd.concat([train, held_out], ignore_index=True)
        return busy_classifier.fit_busy_classifier(rows, seed=seed, test_mode=test_mode)
    return forecaster.fit_forecaster(kind, train, held_out, seed=seed, test_mode=test_mode)


def from_bytes(data: bytes) -> TrainedModel | BusyModel:
    """Load a stored model of any kind. Raises ModelUnusable."""
    if serialization.stored_task(data) == busy_classifier.TASK:
        return BusyModel.from_bytes(data)
    return TrainedModel.from_bytes(data)


def primary_output(model: Model, frame: pd.DataFrame) -> pd.Series[float]:
    """Return the number of each row by which two models of a task are compared: predicted count or probability.

    Rows for which a classifier gives no probability are 0.
    """
    predicted = model.predict(frame)
    name = "busy_probability" if model.task == busy_classifier.TASK else "predicted_count"
    return predicted[name].fillna(0.0)
