"""Scores of forecasts against counts, and the comparison of two models on the same rows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from velocast.core.datetimes import SCORED_LEAD_DAYS
from velocast.core.errors import VelocastError
from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown

KEYS = ("counter_id", "target_at", "lead_day")
RESAMPLES = 1000


class RowsMismatch(VelocastError):
    """Forecasts and actuals do not cover the same rows; the caller joined them wrongly."""

    code = "rows_mismatch"


class _Errors(BaseModel):
    """Bikes per hour, except r2, wape and coverage (shares); None where the rows do not define the score."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    rows: int
    r2: float | None
    rmse: float
    mae: float
    wape: float | None
    bias: float
    coverage: float | None
    width: float | None


class LeadScores(_Errors):
    """Scores of one lead day (0 = the origin's own day)."""

    lead_day: int


class Scores(_Errors):
    """Pooled scores. skill: 1 - RMSE / RMSE of the value 168 hours earlier, on the rows that have one."""

    counters: int
    skill: float | None
    lead_days: list[LeadScores]


class Validation(BaseModel):
    """The champion's recent accuracy: scores of the last `validation_days`, skill over the last `skill_days`."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    scores: Scores
    skill: float | None

    @property
    def r2(self) -> float | None:
        """Pooled R2 of the last `validation_days`."""
        return self.scores.r2

    @property
    def rmse(self) -> float:
        """Pooled RMSE of the last `validation_days`, in bikes per hour."""
        return self.scores.rmse


class BootstrapResult(BaseModel):
    """Reduction of RMSE by the new model, in bikes per hour, over resampled days (90 % interval)."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    gain_mean: float
    low: float
    high: float
    probability_better: float
    days: int


def score_forecasts(frame: pd.DataFrame) -> Scores:
    """Score forecasts over the rows that have an actual, pooled and per lead day.

    frame: one row per counter_id, target_at, lead_day with bike_count (NaN: not counted, left out), predicted_count
    and optionally lower, upper and lag_168h. Raises RowsMismatch when a row is repeated, when a counted row has no
    forecast, or when no row is counted.
    """
    counted = _counted(frame)
    return Scores(
        **_errors(counted),
        counters=int(counted["counter_id"].nunique()),
        skill=skill(counted),
        lead_days=[
            LeadScores(lead_day=int(str(day)), **_errors(rows))
            for day, rows in counted.groupby("lead_day")
        ],
    )


def skill(frame: pd.DataFrame) -> float | None:
    """Return 1 - RMSE / RMSE of the value 168 hours earlier, over rows that have all three; None without such rows."""
    if "lag_168h" not in frame.columns:
        return None
    rows = frame.dropna(subset=["bike_count", "predicted_count", "lag_168h"])
    naive = _rmse(rows["lag_168h"] - rows["bike_count"]) if len(rows) else 0.0
    return 1.0 - _rmse(rows["predicted_count"] - rows["bike_count"]) / naive if naive > 0 else None


def validate(
    week: pd.DataFrame, month: pd.DataFrame, *, counters: int, thresholds: Thresholds
) -> Validation | Unknown:
    """Score the champion's recent forecasts, lead days 0 to 2.

    week: rows of the last `validation_days`; month: rows of the last `skill_days`; both as for `score_forecasts`.
    counters: number of counters to forecast. Returns Unknown when the week has fewer than min_pairs pairs or less than
    min_counter_share of the counters. Raises as `score_forecasts`.
    """
    scored = week[week["lead_day"] < SCORED_LEAD_DAYS]
    pairs = scored[scored["bike_count"].notna()]
    if len(pairs) < max(1, thresholds.min_pairs):
        return Unknown(
            reason=f"{len(pairs)} forecasts of the last {thresholds.validation_days} days have a count, "
            f"{thresholds.min_pairs} are needed"
        )
    seen = pairs["counter_id"].nunique()
    if counters and seen / counters < thresholds.min_counter_share:
        return Unknown(
            reason=f"{seen} of {counters} counters have a count in the last {thresholds.validation_days} days, "
            f"{thresholds.min_counter_share:.0%} are needed"
        )
    return Validation(
        scores=score_forecasts(scored), skill=skill(month[month["lead_day"] < SCORED_LEAD_DAYS])
    )


def paired_bootstrap(
    frame: pd.DataFrame, *, seed: int, resamples: int = RESAMPLES
) -> BootstrapResult | Unknown:
    """Resample local days to estimate how certain it is that the new model beats the old one on the same rows.

    frame: bike_count, predicted_old, predicted_new, local_date; rows without a count are left out.
    Returns Unknown with fewer than two days. Raises RowsMismatch when a counted row lacks either forecast.
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
    days = squares.groupby(counted["local_date"]).sum().to_numpy()
    if len(days) < 2:
        return Unknown(reason=f"{len(days)} day(s) to resample, 2 are needed")
    draws = np.random.default_rng(seed).integers(len(days), size=(resamples, len(days)))
    sums = days[draws].sum(axis=1)
    gains = np.sqrt(sums[:, 0] / sums[:, 2]) - np.sqrt(sums[:, 1] / sums[:, 2])
    low, high = np.quantile(gains, [0.05, 0.95])
    return BootstrapResult(
        gain_mean=float(gains.mean()),
        low=float(low),
        high=float(high),
        probability_better=float((gains > 0).mean()),
        days=len(days),
    )


def _counted(frame: pd.DataFrame) -> pd.DataFrame:
    keys = [name for name in (*KEYS, "origin_at") if name in frame.columns]
    repeated = int(frame.duplicated(keys).sum())
    if repeated:
        raise RowsMismatch(
            f"{repeated} of {len(frame)} rows repeat {keys}; join forecasts and counts by key"
        )
    counted = frame[frame["bike_count"].notna()]
    lacking = int(counted["predicted_count"].isna().sum())
    if lacking:
        raise RowsMismatch(
            f"{lacking} of {len(counted)} counted rows have no forecast; score the same rows for every model"
        )
    if counted.empty:
        raise RowsMismatch(f"none of {len(frame)} rows has a count; there is nothing to score")
    return counted


def _errors(rows: pd.DataFrame) -> dict[str, float | int | None]:
    actual = rows["bike_count"].to_numpy(dtype="float64")
    error = rows["predicted_count"].to_numpy(dtype="float64") - actual
    spread = float(((actual - actual.mean()) ** 2).sum())
    total = float(actual.sum())
    coverage, width = _interval(rows)
    return {
        "rows": len(rows),
        "r2": 1.0 - float((error**2).sum()) / spread if spread > 0 else None,
        "rmse": _rmse(error),
        "mae": float(np.abs(error).mean()),
        "wape": float(np.abs(error).sum()) / total if total > 0 else None,
        "bias": float(error.mean()),
        "coverage": coverage,
        "width": width,
    }


def _interval(rows: pd.DataFrame) -> tuple[float | None, float | None]:
    """Return the share of counts within [lower, upper] and the mean width, over the rows that have both ends."""
    if not {"lower", "upper"} <= set(rows.columns):
        return None, None
    with_interval = rows.dropna(subset=["lower", "upper"])
    if with_interval.empty:
        return None, None
    inside = with_interval["bike_count"].between(with_interval["lower"], with_interval["upper"])
    return float(inside.mean()), float((with_interval["upper"] - with_interval["lower"]).mean())


def _rmse(error: pd.Series[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return float(np.sqrt(np.mean(np.square(error))))
