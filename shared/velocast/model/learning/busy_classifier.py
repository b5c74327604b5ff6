"""The busy-hour classifier: the probability that an hour is above the 75th percentile of the counter's last 28 days.

It uses the features of the forecaster, with the history divided by the counter's threshold, so that all counters share
what is learned. An hour is predicted busy from a probability that is chosen in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from velocast.core import kinds
from velocast.core.errors import TooLittleHistory
from velocast.model.arrays import Floats
from velocast.model.evaluation.classification_metrics import (
    Bools,
    balanced_accuracy,
    is_busy,
    labelled_rows,
)
from velocast.model.features.definition import (
    FEATURE_DEFINITION,
    FEATURES,
    HISTORY,
    TREE_FEATURES,
    feature_matrix,
)
from velocast.model.features.preprocessing import fill_empty_columns
from velocast.model.learning import serialization
from velocast.model.learning.forecaster import library_versions
from velocast.model.parallel import in_parallel

KIND = TASK = kinds.AFFLUENCE
SMALLEST_THRESHOLD = 1.0  # bikes per hour: keeps a nearly idle counter from giving huge ratios
# Every fourth week is held out to choose the threshold. The last four weeks alone would fit it to their own level: in
# Paris in May 2021, after a curfew, they gave 0.05, while 0.25 was best for the following weeks.
HELD_OUT_WEEKS = 4
CANDIDATES = np.round(np.arange(0.02, 0.99, 0.01), 2)
AS_GOOD = 0.001  # balanced accuracies this close count as equal; the candidate closest to the base rate is chosen
_IN_BIKES = [FEATURES.index(name) for name in HISTORY]


class BusyClassifierCard(serialization.ModelCard):
    """Card of a busy-hour classifier. threshold: the probability from which an hour is predicted busy."""

    threshold: float
    base_rate: float


@dataclass(frozen=True)
class BusyModel:
    """A fitted classifier with all that is needed to predict busy hours."""

    kind: str
    task: str
    feature_definition: str
    estimator: Any
    threshold: float
    base_rate: float
    seed: int
    params: dict[str, Any]

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return (n, 2) with the frame's index: busy_probability (NaN without a threshold) and busy (then False).

        frame: (n, any) from `usecases.feature_store.read_features`.
        """
        probability = np.full(len(frame), np.nan)
        known = frame["busy_threshold"].notna().to_numpy()
        if known.any():
            probability[known] = _probabilities(self.estimator, frame[known])
        columns = {"busy_probability": probability, "busy": probability >= self.threshold}
        return pd.DataFrame(columns, index=frame.index)

    def describe(self) -> dict[str, Any]:
        """Return what is logged about the model: names, hyperparameters, seed, threshold."""
        return {
            "kind": self.kind,
            "task": self.task,
            "feature_definition": self.feature_definition,
            "features": list(FEATURES),
            "seed": self.seed,
            "params": self.params,
            "threshold": self.threshold,
            "base_rate": self.base_rate,
        }

    def to_bytes(self) -> bytes:
        """Serialize the model in skops format; equal models give equal bytes."""
        card = BusyClassifierCard(
            kind=self.kind,
            task=self.task,
            feature_definition=self.feature_definition,
            seed=self.seed,
            params=self.params,
            threshold=self.threshold,
            base_rate=self.base_rate,
            library_versions=library_versions(),
        )
        return serialization.pack(self.estimator, card)

    @staticmethod
    def from_bytes(data: bytes) -> BusyModel:
        """Load a stored model without executing code. Raises ModelUnusable as `TrainedModel.from_bytes`."""
        estimator, card = serialization.unpack_as(BusyClassifierCard, data)
        return BusyModel(
            card.kind,
            card.task,
            card.feature_definition,
            estimator,
            card.threshold,
            card.base_rate,
            card.seed,
            card.params,
        )


def fit_busy_classifier(rows: pd.DataFrame, *, seed: int, test_mode: bool = False) -> BusyModel:
    """Fit a classifier without every fourth week, choose the threshold on those weeks, then fit it on all weeks.

    rows: feature frame with bike_count and busy_threshold (rows without are left out). test_mode: fits in seconds; the
    model is not usable. Raises TooLittleHistory when no hour, or every hour, was busy.
    """
    known = labelled_rows(rows).reset_index(drop=True)
    busy = is_busy(known).to_numpy(dtype=bool)
    if not busy.any() or busy.all():
        raise TooLittleHistory(
            f"training a classifier of busy hours: {int(busy.sum())} of {len(known)} rows with a count and a threshold "
            "are busy, both classes are needed; backfill earlier counts"
        )
    params = _params(test_mode)
    base_rate = float(busy.mean())
    held_out = _held_out(known)
    threshold = base_rate
    learned = [np.ones(len(known), dtype=bool)]
    if busy[~held_out].any() and not busy[~held_out].all() and held_out.any():
        learned.append(~held_out)
    estimator, *trials = in_parallel(lambda own: _fit(params, known[own], busy[own], seed), learned)
    for trial in trials:
        threshold = choose_threshold(
            _probabilities(trial, known[held_out]), busy[held_out], base_rate
        )
    return BusyModel(KIND, TASK, FEATURE_DEFINITION, estimator, threshold, base_rate, seed, params)


def choose_threshold(probability: Floats, busy: Bools, base_rate: float) -> float:
    """Return the probability threshold with the best balanced accuracy.

    probability, busy: (n,) of held-out rows. Returns base_rate when all of them are of one class.
    """
    scores = [balanced_accuracy(busy, probability >= candidate) for candidate in CANDIDATES]
    found = [(c, s) for c, s in zip(CANDIDATES, scores, strict=True) if s is not None]
    if not found:
        return base_rate
    best = max(score for _, score in found)
    as_good = [float(c) for c, score in found if score >= best - AS_GOOD]
    return min(as_good, key=lambda candidate: abs(candidate - base_rate))


def _params(test_mode: bool) -> dict[str, Any]:
    return {
        "max_iter": 10 if test_mode else 80,
        "learning_rate": 0.2 if test_mode else 0.06,
        "max_leaf_nodes": 31,
        "min_samples_leaf": 20 if test_mode else 200,
        "max_features": 0.4,
        "l2_regularization": 50.0,
    }


def _held_out(rows: pd.DataFrame) -> Bools:
    """Return which rows are in every fourth week, counted back from the newest week, which is not held out."""
    days = pd.to_datetime(rows["local_date"])
    weeks = (days.max() - days).dt.days.to_numpy() // 7
    return np.asarray(weeks % HELD_OUT_WEEKS == 1)


def _fit(params: dict[str, Any], rows: pd.DataFrame, busy: Bools, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    x = _inputs(rows)
    estimator = HistGradientBoostingClassifier(**params, early_stopping=False, random_state=seed)
    return estimator.fit(fill_empty_columns(x), busy)


def _probabilities(estimator: Any, frame: pd.DataFrame) -> Floats:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="openmp"):
        x = _inputs(frame, estimator.n_features_in_ - 1)
        return np.asarray(estimator.predict_proba(x)[:, 1], dtype="float64")


def _inputs(frame: pd.DataFrame, features: int = len(TREE_FEATURES)) -> Floats:
    """Return features with the history divided by the threshold, and the threshold as a logarithm.

    features: how many of FEATURES, from the first; a model of an earlier definition knows fewer.
    """
    x = feature_matrix(frame)
    threshold = np.maximum(frame["busy_threshold"].to_numpy(dtype="float64"), SMALLEST_THRESHOLD)
    x[:, _IN_BIKES] /= threshold[:, None]
    return np.column_stack([x[:, :features], np.log(threshold)])
