"""What the learners see: feature frames as matrices, in bikes or in units of the counter's level."""

from __future__ import annotations

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats
from velocast.model.features.definition import FEATURES, HISTORY, WEATHER, feature_matrix

SMALLEST_LEVEL = (
    1.0  # bikes per hour: a counter that hardly counts must not turn noise into huge ratios
)
_HISTORY_COLUMNS = len(HISTORY)
_LEVEL = FEATURES.index("level")
_WEATHER_COLUMNS = [FEATURES.index(name) for name in WEATHER]
_NEITHER_WARM_NOR_COLD = 12.0  # degrees Celsius
_WITHOUT_WEATHER = 0.05


def base_and_level(frame: pd.DataFrame) -> tuple[Floats, Floats]:
    """Mean of similar days and level, both (n,), never NaN; where a counter has none the city's at that origin."""
    level = frame["level"].astype("float64")
    level = level.fillna(level.groupby(frame["origin_at"]).transform("mean")).fillna(0.0)
    return similar_days_mean(frame), np.maximum(level.to_numpy(), SMALLEST_LEVEL)


def similar_days_mean(frame: pd.DataFrame) -> Floats:
    """Return the count to expect of each hour, (n,), bikes per hour, never NaN.

    The mean of similar days (which the query fills with the hour's mean and the counter's level); for a counter without
    history the mean of the others of the frame at the same origin, of the same day type and hour, else hour, else any;
    where nobody had counted by then, 0.
    """
    own = frame["similar_day_mean"].astype("float64")
    if not own.isna().any():
        return np.asarray(own, dtype="float64")
    for keys in (
        ["origin_at", "day_type", "local_hour"],
        ["origin_at", "local_hour"],
        ["origin_at"],  # never of another origin: a later one knows what was counted since
    ):
        others = own.groupby([frame[key] for key in keys]).transform("mean")
        own = own.fillna(others)
    return np.asarray(own.fillna(0.0), dtype="float64")


def scale_by_level(frame: pd.DataFrame, base: Floats, level: Floats) -> Floats:
    """Features, (n, len(FEATURES)), with the history in units of the level, and the level itself as a logarithm.

    The two that stand in for a missing history are filled in.
    """
    x = feature_matrix(frame)
    x[:, 0] = base
    x[:, :_HISTORY_COLUMNS] /= level[:, None]
    x[:, _LEVEL] = np.log(level)
    return x


def mask_some_weather(x: Floats, seed: int) -> Floats:
    """Blank the weather of some rows, so that a model has learned what to do on the day it is missing."""
    blank = np.random.default_rng(seed).random(len(x)) < _WITHOUT_WEATHER
    weather = np.isin(np.arange(x.shape[1]), _WEATHER_COLUMNS)
    x[blank[:, None] & weather] = np.nan
    return x


def impute(x: Floats) -> Floats:
    """Fill gaps: the hour's history with the mean of similar days (the first column), the rest with what is usual."""
    usual = np.repeat(x[:, :1], x.shape[1], axis=1)
    usual[:, _HISTORY_COLUMNS:] = 0.0
    usual[:, [FEATURES.index(f"share_{n}d") for n in (1, 3, 7)]] = 1.0
    usual[:, [FEATURES.index(n) for n in ("temperature", "day_temperature")]] = (
        _NEITHER_WARM_NOR_COLD
    )
    return np.where(np.isnan(x), usual, x)


def fill_empty_columns(x: Floats) -> Floats:
    """Return features without a column that is all NaN: scikit-learn 1.9 cannot bin one.

    Weeks back are such columns in a young city. They are filled with zeros, so that every column keeps its place.
    """
    return np.asarray(np.where(np.isnan(x).all(axis=0), 0.0, x), dtype="float64")


def quantize(x: Floats, values: int) -> Floats:
    """Move each column's values to the nearest of at most `values` quantiles; NaN stays.

    scikit-learn 1.9 sorts a weighted column once for each of its 255 bins, four fifths of a fit. A column with no more
    values than bins is binned midway between them, so that a value met later falls where it would have fallen here.
    """
    moved = x.copy()
    for column in moved.T:
        known = ~np.isnan(column)
        kept = np.unique(np.quantile(column[known], np.linspace(0, 1, values), method="nearest"))
        column[known] = kept[np.searchsorted((kept[1:] + kept[:-1]) / 2, column[known])]
    return moved


def subsample(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Return at most `rows` rows: of every counter and every season the same share.

    Ordered by counter and time, one row is drawn of each of `rows` equal stretches.
    """
    if len(frame) <= rows:
        return frame
    counters = frame["counter_id"].astype("category").cat.codes
    order = np.lexsort((frame["target_at"].astype("int64"), counters))
    edges = np.linspace(0, len(frame), rows + 1)
    drawn = edges[:-1] + np.random.default_rng(seed).random(rows) * np.diff(edges)
    return frame.iloc[np.sort(order[drawn.astype(np.int64)])]
