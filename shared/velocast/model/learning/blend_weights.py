"""The weights of a blend's voices: chosen in training and, in a young city, moved by the errors before each origin.

Where a few months of counts are known, learned voices have not seen the season that comes. The errors of the last three
weeks show which voice to trust, and a penalty for leaving the trained weights limits the effect of chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from velocast.core.unknown import Unknown
from velocast.model.arrays import Floats
from velocast.model.evaluation import bootstrap
from velocast.model.learning.level_correction import local_days, rows_since

# New ones come last, so that the voices of a stored model are the first of these (`voices_of`).
VOICES = ("boosters", "ridge", "similar_days", "same_weekday")
# The first are the usual weights. Four held-out weeks tell little about the weeks that follow: in all of five cities,
# the weights that were best on them did worse than these (ADR 19). So another candidate is chosen only where it is
# better by far, as in a city where learning does not pay.
CANDIDATES = (
    (0.25, 0.55, 0.1, 0.1),
    (0.5, 0.5, 0.0, 0.0),
    (0.0, 0.5, 0.5, 0.0),
    (0.0, 0.0, 1.0, 0.0),
)
CLEAR_GAIN = 0.08  # of the RMSE, at the least: the 5 % quantile over resampled days; 0.05 is not enough (ADR 29)
CERTAINTY = 0.05
MIN_DAYS = 14

# With so many days to learn from, the weights stay: moving them cost R2 in Paris (ADR 19).
MATURE_DAYS = 180
RECENT_DAYS = 21  # before the origin, whose errors move the weights
LEAST_RECENT_DAYS = 3
# What leaving the trained weights costs, in days: it must lower the squared error of the recent days by so much of one
# day's mean, times the squared distance of the weights.
PENALTY_DAYS = 10.0
STEPS = 10  # weights are tenths


@dataclass(frozen=True)
class DailyErrors:
    """How the voices erred on each day, and together.

    days: (k,), local days as days since 1970, each once. products: (k, v, v), the sums of the products of the errors of
    each two of v voices on that day, bikes squared. The squared error of any weights that add up to 1 follows.
    """

    days: NDArray[np.int64]
    products: Floats

    @staticmethod
    def of(voices: Floats, frame: pd.DataFrame) -> DailyErrors:
        """Return the errors of rows by the local day of their target.

        voices: (n, v), forecasts in bikes per hour. frame: (n, any) with local_date and bike_count, never NaN.
        """
        error = voices - frame[["bike_count"]].to_numpy(dtype="float64")
        days, at = np.unique(local_days(frame), return_inverse=True)
        products = np.zeros((len(days), voices.shape[1], voices.shape[1]))
        np.add.at(products, at, error[:, :, None] * error[:, None, :])
        return DailyErrors(days, products)

    def and_later(self, later: DailyErrors) -> DailyErrors:
        """Return these days and those of `later` that are not among them."""
        new = ~np.isin(later.days, self.days)
        return DailyErrors(
            np.concatenate([self.days, later.days[new]]),
            np.concatenate([self.products, later.products[new]]),
        )

    def between(self, first: int, until: int) -> Floats:
        """Return the products of the days from `first` to before `until`, (k, v, v)."""
        return self.products[(self.days >= first) & (self.days < until)]


def choose_weights(voices: Floats, held_out: pd.DataFrame, seed: int) -> tuple[float, ...]:
    """Return the weight of each of VOICES, chosen from CANDIDATES on rows that the voices were not fitted to.

    voices: (n, 4), what they forecast. held_out: feature frame whose rows all have a bike_count. With fewer than
    MIN_DAYS days, or where no candidate gains CLEAR_GAIN, the weights are the usual ones.
    """
    if held_out["local_date"].nunique() < MIN_DAYS:
        return CANDIDATES[0]
    error = voices - held_out[["bike_count"]].to_numpy(dtype="float64")
    squares = pd.DataFrame((error @ np.transpose(CANDIDATES)) ** 2, index=held_out.index)
    resampled = bootstrap.resampled_days(
        squares, held_out["local_date"], seed=seed, resamples=bootstrap.RESAMPLES
    )
    if isinstance(resampled, Unknown):
        return CANDIDATES[0]
    sums, _ = resampled
    usual = np.maximum(sums[:, :1], np.finfo(float).tiny)
    gains = np.quantile(1.0 - np.sqrt(sums / usual), CERTAINTY, axis=0)
    best = int(np.argmax(gains))
    return CANDIDATES[best if gains[best] >= CLEAR_GAIN else 0]


def weights_of_origins(
    frame: pd.DataFrame,
    voices: Floats,
    trained: tuple[float, ...],
    known: DailyErrors | None,
    learned_until: datetime | None,
) -> Floats:
    """Return the weights of each row, (n, v): those of its origin.

    frame: n rows with origin_at, lead_day, local_date and, for past days, bike_count; voices: (n, v), their forecasts.
    trained: what `choose_weights` chose. known: errors on rows that were held out in training; None for models that
    keep none, whose weights stay. Of the frame itself, only lead day 0 of origins at or after `learned_until`
    is used, since the voices were fitted to the counts before; None uses none of it. Only days that end before an
    origin begins move its weights.
    """
    rows = np.tile(np.asarray(trained), (len(frame), 1))
    if known is None:
        return rows
    errors = known
    new = rows_since(frame, learned_until)
    if new.any():
        errors = known.and_later(DailyErrors.of(voices[new], frame[new]))
    origin_days = local_days(frame) - frame["lead_day"].to_numpy(dtype="int64")
    for day in np.unique(origin_days).tolist():
        recent = errors.between(day - RECENT_DAYS, day)
        if len(recent) >= LEAST_RECENT_DAYS:
            rows[origin_days == day] = _moved(recent, np.asarray(trained))
    return rows


def _moved(recent: Floats, trained: Floats) -> Floats:
    """Return the weights that err least on the recent days, at the price of leaving the trained ones."""
    products = recent.sum(axis=0)
    usual = trained @ products @ trained
    if usual <= 0:
        return trained
    grid = np.vstack([trained, _grid(len(trained))])  # the first wins where all are alike
    error = np.einsum("gi,ij,gj->g", grid, products, grid) / usual * len(recent)
    price = PENALTY_DAYS * ((grid - trained) ** 2).sum(axis=1)
    return np.asarray(grid[np.argmin(error + price)])


def named(weights: tuple[float, ...]) -> dict[str, float]:
    """Return {voice: weight}."""
    return dict(zip(VOICES, weights, strict=True))


def voices_of(weights: dict[str, float]) -> list[str]:
    """Return which of VOICES a model has, in their order. Models from before ADR 37 lack the last."""
    return [voice for voice in VOICES if voice in weights]


@cache
def _grid(voices: int) -> Floats:
    """Return all weights in tenths that add up to 1, (g, voices)."""
    tenths = product(range(STEPS + 1), repeat=voices)
    return np.array([weights for weights in tenths if sum(weights) == STEPS]) / STEPS
