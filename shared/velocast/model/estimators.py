"""The kinds of model behind one interface: fit, predict, describe, to and from bytes.

All kinds learn the same thing: how far the count lies from the mean of similar days, in units of the counter's level,
weighted so that it is the squared error in bikes that counts. What they learn of one counter so serves every other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import pandas as pd

from velocast.ground.errors import TooLittleHistory
from velocast.model import intervals, similar_days, storage
from velocast.model.features import FEATURE_DEFINITION, FEATURES, HISTORY, matrix
from velocast.model.intervals import Calibration, Floats

Kind = Literal["gbm", "rf", "nn"]
TASK = "forecast"
SMALLEST_LEVEL = (
    1.0  # bikes per hour: a counter that hardly counts must not turn noise into huge ratios
)
LARGEST_RATIO = 30.0  # forecasts stop at this many times the level
_HISTORY_COLUMNS = len(HISTORY)
_LEVEL = FEATURES.index("level")


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

        frame: (n, any) of `usecases.feature_frames.read`. Returns (n, 4) with its index: predicted_count, lower, upper
        (90 %, 0 <= lower <= predicted_count <= upper), busy_probability (NaN where a counter has no threshold).
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
    params = _params(test_mode)[kind]
    estimator = _fit(kind, params, known, seed)
    errors = intervals.calibrate(held_out.assign(predicted_count=_expected(estimator, held_out)))
    if not held_out.empty:
        estimator = _fit(kind, params, pd.concat([known, held_out], ignore_index=True), seed)
    return TrainedModel(kind, TASK, FEATURE_DEFINITION, estimator, errors, seed, params)


def _with_actuals(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["bike_count"].notna()]


def _params(test_mode: bool) -> dict[str, dict[str, Any]]:
    return {
        "gbm": {
            "max_iter": 10 if test_mode else 150,
            "learning_rate": 0.08,
            "max_leaf_nodes": 31,
            "min_samples_leaf": 100,
        },
        "rf": {
            "n_estimators": 5 if test_mode else 30,
            "min_samples_leaf": 20,
            "max_features": 0.4,
            "max_samples": 0.15,
        },
        "nn": {
            "hidden_layer_sizes": [16] if test_mode else [32, 16],
            "max_iter": 3 if test_mode else 8,
            "batch_size": 200 if test_mode else 2000,
            "alpha": 0.01,
        },
    }


def _fit(kind: Kind, params: dict[str, Any], frame: pd.DataFrame, seed: int) -> Any:
    base, level = _base_and_level(frame)
    target = (frame["bike_count"].to_numpy(dtype="float64") - base) / level
    weight = level**2 / np.mean(level**2)
    return _FITTERS[kind](params, _scaled(frame, base, level), target, weight, seed)


def _fit_gbm(params: dict[str, Any], x: Floats, y: Floats, weight: Floats, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    estimator = HistGradientBoostingRegressor(**params, early_stopping=False, random_state=seed)
    # A young city knows no value four weeks back, and scikit-learn 1.9 cannot bin a column that is empty.
    filled = np.where(np.isnan(x).all(axis=0), 0.0, x)
    with _one_thread():
        return estimator.fit(_coarse(filled, estimator.max_bins), y, sample_weight=weight)


def _coarse(x: Floats, values: int) -> Floats:
    """Move each column's values to the nearest of at most `values` quantiles; NaN stays.

    scikit-learn 1.9 sorts a weighted column once for each of its 255 bins, four fifths of a fit. A column with no more
    values than bins is binned midway between them, so that a value met later falls where it would have fallen here.
    """
    coarse = x.copy()
    for column in coarse.T:
        known = ~np.isnan(column)
        kept = np.unique(np.quantile(column[known], np.linspace(0, 1, values), method="nearest"))
        column[known] = kept[np.searchsorted((kept[1:] + kept[:-1]) / 2, column[known])]
    return coarse


def _fit_rf(params: dict[str, Any], x: Floats, y: Floats, weight: Floats, seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    size = {**params, "max_samples": params["max_samples"] if len(x) > 10_000 else None}
    estimator = RandomForestRegressor(**size, n_jobs=-1, random_state=seed)
    estimator.fit(_imputed(x), y, sample_weight=weight)
    # trees added up by several threads come in any order, and so do the last bits
    return estimator.set_params(n_jobs=None)


def _fit_nn(params: dict[str, Any], x: Floats, y: Floats, weight: Floats, seed: int) -> Any:
    import warnings

    from sklearn.compose import ColumnTransformer
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    classes = [FEATURES.index("local_hour"), FEATURES.index("weekday")]
    numbers = [column for column in range(len(FEATURES)) if column not in classes]
    encode = ColumnTransformer(
        [
            ("numbers", StandardScaler(), numbers),
            ("classes", OneHotEncoder(handle_unknown="ignore", sparse_output=False), classes),
        ]
    )
    size = {**params, "batch_size": min(params["batch_size"], len(x))}
    network = MLPRegressor(**size, early_stopping=False, random_state=seed)
    with (
        warnings.catch_warnings()
    ):  # the number of passes is the setting; it is not meant to converge
        warnings.simplefilter("ignore", ConvergenceWarning)
        return Pipeline([("encode", encode), ("network", network)]).fit(
            _imputed(x), y, network__sample_weight=weight
        )


_FITTERS: dict[str, Callable[[dict[str, Any], Floats, Floats, Floats, int], Any]] = {
    "gbm": _fit_gbm,
    "rf": _fit_rf,
    "nn": _fit_nn,
}


def _one_thread() -> Any:
    """Keep OpenMP to one thread: on busy cores its threads wait for each other by spinning.

    Measured on 70,000 rows and two shared cores: 2.7 s with one thread, 2.4 s with two that sleep, 34 s with two that
    spin, which is how OpenMP waits unless the process was started otherwise.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="openmp")


def _expected(estimator: Any, frame: pd.DataFrame) -> Floats:
    """Forecast counts, (n,), bikes per hour, >= 0, never NaN."""
    if frame.empty:
        return np.empty(0)
    base, level = _base_and_level(frame)
    x = _scaled(frame, base, level)
    takes_gaps = type(estimator).__name__ == "HistGradientBoostingRegressor"
    with _one_thread():
        ratio = estimator.predict(x if takes_gaps else _imputed(x))
    return np.asarray(np.clip(base + level * ratio, 0.0, LARGEST_RATIO * level), dtype="float64")


def _base_and_level(frame: pd.DataFrame) -> tuple[Floats, Floats]:
    """Mean of similar days and level, both (n,), never NaN; those of the city where a counter has none."""
    base = similar_days.expected(frame)
    usual = pd.Series(base, index=frame.index).groupby(frame["counter_id"]).transform("mean")
    level = frame["level"].astype("float64").fillna(usual)
    return base, np.maximum(level.to_numpy(dtype="float64"), SMALLEST_LEVEL)


def _scaled(frame: pd.DataFrame, base: Floats, level: Floats) -> Floats:
    """Features with the history in units of the level, and the level itself as a logarithm."""
    x = matrix(frame)
    x[:, :_HISTORY_COLUMNS] /= level[:, None]
    x[:, 0] = base / level
    x[:, _LEVEL] = np.log(level)
    return x


def _imputed(x: Floats) -> Floats:
    """Fill what is not known of an hour's history with the mean of similar days, which is the first column."""
    return np.where(np.isnan(x), x[:, :1], x)
