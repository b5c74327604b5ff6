"""The kinds of model and the tasks they are for. Every other place takes these names from here."""

from __future__ import annotations

from typing import Final, Literal, get_args

CountKind = Literal["gbm", "rf", "nn"]
BusyKind = Literal["affluence"]
Kind = Literal[CountKind, BusyKind]
Task = Literal["forecast", "affluence"]

KINDS: tuple[Kind, ...] = get_args(Kind)
TASKS: tuple[Task, ...] = get_args(Task)
COUNT_KINDS: tuple[CountKind, ...] = get_args(CountKind)
DEFAULT_KIND: CountKind = "gbm"
FORECAST: Final = "forecast"  # bikes per hour
AFFLUENCE: Final = "affluence"  # how likely an hour is busy; the name of the one kind for it too
SIMILAR_DAYS = "similar_days"  # forecasts before there is a champion; needs no training


def task_of(kind: Kind) -> Task:
    """Return the task a kind is for."""
    return FORECAST if kind in COUNT_KINDS else AFFLUENCE
