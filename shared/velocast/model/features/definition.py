"""The features of a model, as of the origin.

History comes from `velocast/sql/features.sql`, the weather known at the origin from `sql/weather_features.sql`.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from velocast.core.errors import TooLittleHistory
from velocast.model.features.calendar_features import CALENDAR_COLUMNS, SCHOOL_COLUMNS

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
# counts of the counter's last days, divided by those expected from the similar days before them
SHARES = ("share_1d", "share_3d", "share_7d")
# Degrees Celsius, mm, hours, percent. `rain_before`: sum of the two hours before. `day_`: local hours 7 to 20 of the
# target's day (morning: 6 to 9, evening: 16 to 19). `_7d`, `_similar`: difference from the mean of the seven days, or
# of the similar days, before the origin.
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
# Other views of the similar days: half-lives of 4 and 30 days in place of 10, the last two values themselves, and the
# mean over the hours beside it too. Later than the others, hence at the end (EARLIER_DEFINITIONS).
SIMILAR = (
    "similar_day_mean_4d",
    "similar_day_mean_30d",
    "similar_day_last",
    "similar_day_previous",
    "similar_day_mean_3h",
)
# 1 where the city's file names an event at the counter in the hour. All that are listed count as known at any origin:
# the file does not say since when.
EVENT = "is_event"
# What trees and networks learn from. With SIMILAR too, boosters were worse in Paris (R2 0.872 to 0.903 instead of 0.875
# to 0.913 in three weeks of summer 2021); the ridge gains by them.
TREE_FEATURES: tuple[str, ...] = (
    *HISTORY,
    "lead_day",
    "local_hour",
    *CALENDAR_COLUMNS,
    *SHARES,
    *WEATHER,
)
FEATURES: tuple[str, ...] = (*TREE_FEATURES, *SIMILAR, *SCHOOL_COLUMNS, EVENT)
# What voices of a blend compute from FEATURES (`preprocessing`). It belongs to the definition, because code that does
# not compute it would load the model and leave a voice out.
DERIVED: tuple[str, ...] = ("same_weekday_mean",)
_SQL = ("features.sql", "weather_features.sql")


def _definition() -> str:
    """Return a name made from a hash of the columns, derived ones too, and the SQL, without comments and spacing."""
    folder = files("velocast").joinpath("sql")
    sql = "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in _SQL)
    code = " ".join(re.sub(r"--[^\n]*", "", sql).split())
    content = "\n".join((*FEATURES, *DERIVED, code))
    return "features-" + hashlib.sha256(content.encode()).hexdigest()[:12]


FEATURE_DEFINITION: str = _definition()
# Earlier definitions whose models still serve until they are retrained. A definition belongs here only if its columns
# are the first of FEATURES, in the same order and with the same meaning: what came later was added at the end.
# features-d53484dbd8f9 (0.1) differs only in the weather of cities in half-hour zones, of which 0.1 read no count, and
# features-66325a5fdc34 (before 0.2) only in lacking SIMILAR and what follows, features-7ccd20ceabfd in lacking
# SCHOOL_COLUMNS and EVENT. features-edf6ab929e2f computed the same, and features-fd57336affff all but DERIVED.
EARLIER_DEFINITIONS: frozenset[str] = frozenset(
    {
        "features-d53484dbd8f9",
        "features-66325a5fdc34",
        "features-7ccd20ceabfd",
        "features-edf6ab929e2f",
        "features-fd57336affff",
    }
)


def serves(definition: str) -> bool:
    """Return whether this code computes the features that a model of a definition was trained on."""
    return definition in {FEATURE_DEFINITION, *EARLIER_DEFINITIONS}


def feature_matrix(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Return the features of each row, (n, len(FEATURES)), float64, NaN where unknown.

    frame: (n, any) from `usecases.feature_store.read_features`. Raises TooLittleHistory when a column is missing.
    """
    missing = [name for name in FEATURES if name not in frame.columns]
    if missing:
        raise TooLittleHistory(
            f"feature frame of {len(frame)} rows lacks {missing}; read it with usecases.feature_store.read_features"
        )
    x = np.empty((len(frame), len(FEATURES)))
    for column, name in enumerate(FEATURES):  # not all at once, which takes three times the memory
        x[:, column] = frame[name].to_numpy(dtype="float64", na_value=np.nan)
    return x
