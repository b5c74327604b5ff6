"""How honest a model's intervals and quantiles are: coverage where forecasts are alike, Winkler score, CRPS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from velocast.model.intervals.conformal import NOMINAL, QUANTILES

BOUNDS = ("lower", "upper")
# column: level, ascending
LEVELS = {"lower": (1 - NOMINAL) / 2, **QUANTILES, "upper": (1 + NOMINAL) / 2}
TENTHS = 10


def score_intervals(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the scores of one model's intervals; all None where it has none.

    rows: bike_count and predicted_count (both known), local_hour, and lower, upper and QUANTILES where there are any.
    winkler: mean width plus 2 / (1 - NOMINAL) times the distance of counts outside, bikes per hour. crps: twice the
    mean pinball loss of LEVELS, each for the part of the distribution that is nearest to it, bikes per hour.
    coverage_by_tenth: share of counts inside, by tenths of the forecast, the smallest first; coverage_by_hour: by
    local hour, None where none was counted. below: share of counts at or below each of LEVELS.
    """
    if {*BOUNDS} <= set(rows.columns):
        rows = rows.dropna(
            subset=[*BOUNDS]
        )  # another forecaster may give no interval, or not everywhere
    if rows.empty or not {*BOUNDS} <= set(rows.columns):
        names = ("winkler", "crps", "coverage_by_tenth", "coverage_by_hour", "below")
        return dict.fromkeys(names)
    counted = rows["bike_count"]
    inside = counted.between(rows["lower"], rows["upper"])
    tenth = rows["predicted_count"].rank(method="first", pct=True).mul(TENTHS).apply(np.ceil)
    complete = set(LEVELS) <= set(rows.columns)
    return {
        "winkler": float(_winkler(rows).mean()),
        "crps": float(_crps(rows)) if complete else None,
        "coverage_by_tenth": _shares(inside, tenth, range(1, TENTHS + 1)),
        "coverage_by_hour": _shares(inside, rows["local_hour"], range(24)),
        "below": {
            name: float((counted <= rows[name]).mean()) for name in LEVELS if name in rows.columns
        },
    }


def _winkler(rows: pd.DataFrame) -> pd.Series[float]:
    outside = (rows["lower"] - rows["bike_count"]).clip(lower=0) + (
        rows["bike_count"] - rows["upper"]
    ).clip(lower=0)
    return rows["upper"] - rows["lower"] + 2.0 / (1.0 - NOMINAL) * outside


def _crps(rows: pd.DataFrame) -> float:
    levels = np.array(list(LEVELS.values()))
    ends = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    error = rows[["bike_count"]].to_numpy() - rows[list(LEVELS)].to_numpy()
    pinball = np.maximum(levels * error, (levels - 1.0) * error).mean(axis=0)
    return float(2.0 * np.sum(np.diff(ends) * pinball))


def _shares(inside: pd.Series[bool], by: pd.Series[Any], keys: range) -> list[float | None]:
    known = inside.groupby(by).mean()
    return [float(known[key]) if key in known.index else None for key in keys]
