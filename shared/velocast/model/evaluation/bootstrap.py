"""Resampling of local days: how certain it is that one model beats another on the same rows."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from velocast.core.unknown import Unknown
from velocast.model.arrays import Floats
from velocast.model.evaluation.metrics import RowsMismatch

RESAMPLES = 1000
INTERVAL = (0.05, 0.95)  # the ends of a 90 % interval


class BootstrapResult(BaseModel):
    """Reduction of RMSE by the new model, in bikes per hour, over resampled days (90 % interval)."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    gain_mean: float
    low: float
    high: float
    probability_better: float
    days: int


def paired_bootstrap(
    frame: pd.DataFrame, *, seed: int, resamples: int = RESAMPLES
) -> BootstrapResult | Unknown:
    """Resample local days to estimate how certain it is that the new model beats the old one on the same rows.

    frame: bike_count, predicted_old, predicted_new, local_date; rows without a count are left out.
    Returns Unknown with fewer than two days. Raises RowsMismatch when a counted row lacks either forecast.
    """
    resampled = resampled_rmse(frame, seed=seed, resamples=resamples)
    if isinstance(resampled, Unknown):
        return resampled
    old, new, days = resampled
    gains = old - new
    low, high = np.quantile(gains, INTERVAL)
    return BootstrapResult(
        gain_mean=float(gains.mean()),
        low=float(low),
        high=float(high),
        probability_better=float((gains > 0).mean()),
        days=days,
    )


def resampled_rmse(
    frame: pd.DataFrame, *, seed: int, resamples: int = RESAMPLES
) -> tuple[Floats, Floats, int] | Unknown:
    """Return the RMSE of the old and the new model on each resample, (resamples,), and the number of local days.

    Arguments, Unknown and errors as for `paired_bootstrap`.
    """
    counted = frame[frame["bike_count"].notna()]
    lacking = int(counted[["predicted_old", "predicted_new"]].isna().any(axis="columns").sum())
    if lacking:
        raise RowsMismatch(
            f"{lacking} of {len(counted)} counted rows lack a forecast of one of the models"
        )
    squares = pd.DataFrame(
        {
            "old": (counted["predicted_old"] - counted["bike_count"]) ** 2,
            "new": (counted["predicted_new"] - counted["bike_count"]) ** 2,
            "rows": 1.0,
        }
    )
    sums = resampled_days(squares, counted["local_date"], seed=seed, resamples=resamples)
    if isinstance(sums, Unknown):
        return sums
    old, new = (np.sqrt(sums[0][:, n] / sums[0][:, 2]) for n in (0, 1))
    return old, new, sums[1]


def resampled_days(
    values: pd.DataFrame, local_dates: pd.Series[Any], *, seed: int, resamples: int = RESAMPLES
) -> tuple[Floats, int] | Unknown:
    """Return the columns' sums over each resample of local days, (resamples, columns), and the number of days.

    As many days are drawn as there are. Returns Unknown with fewer than two days.
    """
    days = values.groupby(local_dates).sum().to_numpy(dtype="float64")
    if len(days) < 2:
        return Unknown(reason=f"{len(days)} day(s) to resample, 2 are needed")
    draws = np.random.default_rng(seed).integers(len(days), size=(resamples, len(days)))
    return days[draws].sum(axis=1), len(days)
