"""The inputs of the estimators: feature frames as matrices, in bikes or relative to the counter's level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from velocast.model.arrays import Floats
from velocast.model.features.definition import (
    FEATURES,
    HISTORY,
    SIMILAR,
    TREE_FEATURES,
    WEATHER,
    WEEKS,
    feature_matrix,
)

FeatureRows = pd.DataFrame | Sequence[pd.DataFrame]  # several frames are used as if they were one
Drawn = Sequence[NDArray[np.int64]]  # positions of rows in each of several frames
SMALLEST_LEVEL = (
    1.0  # bikes per hour: keeps the noise of a nearly idle counter from becoming huge ratios
)
WEEK_DECAY = 0.5  # of `same_weekday_mean`, per week
# What `base_and_level` reads of a frame.
LEVEL_COLUMNS = ("level", "similar_day_mean", "origin_at", "day_type", "local_hour")
_IN_BIKES = [FEATURES.index(name) for name in (*HISTORY, *SIMILAR)]
_LEVEL = FEATURES.index("level")
_WEATHER_COLUMNS = [FEATURES.index(name) for name in WEATHER]
_NEITHER_WARM_NOR_COLD = 12.0  # degrees Celsius
_WITHOUT_WEATHER = 0.05


def base_and_level(frame: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return the mean of similar days and the level, both (n,), never NaN: the city's where a counter has none."""
    level = frame["level"].astype("float64")
    if level.isna().any():
        level = level.fillna(level.groupby(frame["origin_at"]).transform("mean")).fillna(0.0)
    return similar_days_mean(frame), np.maximum(level.to_numpy(), SMALLEST_LEVEL)


def similar_days_mean(frame: pd.DataFrame) -> Floats:
    """Return the mean count of similar days for each hour, (n,), bikes per hour, never NaN.

    The query has already replaced missing values with the hour's mean or the counter's level. A counter without history
    gets the mean of the other counters at the same origin, for the same day type and hour, or else for the hour, or
    else for all rows; 0 where no counter has any history.
    """
    own = frame["similar_day_mean"].astype("float64")
    if not own.isna().any():
        return np.asarray(own, dtype="float64")
    for keys in (
        ["origin_at", "day_type", "local_hour"],
        ["origin_at", "local_hour"],
        ["origin_at"],  # never across origins: later ones know later counts
    ):
        others = own.groupby([frame[key] for key in keys]).transform("mean")
        own = own.fillna(others)
    return np.asarray(own.fillna(0.0), dtype="float64")


def same_weekday_mean(frame: pd.DataFrame) -> Floats:
    """Return the mean count of the same weekday and hour in four weeks, (n,), bikes per hour, never NaN.

    Each week counts half as much as the one after it. On holidays, which are unlike their weekday, and where none of
    the four was counted, it is the mean of similar days.
    """
    bikes, shares = np.zeros(len(frame)), np.zeros(len(frame))
    for weeks_ago, name in enumerate(WEEKS):
        share = WEEK_DECAY**weeks_ago
        counts = frame[name].to_numpy(dtype="float64", na_value=np.nan)
        counted = ~np.isnan(counts)
        bikes[counted] += share * counts[counted]
        shares[counted] += share
    usable = (shares > 0) & (frame["is_holiday"] == 0).to_numpy()
    return np.divide(bikes, shares, out=similar_days_mean(frame).copy(), where=usable)


def scale_by_level(frame: pd.DataFrame, base: Floats, level: Floats) -> Floats:
    """Return features, (n, len(FEATURES)), with the history divided by the level, and the level as a logarithm.

    base, level: of `base_and_level`; they replace the frame's own columns, which may be NaN.
    """
    return _scaled(feature_matrix(frame), base, level)


def tree_inputs(frame: FeatureRows, drawn: Drawn, base: Floats, level: Floats) -> Floats:
    """Return what `scale_by_level` returns for drawn rows, without the columns that trees do not use.

    Shape (n, len(TREE_FEATURES)). Each column is contiguous, because a fit reads column after column.
    """
    x = np.empty((len(TREE_FEATURES), len(base)))
    for column, name in zip(x, TREE_FEATURES, strict=True):
        column[:] = drawn_numbers(frame, drawn, name)
    return _scaled(x.T, base, level)


def _scaled(x: Floats, base: Floats, level: Floats) -> Floats:
    x[:, 0] = base
    for column in _IN_BIKES:
        if column < x.shape[1]:
            x[:, column] /= level
    x[:, _LEVEL] = np.log(level)
    return x


def mask_some_weather(x: Floats, seed: int) -> Floats:
    """Set the weather of some rows to NaN, so that a model learns to forecast when it is missing."""
    blank = np.random.default_rng(seed).random(len(x)) < _WITHOUT_WEATHER
    for column in _WEATHER_COLUMNS:
        x[blank, column] = np.nan
    return x


def impute(x: Floats) -> Floats:
    """Fill gaps: history with the mean of similar days (the first column), other features with a typical value."""
    usual = np.zeros_like(x)
    usual[:, [column for column in _IN_BIKES if column < x.shape[1]]] = x[:, :1]
    usual[:, [FEATURES.index(f"share_{n}d") for n in (1, 3, 7)]] = 1.0
    usual[:, [FEATURES.index(n) for n in ("temperature", "day_temperature")]] = (
        _NEITHER_WARM_NOR_COLD
    )
    return np.where(np.isnan(x), usual, x)


def fill_empty_columns(x: Floats) -> Floats:
    """Fill columns that are all NaN with zeros, because scikit-learn 1.9 cannot bin them.

    In a city with little history the values of earlier weeks are such columns. The number of columns stays the same.
    """
    return np.asarray(np.where(np.isnan(x).all(axis=0), 0.0, x), dtype="float64")


def quantize(x: Floats, values: int) -> Floats:
    """Move each column's values to the nearest of at most `values` quantiles, in place; NaN stays. Returns x.

    Without this, scikit-learn 1.9 sorts a weighted column once for each of its 255 bins, which takes four fifths of a
    fit. It bins a column with no more values than bins midway between the values, so later values get the same bins.
    """
    for column in x.T:
        order = np.argsort(column)  # NaN last
        known = len(column) - np.count_nonzero(np.isnan(column))
        order = order[:known]
        ordered = column[order]
        at = np.rint(np.linspace(0, 1, values) * (known - 1)).astype(np.int64)
        kept = np.unique(ordered[at])
        ends = np.searchsorted(ordered, (kept[1:] + kept[:-1]) / 2, side="right")
        column[order] = np.repeat(kept, np.diff(ends, prepend=0, append=known))
    return x


def subsample(frame: FeatureRows, rows: int, seed: int) -> pd.DataFrame:
    """Return at most `rows` rows, as `draw_rows` draws them, with all columns."""
    parts = _parts(frame)
    drawn = draw_rows(parts, rows, seed)
    if len(parts) == 1:
        whole = len(drawn[0]) == len(parts[0])
        return parts[0] if whole else parts[0].iloc[drawn[0]]
    return pd.DataFrame(  # column by column, since joining whole frames takes twice the memory
        {name: drawn_column(parts, drawn, name) for name in parts[0].columns}, copy=False
    )


def draw_rows(frame: FeatureRows, rows: int, seed: int) -> Drawn:
    """Draw at most `rows` rows, with the same share of every counter and every season.

    frame: one, or several with the same columns, from which rows are drawn as if they were one. The rows are ordered by
    counter and time, and one is drawn from each of `rows` equal parts. Returns the positions in each frame, ascending.
    """
    parts = _parts(frame)
    ends = np.cumsum([len(part) for part in parts])
    if ends[-1] <= rows:
        return [np.arange(len(part)) for part in parts]
    counters = pd.concat([part["counter_id"] for part in parts]).astype("category").cat.codes
    targets = pd.concat([part["target_at"] for part in parts]).astype("int64")
    order = np.lexsort((targets, counters))
    edges = np.linspace(0, ends[-1], rows + 1)
    drawn = edges[:-1] + np.random.default_rng(seed).random(rows) * np.diff(edges)
    chosen = np.sort(order[drawn.astype(np.int64)])
    of_part = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
    return [at - (end - len(part)) for part, at, end in zip(parts, of_part, ends, strict=True)]


def drawn_column(frame: FeatureRows, drawn: Drawn, name: str) -> pd.Series[Any]:
    """Return a column of drawn rows, (n,), numbered from 0."""
    pieces = [part[name].iloc[at] for part, at in zip(_parts(frame), drawn, strict=True)]
    return pd.concat(pieces, ignore_index=True)


def drawn_numbers(frame: FeatureRows, drawn: Drawn, name: str) -> Floats:
    """Return a column of numbers of drawn rows, (n,), NaN where unknown."""
    pieces = [
        part[name].to_numpy(dtype="float64", na_value=np.nan)[at]
        for part, at in zip(_parts(frame), drawn, strict=True)
        if len(at)
    ]
    return np.concatenate(pieces) if pieces else np.empty(0)


def _parts(frame: FeatureRows) -> Sequence[pd.DataFrame]:
    return [frame] if isinstance(frame, pd.DataFrame) else frame
