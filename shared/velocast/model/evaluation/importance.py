"""How much a model's forecasts depend on each family of features: grouped permutation importance.

A family's columns are shuffled together among the held-out rows of each counter, and the whole model forecasts again:
all parts of a blend, with their corrections. Features of one family are much alike, so if they were shuffled one by
one, each would seem unimportant. Families overlap too, so the importances do not add up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats
from velocast.model.features.calendar_features import CALENDAR_COLUMNS, SCHOOL_COLUMNS
from velocast.model.features.definition import EVENT, RECENT, SHARES, SIMILAR, WEATHER, WEEKS
from velocast.model.features.preprocessing import subsample

# Without `lead_day`, which distinguishes the rows of an origin from those before it.
FAMILIES: dict[str, tuple[str, ...]] = {
    "Similar days": ("similar_day_mean", *SIMILAR),
    "Same hour, last seven days": (*RECENT, "hour_mean_7d"),
    "Same hour, weeks before": (*WEEKS, "same_hour_4w_mean", "hour_mean_28d"),
    "Level of the last days": ("day_mean_1d", "day_mean_2d", "day_mean_7d", "level", *SHARES),
    "Hour, weekday, holidays": ("local_hour", *CALENDAR_COLUMNS, *SCHOOL_COLUMNS),
    "Weather": WEATHER,
    "Events": (EVENT,),
}
MOST_ROWS = 4_000
REPEATS = 2


@dataclass(frozen=True)
class Importance:
    """growth: share by which the RMSE grows when a family is shuffled; spread: standard deviation over the repeats."""

    family: str
    growth: float
    spread: float


def family_importances(
    predict: Callable[[pd.DataFrame], pd.Series[float]],
    frame: pd.DataFrame,
    actual: pd.Series[float],
    *,
    seed: int,
) -> list[Importance]:
    """Return the importance of each of FAMILIES, the largest first; an empty list if the model makes no error.

    predict: a model's forecast of each row of a feature frame, with its index. frame: feature frame of held-out rows,
    of which at most MOST_ROWS are used, the same share of each counter. actual: what was forecast, with the frame's
    index; rows without are left out.
    """
    keys = frame.loc[actual.notna(), ["counter_id", "target_at"]]  # no copy of all columns
    rows = frame.loc[subsample(keys, MOST_ROWS, seed).index]
    true = actual.loc[rows.index].to_numpy(dtype="float64")

    def error(inputs: pd.DataFrame) -> float:
        forecast = predict(inputs).to_numpy(dtype="float64")
        return float(np.sqrt(np.nanmean((forecast - true) ** 2)))

    usual = error(rows) if len(rows) else 0.0
    if not usual > 0:
        return []
    generator = np.random.default_rng(seed)
    found = []
    for family, columns in FAMILIES.items():
        growths: Floats = np.array(
            [error(_shuffled(rows, columns, generator)) / usual - 1 for _ in range(REPEATS)]
        )
        found.append(Importance(family, float(growths.mean()), float(growths.std())))
    return sorted(found, key=lambda importance: -importance.growth)


def _shuffled(
    rows: pd.DataFrame, columns: tuple[str, ...], generator: np.random.Generator
) -> pd.DataFrame:
    """Return the rows with some columns taken, together, from another row of the same counter."""
    counters = rows["counter_id"].astype("category").cat.codes.to_numpy()
    own = np.lexsort((np.arange(len(rows)), counters))
    other = np.lexsort((generator.random(len(rows)), counters))
    taken = np.empty(len(rows), dtype=np.int64)
    taken[own] = other
    return rows.assign(**{name: rows[name].to_numpy()[taken] for name in columns})
