"""The kinds of model and their tasks. All other modules import these names from here."""

from __future__ import annotations

from typing import Literal, get_args

ForecastKind = Literal["gbm", "rf", "nn"]
Kind = Literal[ForecastKind, "affluence"]
Task = Literal["forecast", "affluence"]

KINDS: tuple[Kind, ...] = get_args(Kind)
TASKS: tuple[Task, ...] = get_args(Task)
DEFAULT_KIND: Kind = "gbm"
SIMILAR_DAYS = "similar_days"  # forecasts until there is a champion; needs no training


def task_of(kind: Kind) -> Task:
    """Return the task of a kind of model."""
    return "affluence" if kind == "affluence" else "forecast"
