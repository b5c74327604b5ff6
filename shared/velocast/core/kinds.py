"""The kinds of model and their tasks. All other modules import these names from here."""

from __future__ import annotations

from typing import Final, Literal, get_args

ForecastKind = Literal["blend", "gbm", "rf", "nn"]
BusyKind = Literal["affluence"]
Kind = Literal[ForecastKind, BusyKind]
Task = Literal["forecast", "affluence"]

KINDS: tuple[Kind, ...] = get_args(Kind)
TASKS: tuple[Task, ...] = get_args(Task)
FORECAST_KINDS: tuple[ForecastKind, ...] = get_args(ForecastKind)
DEFAULT_KIND: ForecastKind = "blend"
FORECAST: Final = "forecast"  # bikes per hour
AFFLUENCE: Final = "affluence"  # how likely an hour is busy; the name of the one kind for it too
SIMILAR_DAYS = "similar_days"  # forecasts until there is a champion; needs no training


def task_of(kind: Kind) -> Task:
    """Return the task of a kind of model."""
    return FORECAST if kind in FORECAST_KINDS else AFFLUENCE
