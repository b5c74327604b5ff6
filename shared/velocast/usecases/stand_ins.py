"""Forecasts for counters that were not counted lately: from their own typical week, else from the city's profile.

Intervals are wider than a model's: they cover what differs between weeks and between counters, and a margin for the
months that went by.
"""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from velocast.usecases.snapshot import History

MARGIN = 1.5
MIN_SLOTS = 150  # of 168: a week with a few holes is still a week
PROFILE_QUANTILES = (0.05, 0.5, 0.95)
LEVEL_QUANTILES = (0.1, 0.5, 0.9)
FLAT = (
    0.0,
    1.0,
    3.0,
)  # lower, forecast, upper in terms of the level, where no profile is known yet


def forecast(
    hours: pd.DataFrame, history: History, counter_ids: Sequence[str], zone: ZoneInfo
) -> pd.DataFrame:
    """Forecast every hour for every counter given.

    hours: target_at (UTC), lead_hours, lead_day: one row an hour of the horizon.
    Returns one row a counter and hour, in that order: counter_id, those columns, predicted_count, lower, upper (bikes
    per hour, >= 0), busy_probability (NaN: nothing recent to be busier than), basis (`typical_week`, `city_profile`).
    """
    slots = _local_slots(hours["target_at"], zone)
    profile = _profile(history)
    parts = [_one(hours, slots, history, profile, counter_id) for counter_id in counter_ids]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _local_slots(times: pd.Series[pd.Timestamp], zone: ZoneInfo) -> np.ndarray:
    local = times.dt.tz_convert(zone)
    return (local.dt.dayofweek * 24 + local.dt.hour).to_numpy()


def _profile(history: History) -> np.ndarray:
    """Return (3, 168): lower, middle and upper share of a counter's level in each local hour of the week.

    The ends hold what differs between counters, then what differs between the weeks of one, and the margin.
    """
    levels = history.counters["mean_count"].astype(float)
    level = levels.where(levels > 0)
    shares = history.typical.div(level, axis=0)
    weekly = history.spread.div(level, axis=0).median().to_numpy()
    low, middle, high = (shares.quantile(q).to_numpy() for q in PROFILE_QUANTILES)
    rows = (
        middle - MARGIN * (middle - low + weekly),
        middle,
        middle + MARGIN * (high - middle + weekly),
    )
    return np.stack([np.where(np.isnan(r), f, r) for r, f in zip(rows, FLAT, strict=True)])


def _one(
    hours: pd.DataFrame,
    slots: np.ndarray,
    history: History,
    profile: np.ndarray,
    counter_id: str,
) -> pd.DataFrame:
    low, middle, high = profile * np.array(_level(history, counter_id))[:, None]
    own = history.typical.loc[counter_id].to_numpy()
    spread = MARGIN * history.spread.loc[counter_id].to_numpy()
    known = ~np.isnan(own)
    basis = "typical_week" if known.sum() >= MIN_SLOTS else "city_profile"
    if basis == "typical_week":
        low, high = np.where(known, own - spread, low), np.where(known, own + spread, high)
        middle = np.where(known, own, middle)
    return hours.assign(
        counter_id=counter_id,
        predicted_count=middle[slots],
        lower=np.clip(np.minimum(low, middle), 0, None)[slots],
        upper=np.maximum(high, middle)[slots],
        busy_probability=np.nan,
        basis=basis,
    )


def _level(history: History, counter_id: str) -> tuple[float, float, float]:
    """Return the counter's mean count thrice; of one never counted, what few, half and most counters have."""
    means = history.counters["mean_count"].astype(float)
    own = float(means.loc[counter_id])
    if not np.isnan(own):
        return own, own, own
    low, middle, high = means.quantile(list(LEVEL_QUANTILES))
    return low, middle, high
