"""The columns a model learns from, as of the origin. Their history comes from `velocast/sql/features.sql`."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from velocast.ground.errors import TooLittleHistory
from velocast.model.calendar import CALENDAR_COLUMNS

RECENT = tuple(f"hour_{day}d" for day in range(1, 8))
WEEKS = ("week_1", "week_2", "week_3", "week_4")
HISTORY = (
    "similar_day_mean",
    *RECENT,
    "hour_mean_7d",
    "hour_mean_28d",
    *WEEKS,
    "same_hour_4w_mean",
    "day_mean_1d",
    "day_mean_2d",
    "day_mean_7d",
    "level",
)
FEATURES: tuple[str, ...] = (*HISTORY, "lead_day", "local_hour", *CALENDAR_COLUMNS)


def _definition() -> str:
    """Name the definition by its content: columns and SQL, comments and spacing aside."""
    sql = files("velocast").joinpath("sql", "features.sql").read_text(encoding="utf-8")
    code = " ".join(re.sub(r"--[^\n]*", "", sql).split())
    content = "\n".join((*FEATURES, code))
    return "features-" + hashlib.sha256(content.encode()).hexdigest()[:12]


FEATURE_DEFINITION: str = _definition()


def matrix(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Return the features of each row, (n, len(FEATURES)), float64, NaN where the history has none.

    frame: (n, any) as `usecases.feature_frames.read` makes it. Raises TooLittleHistory when a column is missing.
    """
    missing = [name for name in FEATURES if name not in frame.columns]
    if missing:
        raise TooLittleHistory(
            f"feature frame of {len(frame)} rows lacks {missing}; read it with usecases.feature_frames.read"
        )
    return np.ascontiguousarray(frame[list(FEATURES)].to_numpy(dtype="float64", na_value=np.nan))
