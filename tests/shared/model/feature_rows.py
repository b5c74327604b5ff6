"""Synthetic feature frames with the columns of `usecases.feature_store.read_features`, without BigQuery."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from tests.shared.model.small_city import ZONE
from velocast.core.datetimes import start_of_local_day
from velocast.model.features.calendar_features import calendar_columns, school_columns
from velocast.model.features.definition import EVENT, HISTORY, SHARES, SIMILAR, WEATHER


def feature_rows(
    first_origin: date, *, origins: int = 6, counters: int = 3, seed: int = 0
) -> pd.DataFrame:
    """Return counters of different levels whose counts vary around the mean of similar days; lead days 0 to 4."""
    random = np.random.default_rng(seed)
    begin = start_of_local_day(first_origin, ZONE)
    keys = pd.MultiIndex.from_product(
        [range(origins), range(counters), range(120)], names=["origin", "counter", "lead_hours"]
    ).to_frame(index=False)
    frame = pd.DataFrame({"counter_id": "c" + keys["counter"].astype(str)})
    frame["origin_at"] = begin + pd.to_timedelta(keys["origin"], unit="D")
    frame["target_at"] = frame["origin_at"] + pd.to_timedelta(keys["lead_hours"], unit="h")
    frame["lead_hours"], frame["lead_day"] = keys["lead_hours"], keys["lead_hours"] // 24
    frame["local_hour"] = keys["lead_hours"] % 24
    frame["day_type"] = "working"
    level = 20.0 * (keys["counter"] + 1)
    rhythm = level * (1 + np.sin((frame["local_hour"] - 8) / 24 * 2 * np.pi))
    for name in HISTORY:
        frame[name] = rhythm * random.uniform(0.8, 1.2, len(frame))
    frame["level"], frame["busy_threshold"] = level, level * 1.5
    frame["history_hours"] = 672.0
    for name in SHARES:
        frame[name] = random.uniform(0.9, 1.1, len(frame))
    for name in WEATHER:
        frame[name] = random.uniform(0.0, 20.0, len(frame))
    for name in SIMILAR:
        frame[name] = rhythm * random.uniform(0.8, 1.2, len(frame))
    frame["bike_count"] = random.poisson(frame["similar_day_mean"]).astype("float64")
    frame["lag_168h"] = frame["bike_count"] * random.uniform(0.5, 1.5, len(frame))
    frame[EVENT] = 0.0
    columns = [calendar_columns(frame, ZONE, []), school_columns(frame, ZONE, [])]
    return pd.concat([frame, *columns], axis="columns")


def without_history(frame: pd.DataFrame, counter_id: str) -> pd.DataFrame:
    """Return the same frame with one counter's history set to NaN."""
    bare = frame.copy()
    rows = bare["counter_id"] == counter_id
    bare.loc[rows, [*HISTORY, *SHARES, *SIMILAR, "busy_threshold", "lag_168h"]] = np.nan
    bare.loc[rows, "history_hours"] = 0.0
    return bare
