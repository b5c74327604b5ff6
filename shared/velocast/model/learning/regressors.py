"""The estimators of each kind, and what they make of a feature frame. Called by `estimators`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from velocast.core.kinds import ForecastKind
from velocast.model.arrays import Floats
from velocast.model.features.definition import FEATURES
from velocast.model.features.preprocessing import (
    base_and_level,
    impute,
    mask_some_weather,
    quantize,
    scale_by_level,
    subsample,
)

Item = TypeVar("Item")
Result = TypeVar("Result")
LARGEST_RATIO = 30.0  # forecasts stop at this many times the level
MAX_BINS = 255


def hyperparameters(test_mode: bool) -> dict[str, dict[str, Any]]:
    """Settings of each kind. `max_rows`: of a longer history as many rows are learned from, evenly spread.

    `boosters`: so many are fitted, each on rows and columns drawn for itself; their mean beats any of them.
    """
    return {
        "gbm": {
            "max_iter": 10 if test_mode else 120,
            "learning_rate": 0.1,
            "max_leaf_nodes": 31,
            "min_samples_leaf": 100,
            "max_features": 0.5,
            "l2_regularization": 10.0,
            "boosters": 2,
            "max_rows": 80_000,
        },
        "rf": {
            "n_estimators": 5 if test_mode else 30,
            "min_samples_leaf": 20,
            "max_features": 0.4,
            "max_samples": 0.15,
            "max_rows": 200_000,
        },
        "nn": {
            "hidden_layer_sizes": [16] if test_mode else [32, 16],
            "max_iter": 3 if test_mode else 8,
            "batch_size": 200 if test_mode else 2000,
            "alpha": 0.01,
            "max_rows": 200_000,
        },
    }


def fit_regressor(
    kind: ForecastKind, params: dict[str, Any], frame: pd.DataFrame, seed: int
) -> Any:
    """Fit the estimator of a kind to rows that all have a bike_count."""
    return _FITTERS[kind](params, frame, seed)


def predict_counts(estimator: Any, frame: pd.DataFrame) -> Floats:
    """Forecast counts, (n,), bikes per hour, >= 0, never NaN."""
    if frame.empty:
        return np.empty(0)
    base, level = base_and_level(frame)
    x = scale_by_level(frame, base, level)
    if isinstance(estimator, list):
        said = _in_parallel(lambda part: part["booster"].predict(x[:, part["columns"]]), estimator)
        residual = np.mean(said, axis=0)
    else:
        residual = estimator.predict(impute(x))
    counts = base + level * residual
    return np.asarray(np.clip(counts, 0.0, LARGEST_RATIO * level), dtype="float64")


def _residuals(frame: pd.DataFrame, seed: int) -> tuple[Floats, Floats, Floats]:
    """How far each count lies from the mean of similar days in units of the level, weighted by its square.

    What is learned of one counter so serves every other, and it is the squared error in bikes that counts.
    """
    base, level = base_and_level(frame)
    target = (frame["bike_count"].to_numpy(dtype="float64") - base) / level
    x = mask_some_weather(scale_by_level(frame, base, level), seed)
    return x, target, level**2 / np.mean(level**2)


def _fit_gbm(params: dict[str, Any], frame: pd.DataFrame, seed: int) -> list[dict[str, Any]]:
    """Boosters that each saw other rows and columns; their mean beats any of them."""
    seeds = range(seed, seed + params["boosters"])
    return _in_parallel(lambda drawn: _booster(params, frame, drawn), seeds)


def _booster(params: dict[str, Any], frame: pd.DataFrame, seed: int) -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    x, target, weight = _residuals(subsample(frame, params["max_rows"], seed), seed)
    columns = _varying_columns(x)
    booster = HistGradientBoostingRegressor(
        **_estimator_params(params), early_stopping=False, random_state=seed
    )
    booster.fit(quantize(x[:, columns], MAX_BINS), target, sample_weight=weight)
    return {"columns": columns, "booster": booster}


def _estimator_params(params: dict[str, Any]) -> dict[str, Any]:
    """Return those settings that the estimator takes itself."""
    return {name: value for name, value in params.items() if name not in ("boosters", "max_rows")}


def _varying_columns(x: Floats) -> list[int]:
    """Columns of which more than one value is known.

    The others cost as much time as any, and scikit-learn 1.9 cannot bin a column that is empty: a young city knows no
    value four weeks back, and some know no weather.
    """
    known = ~np.isnan(x)
    low = np.where(known, x, np.inf).min(axis=0)
    high = np.where(known, x, -np.inf).max(axis=0)
    return [int(column) for column in np.flatnonzero(low < high)]


def _fit_rf(params: dict[str, Any], frame: pd.DataFrame, seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    x, target, weight = _residuals(subsample(frame, params["max_rows"], seed), seed)
    size = {
        **_estimator_params(params),
        "max_samples": params["max_samples"] if len(x) > 10_000 else None,
    }
    estimator = RandomForestRegressor(**size, n_jobs=-1, random_state=seed)
    estimator.fit(impute(x), target, sample_weight=weight)
    # trees added up by several threads come in any order, and so do the last bits
    return estimator.set_params(n_jobs=None)


def _fit_nn(params: dict[str, Any], frame: pd.DataFrame, seed: int) -> Any:
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
    x, target, weight = _residuals(subsample(frame, params["max_rows"], seed), seed)
    size = {**_estimator_params(params), "batch_size": min(params["batch_size"], len(x))}
    network = MLPRegressor(**size, early_stopping=False, random_state=seed)
    with (
        warnings.catch_warnings()
    ):  # the number of passes is the setting; it is not meant to converge
        warnings.simplefilter("ignore", ConvergenceWarning)
        return Pipeline([("encode", encode), ("network", network)]).fit(
            impute(x), target, network__sample_weight=weight
        )


_FITTERS: dict[ForecastKind, Callable[[dict[str, Any], pd.DataFrame, int], Any]] = {
    "gbm": _fit_gbm,
    "rf": _fit_rf,
    "nn": _fit_nn,
}


def _in_parallel(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Do the work for each item in a thread of its own, whose OpenMP is kept to one more.

    Boosters leave Python's lock to others most of the time, so two cores do two at once. Left to itself, OpenMP's
    threads on busy cores wait for each other by spinning. Measured on 70,000 rows and two shared cores: a fit took
    2.7 s with one thread, 2.4 s with two that sleep, 34 s with two that spin.
    """
    from threadpoolctl import threadpool_limits

    def alone(item: Item) -> Result:
        with threadpool_limits(limits=1, user_api="openmp"):  # holds for the thread that asks
            return work(item)

    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(alone, items))
