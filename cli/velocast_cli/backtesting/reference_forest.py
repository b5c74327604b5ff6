"""The predecessor's random forest, refitted as a reference in backtests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats
from velocast.model.features.preprocessing import subsample

PREDECESSOR = "predecessor_forest"
FOREST = {"n_estimators": 50, "max_depth": 20}
# A row of 500 one-hot counters takes 2 KB: those learned from at most 1 GB, a block 100 MB.
MOST_LEARNED, BLOCK_ROWS = 500_000, 50_000


@dataclass(frozen=True)
class Predecessor:
    """The predecessor's model: a random forest on the calendar and one-hot counters, which knows no history."""

    forest: Any
    counters: tuple[str, ...]

    @staticmethod
    def fit(frame: pd.DataFrame, *, seed: int) -> Predecessor:
        """Fit it on both cores, as the predecessor did.

        frame: (n, any), counter_id, counted_at (UTC), local_date (naive midnight), local_hour, bike_count; rows without
        one are left out, and of more than MOST_LEARNED as many are drawn, of every counter and season the same share.
        """
        from sklearn.ensemble import RandomForestRegressor

        rows = frame[frame["bike_count"].notna()].rename(columns={"counted_at": "target_at"})
        rows = subsample(rows, MOST_LEARNED, seed)
        counters = tuple(sorted(rows["counter_id"].unique()))
        forest = RandomForestRegressor(**FOREST, n_jobs=-1, random_state=seed)
        forest.fit(_columns(rows, counters), rows["bike_count"].to_numpy(dtype="float64"))
        return Predecessor(forest, counters)

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Return its forecasts, (n,), bikes per hour; BLOCK_ROWS at a time, for all rows would not fit into memory."""
        made = np.empty(len(frame))
        for first in range(0, len(frame), BLOCK_ROWS):
            block = slice(first, first + BLOCK_ROWS)
            made[block] = self.forest.predict(_columns(frame.iloc[block], self.counters))
        return made


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
    counter = pd.Index(counters).get_indexer(pd.Index(frame["counter_id"]))  # -1: came later
    return np.column_stack(
        [
            *numbers,
            days.dayofweek.to_numpy()[:, None] == np.arange(7),
            counter[:, None] == np.arange(len(counters)),
        ]
    ).astype("float32", copy=False)
