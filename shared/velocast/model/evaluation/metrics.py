"""Scores of forecasts against counts."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from velocast.core.errors import VelocastError
from velocast.model.arrays import Floats

KEYS = ("counter_id", "target_at", "lead_day")


class RowsMismatch(VelocastError):
    """Forecasts and actuals do not cover the same rows; the caller joined them wrongly."""

    code = "rows_mismatch"


class _Errors(BaseModel):
    """Bikes per hour, except r2, wape and coverage (shares); None where the rows do not define the score."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    rows: int
    r2: float | None
    rmse: float
    mae: float
    wape: float | None
    bias: float
    coverage: float | None
    width: float | None


class LeadScores(_Errors):
    """Scores of one lead day (0 = the origin's own day)."""

    lead_day: int


class Scores(_Errors):
    """Pooled scores. skill: 1 - RMSE / RMSE of the value 168 hours earlier, on the rows that have one."""

    counters: int
    skill: float | None
    lead_days: list[LeadScores]


def score_forecasts(frame: pd.DataFrame) -> Scores:
    """Score forecasts over the rows that have an actual, pooled and per lead day.

    frame: one row per counter_id, target_at, lead_day with bike_count (NaN: not counted, left out), predicted_count
    and optionally lower, upper and lag_168h. Raises RowsMismatch when a row is repeated, when a counted row has no
    forecast, or when no row is counted.
    """
    counted = _counted(frame)
    return Scores(
        **_errors(counted),
        counters=int(counted["counter_id"].nunique()),
        skill=skill(counted),
        lead_days=[
            LeadScores(lead_day=int(str(day)), **_errors(rows))
            for day, rows in counted.groupby("lead_day")
        ],
    )


def skill(frame: pd.DataFrame) -> float | None:
    """Return 1 - RMSE / RMSE of the value 168 hours earlier, over rows that have all three; None without such rows."""
    if "lag_168h" not in frame.columns:
        return None
    rows = frame.dropna(subset=["bike_count", "predicted_count", "lag_168h"])
    naive = rmse(rows["lag_168h"] - rows["bike_count"]) if len(rows) else 0.0
    return 1.0 - rmse(rows["predicted_count"] - rows["bike_count"]) / naive if naive > 0 else None


def _counted(frame: pd.DataFrame) -> pd.DataFrame:
    keys = [name for name in (*KEYS, "origin_at") if name in frame.columns]
    repeated = int(frame.duplicated(keys).sum())
    if repeated:
        raise RowsMismatch(
            f"{repeated} of {len(frame)} rows repeat {keys}; join forecasts and counts by key"
        )
    counted = frame[frame["bike_count"].notna()]
    lacking = int(counted["predicted_count"].isna().sum())
    if lacking:
        raise RowsMismatch(
            f"{lacking} of {len(counted)} counted rows have no forecast; score the same rows for every model"
        )
    if counted.empty:
        raise RowsMismatch(f"none of {len(frame)} rows has a count; there is nothing to score")
    return counted


def _errors(rows: pd.DataFrame) -> dict[str, float | int | None]:
    actual = rows["bike_count"].to_numpy(dtype="float64")
    error = rows["predicted_count"].to_numpy(dtype="float64") - actual
    spread = float(((actual - actual.mean()) ** 2).sum())
    total = float(actual.sum())
    coverage, width = _interval(rows)
    return {
        "rows": len(rows),
        "r2": 1.0 - float((error**2).sum()) / spread if spread > 0 else None,
        "rmse": rmse(error),
        "mae": float(np.abs(error).mean()),
        "wape": float(np.abs(error).sum()) / total if total > 0 else None,
        "bias": float(error.mean()),
        "coverage": coverage,
        "width": width,
    }


def _interval(rows: pd.DataFrame) -> tuple[float | None, float | None]:
    """Return the share of counts within [lower, upper] and the mean width, over the rows that have both ends."""
    if not {"lower", "upper"} <= set(rows.columns):
        return None, None
    with_interval = rows.dropna(subset=["lower", "upper"])
    if with_interval.empty:
        return None, None
    inside = with_interval["bike_count"].between(with_interval["lower"], with_interval["upper"])
    return float(inside.mean()), float((with_interval["upper"] - with_interval["lower"]).mean())


def rmse(error: pd.Series[float] | Floats) -> float:
    """Return the root of the mean square of errors."""
    return float(np.sqrt(np.mean(np.square(error))))
