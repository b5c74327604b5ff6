"""Have the data changed? Distances between the columns of two periods, computed by Evidently."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd
from pydantic import BaseModel, ConfigDict

from velocast.ground.settings import Thresholds
from velocast.model.evaluation import Unknown


class DriftFinding(BaseModel):
    """What drifted: share of the compared columns, each column's distance, and Evidently's report."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    share: float
    drifted: list[str]
    columns: dict[str, float]
    missing: list[str]
    reference: str
    html: bytes
    json: str  # type: ignore[assignment]


def detect(
    current: pd.DataFrame, reference: pd.DataFrame, *, reference_name: str, thresholds: Thresholds
) -> DriftFinding | Unknown:
    """Compare two periods column by column."""
    raise NotImplementedError
