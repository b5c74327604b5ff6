"""The reference models that a backtest can score beside Velocast's own."""

from __future__ import annotations

from typing import Literal, get_args

ReferenceName = Literal[
    "value_168h_before", "same_hour_4w_mean", "similar_days", "predecessor_forest"
]
REFERENCES: tuple[ReferenceName, ...] = get_args(ReferenceName)
# The forest is fitted on all counts, which takes most of a backtest's time, so it is left out unless asked for.
DEFAULT_REFERENCES: tuple[ReferenceName, ...] = REFERENCES[:3]
PREDECESSOR: ReferenceName = "predecessor_forest"
