"""Conformal 90 % intervals and busy probabilities, from the errors of recent forecasts.

Each error is divided by its scale: the usual error of a forecast of that size, or a learned one (`residual_scale`). Per
lead day, the distribution of the scaled errors gives the interval and the probability of exceeding a threshold.
`adaptive` then widens or narrows the intervals according to newer errors.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from velocast.model.arrays import Floats

NOMINAL = 0.90
MIN_ERRORS = 100  # a lead day with fewer uses the errors of all lead days
BINS = 20
SMALLEST_SCALE = 0.5
NO_HISTORY_FACTOR = 2.5  # intervals of a counter without history are wider by this factor
GRID = np.linspace(0.0, 1.0, 201)
QUANTILES = {
    "q25": 0.25,
    "q50": 0.5,
    "q75": 0.75,
}  # column: level; `lower` and `upper` are 0.05 and 0.95


class LeadErrors(BaseModel):
    """Scaled errors of one lead day: the ends of the interval, and quantiles at GRID."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    quantiles: tuple[float, ...]


class Calibration(BaseModel):
    """The error distribution of forecasts.

    knots: (predicted count, usual error), both in bikes per hour, ascending. Without knots, errors are in units of a
    scale that is given with each forecast.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    rows: int
    knots: tuple[tuple[float, float], ...]
    pooled: LeadErrors
    lead_days: dict[int, LeadErrors]


def calibrate(frame: pd.DataFrame, scale: Floats | None = None) -> Calibration:
    """Learn the errors of out-of-sample forecasts.

    frame: n rows of bike_count (NaN: left out), predicted_count, lead_day; scale: (n,), the residual scale of each
    forecast, or None to use the usual error of a forecast of that size. With fewer than MIN_ERRORS counts there is too
    little to learn from: the intervals are then wide and the same for every city.
    """
    known = (frame["bike_count"].notna() & frame["predicted_count"].notna()).to_numpy()
    rows = frame[known]
    if len(rows) < MIN_ERRORS:
        return _uninformed()
    predicted = rows["predicted_count"].to_numpy(dtype="float64")
    error = rows["bike_count"].to_numpy(dtype="float64") - predicted
    knots = () if scale is not None else _usual_errors(predicted, np.abs(error))
    scaled = pd.Series(error / (_usual(predicted, knots) if scale is None else scale[known]))
    lead_days = {
        int(str(day)): _lead_errors(values.to_numpy())
        for day, values in scaled.groupby(rows["lead_day"].to_numpy())
        if len(values) >= MIN_ERRORS
    }
    return Calibration(
        rows=len(rows), knots=knots, pooled=_lead_errors(scaled.to_numpy()), lead_days=lead_days
    )


def add_intervals(
    frame: pd.DataFrame, predicted: Floats, calibration: Calibration, scale: Floats | None = None
) -> pd.DataFrame:
    """Return each forecast with its interval and busy probability.

    frame: (n, any) with lead_day, and level and busy_threshold where known; predicted: (n,), bikes per hour; scale:
    (n,), required if the calibration was made with one.
    Returns (n, 7): predicted_count, lower, upper (0 <= lower <= predicted_count <= upper), QUANTILES (ascending, from
    lower to upper), busy_probability (NaN without a threshold), with the frame's index.
    """
    expected = np.maximum(predicted, 0.0)
    if scale is None:
        scale = _usual(expected, calibration.knots)
    scale = np.where(_column(frame, "level") >= 0, scale, scale * NO_HISTORY_FACTOR)
    # counts are integers: above 12 means 13 or more, so the limit is 12.5
    limit = (_column(frame, "busy_threshold") + 0.5 - expected) / scale
    low, high = interval_bounds(frame, calibration)
    busy = np.empty_like(expected)
    quantiles = {name: np.empty_like(expected) for name in QUANTILES}
    lead_day = frame["lead_day"].to_numpy()
    for day in np.unique(lead_day):
        errors = calibration.lead_days.get(int(day), calibration.pooled)
        rows = lead_day == day
        busy[rows] = 1.0 - np.interp(limit[rows], np.array(errors.quantiles), GRID)
        for name, level in QUANTILES.items():
            error = float(np.interp(level, GRID, errors.quantiles))
            quantiles[name][rows] = expected[rows] + error * scale[rows]
    lower = np.clip(expected + low * scale, 0.0, expected)
    upper = np.maximum(expected + high * scale, expected)
    return pd.DataFrame(
        {
            "predicted_count": expected,
            "lower": lower,
            "upper": upper,
            **{name: np.clip(values, lower, upper) for name, values in quantiles.items()},
            "busy_probability": busy,
        },
        index=frame.index,
    )


def interval_bounds(frame: pd.DataFrame, calibration: Calibration) -> tuple[Floats, Floats]:
    """Return the two ends of each row's interval, both (n,), relative to the forecast and in units of its scale."""
    lead_day = frame["lead_day"].to_numpy()
    low, high = np.empty(len(frame)), np.empty(len(frame))
    for day in np.unique(lead_day):
        errors = calibration.lead_days.get(int(day), calibration.pooled)
        low[lead_day == day], high[lead_day == day] = errors.low, errors.high
    return low, high


def _column(frame: pd.DataFrame, name: str) -> Floats:
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    return frame[name].to_numpy(dtype="float64")


def _usual_errors(predicted: Floats, error: Floats) -> tuple[tuple[float, float], ...]:
    """Return size and mean absolute error of BINS equally large groups of forecasts; errors never fall with size."""
    order = np.argsort(predicted, kind="stable")
    classes = np.array_split(order, BINS)
    sizes = np.array([predicted[c].mean() for c in classes])
    errors = np.maximum.accumulate([max(error[c].mean(), SMALLEST_SCALE) for c in classes])
    return tuple((float(size), float(value)) for size, value in zip(sizes, errors, strict=True))


def _usual(predicted: Floats, knots: tuple[tuple[float, float], ...]) -> Floats:
    """Return the usual error of forecasts by size; above the last knot it grows in proportion."""
    sizes, errors = np.array(knots).T
    beyond = np.maximum(predicted / max(sizes[-1], 1.0), 1.0)
    return np.asarray(np.interp(predicted, sizes, errors) * beyond, dtype="float64")


def _lead_errors(scaled: Floats) -> LeadErrors:
    """Return conformal ends: the ranks that leave (1 - NOMINAL) / 2 of n + 1 errors outside on each side."""
    ordered = np.sort(scaled)
    n = len(ordered)
    outside = (1.0 - NOMINAL) / 2.0
    rank = min(math.ceil((n + 1) * (1.0 - outside)), n) - 1
    return LeadErrors(
        low=float(ordered[n - 1 - rank]),
        high=float(ordered[rank]),
        quantiles=tuple(float(q) for q in np.quantile(ordered, GRID)),
    )


def _uninformed() -> Calibration:
    """Return a wide, uniform error distribution, in use until there are enough errors to learn from."""
    spread: Any = np.linspace(-3.0, 3.0, len(GRID))
    errors = LeadErrors(low=-2.7, high=2.7, quantiles=tuple(float(value) for value in spread))
    return Calibration(
        rows=0, knots=((0.0, 2.0), (10.0, 7.0), (100.0, 52.0)), pooled=errors, lead_days={}
    )
