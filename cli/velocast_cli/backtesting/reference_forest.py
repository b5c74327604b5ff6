"""The random forest of the project that Velocast replaces (the predecessor), refitted as a reference model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats
from velocast.model.features.preprocessing import subsample
from velocast.model.parallel import warning_filters_kept

FOREST = {"n_estimators": 50, "max_depth": 20}
# A row of 500 one-hot counters takes 2 KB, so training rows take at most 1 GB and a block takes 100 MB.
MOST_LEARNED, BLOCK_ROWS = 500_000, 50_000


@dataclass(frozen=True)
class ReferenceForest:
    """A random forest on calendar features and one-hot counters; it uses no history."""

    forest: Any
    counters: tuple[str, ...]

    @staticmethod
    def fit(frame: pd.DataFrame, *, seed: int) -> ReferenceForest:
        """Fit the forest on all cores, as the predecessor did.

        frame: (n, any) with counter_id, counted_at (UTC), local_date (naive midnight), local_hour, bike_count. Rows
        without a count are left out; more than MOST_LEARNED rows are thinned to that number, evenly over counters and
        seasons.
        """
        from sklearn.ensemble import RandomForestRegressor

        rows = frame[frame["bike_count"].notna()].rename(columns={"counted_at": "target_at"})
        rows = subsample(rows, MOST_LEARNED, seed)
        counters = tuple(sorted(rows["counter_id"].unique()))
        forest = RandomForestRegressor(**FOREST, n_jobs=-1, random_state=seed)
        with warning_filters_kept():
            forest.fit(_columns(rows, counters), rows["bike_count"].to_numpy(dtype="float64"))
        return ReferenceForest(forest, counters)

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Return forecasts, (n,), bikes per hour. BLOCK_ROWS at a time, since all rows would not fit into memory."""
        made = np.empty(len(frame))
        for first in range(0, len(frame), BLOCK_ROWS):
            block = slice(first, first + BLOCK_ROWS)
            with warning_filters_kept():
                made[block] = self.forest.predict(_columns(frame.iloc[block], self.counters))
        return made


def _columns(frame: pd.DataFrame, counters: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """Return one-hot counter and weekday, sine and cosine of hour and month, year, day; (n, c + 13), float32."""
    days = frame["local_date"].dt
    hour = frame["local_hour"].to_numpy(dtype="float32") / 24
    month = days.month.to_numpy(dtype="float32") / 12
    numbers = [
        wave(2 * np.pi * turn).astype("float32")
        for turn in (hour, month)
        for wave in (np.sin, np.cos)
    ]
    numbers += [days.year.to_numpy(dtype="float32"), days.day.to_numpy(dtype="float32")]
    counter = pd.Index(counters).get_indexer(
        pd.Index(frame["counter_id"])
    )  # -1: not in the training rows
    return np.column_stack(
        [
            *numbers,
            days.dayofweek.to_numpy()[:, None] == np.arange(7),
            counter[:, None] == np.arange(len(counters)),
        ]
    ).astype("float32", copy=False)
