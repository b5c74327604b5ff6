"""The reference models that a backtest can score beside Velocast's own."""

from __future__ import annotations

from typing import Literal, get_args

Reference = Literal["value_168h_before", "same_hour_4w_mean", "similar_days", "predecessor_forest"]
REFERENCES: tuple[Reference, ...] = get_args(Reference)
# The forest is fitted on all counts, which takes most of a backtest's time, so it is left out unless asked for.
DEFAULT_REFERENCES: tuple[Reference, ...] = REFERENCES[:3]
PREDECESSOR: Reference = "predecessor_forest"
