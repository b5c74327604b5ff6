"""The columns a model learns from, as of the origin. Their history comes from `velocast/sql/features.sql`,
what was known of the weather from `velocast/sql/weather_features.sql`.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from velocast.core.errors import TooLittleHistory
from velocast.model.features.calendar_features import CALENDAR_COLUMNS

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
# a counter's own last days, as a share of what similar days before them led to expect
SHARES = ("share_1d", "share_3d", "share_7d")
# Degrees Celsius, mm, hours, per cent. `rain_before`: of the two hours before. `day_`: of the target's local hours 7 to
# 20 (morning: 6 to 9, evening: 16 to 19). `_7d`, `_similar`: less the mean of the seven days before the origin, and of
# the similar days before it.
WEATHER = (
    "temperature",
    "rain",
    "rain_before",
    "day_temperature",
    "day_rain",
    "day_wet_hours",
    "morning_rain",
    "evening_rain",
    "yesterday_rain",
    "day_cloud",
    "day_temperature_7d",
    "day_rain_7d",
    "day_temperature_similar",
    "day_rain_similar",
    "day_wet_hours_similar",
    "day_cloud_7d",
    "day_cloud_similar",
)
FEATURES: tuple[str, ...] = (
    *HISTORY,
    "lead_day",
    "local_hour",
    *CALENDAR_COLUMNS,
    *SHARES,
    *WEATHER,
)
_SQL = ("features.sql", "weather_features.sql")


def _definition() -> str:
    """Name the definition by its content: columns and SQL, comments and spacing aside."""
    folder = files("velocast").joinpath("sql")
    sql = "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in _SQL)
    code = " ".join(re.sub(r"--[^\n]*", "", sql).split())
    content = "\n".join((*FEATURES, code))
    return "features-" + hashlib.sha256(content.encode()).hexdigest()[:12]


FEATURE_DEFINITION: str = _definition()


def feature_matrix(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Return the features of each row, (n, len(FEATURES)), float64, NaN where the history has none.

    frame: (n, any) as `usecases.feature_store.read_features` makes it. Raises TooLittleHistory when a column is missing.
    """
    missing = [name for name in FEATURES if name not in frame.columns]
    if missing:
        raise TooLittleHistory(
            f"feature frame of {len(frame)} rows lacks {missing}; read it with usecases.feature_store.read_features"
        )
    return np.ascontiguousarray(frame[list(FEATURES)].to_numpy(dtype="float64", na_value=np.nan))
