"""The regressors of each kind, which forecast counts from a feature frame. Called by `forecaster`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from velocast.core.kinds import ForecastKind
from velocast.model.arrays import Floats
from velocast.model.features.definition import TREE_FEATURES
from velocast.model.features.preprocessing import (
    LEVEL_COLUMNS,
    FeatureRows,
    base_and_level,
    draw_rows,
    drawn_column,
    drawn_numbers,
    impute,
    mask_some_weather,
    quantize,
    scale_by_level,
    tree_inputs,
)
from velocast.model.parallel import in_parallel, warning_filters_kept

LARGEST_RATIO = 30.0  # forecasts are capped at this multiple of the level
MAX_BINS = 255


def hyperparameters(test_mode: bool) -> dict[str, dict[str, Any]]:
    """Return the hyperparameters of each kind.

    `max_rows`: a longer history is sampled down to this number of rows, evenly spread. `boosters`: number of boosters,
    each fitted to a sample of its own; their mean is the forecast.
    """
    return {
        "gbm": {
            "max_iter": 10 if test_mode else 60,
            "learning_rate": 0.1 if test_mode else 0.2,
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


def fit_regressor(kind: ForecastKind, params: dict[str, Any], frame: FeatureRows, seed: int) -> Any:
    """Fit the regressor of a kind. frame: one or several feature frames whose rows all have a bike_count."""
    return _FITTERS[kind](params, frame, seed)


def predict_counts(estimator: Any, frame: pd.DataFrame) -> Floats:
    """Return forecast counts, (n,), bikes per hour, >= 0, never NaN."""
    if frame.empty:
        return np.empty(0)
    base, level = base_and_level(frame)
    x = scale_by_level(frame, base, level)
    if isinstance(estimator, list):
        residuals = in_parallel(
            lambda part: part["booster"].predict(x[:, part["columns"]]), estimator
        )
        residual = np.mean(residuals, axis=0)
    else:
        # It knows only the first features.
        residual = estimator.predict(impute(x)[:, : estimator.n_features_in_])
    counts = base + level * residual
    return np.asarray(np.clip(counts, 0.0, LARGEST_RATIO * level), dtype="float64")


def _residuals(
    params: dict[str, Any], frame: FeatureRows, seed: int
) -> tuple[Floats, Floats, Floats]:
    """Return inputs, targets and weights of at most `max_rows` rows drawn from a frame.

    The targets are counts less the mean of similar days, divided by the level: in units of the level, all counters
    share what is learned. The weights are squared levels, so that the fit minimizes the squared error in bikes.
    """
    drawn = draw_rows(frame, params["max_rows"], seed)
    base, level = base_and_level(
        pd.DataFrame({name: drawn_column(frame, drawn, name) for name in LEVEL_COLUMNS})
    )
    counts = drawn_numbers(frame, drawn, "bike_count")
    x = mask_some_weather(tree_inputs(frame, drawn, base, level), seed)
    return x, (counts - base) / level, level**2 / np.mean(level**2)


def _fit_gbm(params: dict[str, Any], frame: FeatureRows, seed: int) -> list[dict[str, Any]]:
    """Fit boosters on different rows and columns; their mean is more accurate than any one of them."""
    seeds = range(seed, seed + params["boosters"])
    # one after the other, because drawing rows takes more memory than fitting to them
    drawn = [_varying_inputs(params, frame, each) for each in seeds]
    return in_parallel(lambda at: _booster(params, *drawn[at], seeds[at]), range(len(seeds)))


def _varying_inputs(
    params: dict[str, Any], frame: FeatureRows, seed: int
) -> tuple[list[int], Floats, Floats, Floats]:
    """Return the columns that vary, and inputs with only these, targets and weights of a sample of rows."""
    x, target, weight = _residuals(params, frame, seed)
    columns = _varying_columns(x)
    for number, column in enumerate(columns):  # in place: a copy would be held in addition to x
        x[:, number] = x[:, column]
    return columns, x[:, : len(columns)], target, weight


def _booster(
    params: dict[str, Any], columns: list[int], x: Floats, target: Floats, weight: Floats, seed: int
) -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    booster = HistGradientBoostingRegressor(
        **_estimator_params(params), early_stopping=False, random_state=seed
    )
    booster.fit(quantize(x, MAX_BINS), target, sample_weight=weight)
    return {"columns": columns, "booster": booster}


def _estimator_params(params: dict[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters that the scikit-learn estimator itself takes."""
    return {name: value for name, value in params.items() if name not in ("boosters", "max_rows")}


def _varying_columns(x: Floats) -> list[int]:
    """Return the columns with more than one distinct value.

    The others would take as much time as any, and scikit-learn 1.9 cannot bin an empty column: a city with little
    history has no value of four weeks earlier, and some cities have no weather.
    """
    return [number for number, column in enumerate(x.T) if _varies(column)]


def _varies(column: Floats) -> bool:
    known = column[~np.isnan(column)]
    return bool(len(known) and known.min() < known.max())


def _fit_rf(params: dict[str, Any], frame: FeatureRows, seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    x, target, weight = _residuals(params, frame, seed)
    size = {
        **_estimator_params(params),
        "max_samples": params["max_samples"] if len(x) > 10_000 else None,
    }
    estimator = RandomForestRegressor(**size, n_jobs=-1, random_state=seed)
    with warning_filters_kept():
        estimator.fit(impute(x), target, sample_weight=weight)
    # several threads add the trees in any order, so the last bits of the sum would vary
    return estimator.set_params(n_jobs=None)


def _fit_nn(params: dict[str, Any], frame: FeatureRows, seed: int) -> Any:
    import warnings

    from sklearn.compose import ColumnTransformer
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    classes = [TREE_FEATURES.index("local_hour"), TREE_FEATURES.index("weekday")]
    numbers = [column for column in range(len(TREE_FEATURES)) if column not in classes]
    encode = ColumnTransformer(
        [
            ("numbers", StandardScaler(), numbers),
            ("classes", OneHotEncoder(handle_unknown="ignore", sparse_output=False), classes),
        ]
    )
    x, target, weight = _residuals(params, frame, seed)
    size = {**_estimator_params(params), "batch_size": min(params["batch_size"], len(x))}
    network = MLPRegressor(**size, early_stopping=False, random_state=seed)
    with warnings.catch_warnings():  # the number of passes is fixed; convergence is not required
        warnings.simplefilter("ignore", ConvergenceWarning)
        return Pipeline([("encode", encode), ("network", network)]).fit(
            impute(x), target, network__sample_weight=weight
        )


_FITTERS: dict[ForecastKind, Callable[[dict[str, Any], FeatureRows, int], Any]] = {
    "gbm": _fit_gbm,
    "rf": _fit_rf,
    "nn": _fit_nn,
}
