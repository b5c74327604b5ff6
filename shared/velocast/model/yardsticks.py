"""What a forecast must beat: three naive ones and the predecessor's random forest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from velocast.model import similar_days
from velocast.model.intervals import Floats

WEEK_BEFORE = "value_168h_before"
FOUR_WEEKS = "same_hour_4w_mean"
SIMILAR_DAYS = "similar_days"
PREDECESSOR = "predecessor_forest"
FOREST = {"n_estimators": 50, "max_depth": 20}


def naive(frame: pd.DataFrame) -> dict[str, Floats]:
    """Return the naive forecasts of a feature frame by name, each (n,), bikes per hour.

    Where the hour they repeat was not counted, the mean of similar days stands in: all are scored on the same rows.
    """
    similar = similar_days.expected(frame)
    return {
        WEEK_BEFORE: _or(frame["lag_168h"], similar),
        FOUR_WEEKS: _or(frame["same_hour_4w_mean"], similar),
        SIMILAR_DAYS: similar,
    }


def _or(values: pd.Series[float], stand_in: Floats) -> Floats:
    known = values.to_numpy(dtype="float64", na_value=np.nan)
    return np.where(np.isnan(known), stand_in, known)


@dataclass(frozen=True)
class Predecessor:
    """The predecessor's model: a random forest on the calendar and one-hot counters, which knows no history."""

    forest: Any
    counters: tuple[str, ...]

    @staticmethod
    def fit(frame: pd.DataFrame, *, seed: int) -> Predecessor:
        """Fit it on both cores, as the predecessor did.

        frame: (n, any), counter_id, local_date (naive midnight), local_hour, bike_count; rows without one are left out.
        """
        from sklearn.ensemble import RandomForestRegressor

        rows = frame[frame["bike_count"].notna()]
        counters = tuple(sorted(rows["counter_id"].unique()))
        forest = RandomForestRegressor(**FOREST, n_jobs=-1, random_state=seed)
        forest.fit(_columns(rows, counters), rows["bike_count"].to_numpy(dtype="float64"))
        return Predecessor(forest, counters)

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Return its forecasts, (n,), bikes per hour."""
        return np.asarray(self.forest.predict(_columns(frame, self.counters)), dtype="float64")


def _columns(frame: pd.DataFrame, counters: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """One-hot counter and weekday, hour and month as sine and cosine, year and day of month; (n, c + 13), float32."""
    days = frame["local_date"].dt
    hour = frame["local_hour"].to_numpy(dtype="float32") / 24
    month = days.month.to_numpy(dtype="float32") / 12
    numbers = [
        wave(2 * np.pi * turn).astype("float32")
        for turn in (hour, month)
        for wave in (np.sin, np.cos)
    ]
    numbers += [days.year.to_numpy(dtype="float32"), days.day.to_numpy(dtype="float32")]
    counter = pd.Categorical(frame["counter_id"], categories=list(counters)).codes
    return np.column_stack(
        [
            *numbers,
            days.dayofweek.to_numpy()[:, None] == np.arange(7),
            counter[:, None] == np.arange(len(counters)),
        ]
    ).astype("float32")
