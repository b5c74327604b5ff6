"""Scores of busy-hour predictions: how well a model separates hours above the counter's threshold from others."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from velocast.model.evaluation.metrics import KEYS, RowsMismatch

Bools = NDArray[np.bool_]


class _BusyErrors(BaseModel):
    """Shares of the rows, except brier (a mean square); None where the rows do not define the score.

    base_rate: share of busy hours. brier_relative: Brier score divided by that of always predicting the base rate.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    rows: int
    base_rate: float
    accuracy: float
    balanced_accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    brier: float
    brier_relative: float | None


class BusyLeadScores(_BusyErrors):
    """Scores of one lead day (0 = the origin's own day)."""

    lead_day: int


class BusyScores(_BusyErrors):
    """Pooled scores."""

    counters: int
    lead_days: list[BusyLeadScores]


def is_busy(frame: pd.DataFrame) -> pd.Series[bool]:
    """Return whether each hour's count is above the counter's threshold; False where either is unknown."""
    return frame["bike_count"] > frame["busy_threshold"]


def labelled_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have a count and a threshold; the others have no label."""
    return frame[frame["bike_count"].notna() & frame["busy_threshold"].notna()]


def score_busy_hours(frame: pd.DataFrame) -> BusyScores:
    """Score busy-hour predictions, pooled and per lead day, over the rows that have a count and a threshold.

    frame: one row per counter_id, target_at, lead_day (and origin_at) with bike_count, busy_threshold,
    busy_probability (0 to 1) and busy (the prediction). Raises RowsMismatch when a row is repeated, when a row with a
    label has no probability, or when no row has a label.
    """
    rows = _checked(frame)
    return BusyScores(
        **_errors(rows),
        counters=int(rows["counter_id"].nunique()),
        lead_days=[
            BusyLeadScores(lead_day=int(str(day)), **_errors(part))
            for day, part in rows.groupby("lead_day")
        ],
    )


def balanced_accuracy(busy: Bools, predicted: Bools) -> float | None:
    """Return the mean of recall on busy hours and recall on other hours; None when all hours are of one class."""
    if busy.all() or not busy.any():
        return None
    return float((predicted[busy].mean() + (~predicted[~busy]).mean()) / 2)


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    keys = [name for name in (*KEYS, "origin_at") if name in frame.columns]
    repeated = int(frame.duplicated(keys).sum())
    if repeated:
        raise RowsMismatch(
            f"{repeated} of {len(frame)} rows repeat {keys}; join forecasts and counts by key"
        )
    rows = labelled_rows(frame)
    if rows.empty:
        raise RowsMismatch(
            f"none of {len(frame)} rows has a count and a threshold; there is nothing to score"
        )
    lacking = int(rows["busy_probability"].isna().sum())
    if lacking:
        raise RowsMismatch(
            f"{lacking} of {len(rows)} rows with a label have no probability; score the same rows for every model"
        )
    return rows


def _errors(rows: pd.DataFrame) -> dict[str, float | int | None]:
    busy, predicted = is_busy(rows).to_numpy(dtype=bool), rows["busy"].to_numpy(dtype=bool)
    probability = rows["busy_probability"].to_numpy(dtype="float64")
    base_rate = float(busy.mean())
    brier, naive = float(np.mean((probability - busy) ** 2)), base_rate * (1 - base_rate)
    hits, alarms, events = int((busy & predicted).sum()), int(predicted.sum()), int(busy.sum())
    return {
        "rows": len(rows),
        "base_rate": base_rate,
        "accuracy": float((busy == predicted).mean()),
        "balanced_accuracy": balanced_accuracy(busy, predicted),
        "precision": hits / alarms if alarms else None,
        "recall": hits / events if events else None,
        "f1": 2 * hits / (alarms + events) if alarms + events else None,
        "brier": brier,
        "brier_relative": brier / naive if naive > 0 else None,
    }
