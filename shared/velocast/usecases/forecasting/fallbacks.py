"""Forecasts for counters without recent counts.

A counter's own typical week comes first. Without one, the city's weekly profile is scaled to the counter's level or, if
it has never counted, to the level of its neighbours. Intervals are wider than a model's: they cover the variation
between weeks and between counters, and a margin for the time without counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from velocast.core.geo import Plane
from velocast.model import spatial_fallback
from velocast.model.spatial_fallback import blend, weighted_mean
from velocast.usecases.forecasting.snapshot import History
from velocast.usecases.snapshot_format import Basis

MARGIN = 1.5
MIN_SLOTS = 150  # of 168: a typical week may lack a few hours
PROFILE_QUANTILES = (0.05, 0.5, 0.95)
# over the counters; with the margin, the interval of a new counter contains over 90 % of its counts
LEVEL_QUANTILES = (0.25, 0.5, 0.75)
# lower, forecast, upper as multiples of the level, when there is no profile yet
FLAT = (0.0, 1.0, 3.0)


def forecast_without_recent_counts(
    hours: pd.DataFrame, history: History, counter_ids: Sequence[str], zone: ZoneInfo
) -> pd.DataFrame:
    """Forecast every hour for each of the given counters.

    hours: target_at (UTC), lead_hours, lead_day: one row per hour of the horizon.
    Returns one row per counter and hour, in that order: counter_id, those columns, predicted_count, lower, upper (bikes
    per hour, >= 0), busy_probability (NaN, since there are no recent counts to compare with), basis (`typical_week`,
    `neighbours`, `city_profile`).
    """
    if not counter_ids:
        return pd.DataFrame()
    slots = _local_slots(hours["target_at"], zone)
    profile = _profile(history)
    parts = [_one(hours, slots, history, profile, counter_id) for counter_id in counter_ids]
    return pd.concat(parts, ignore_index=True)


def _local_slots(times: pd.Series[pd.Timestamp], zone: ZoneInfo) -> np.ndarray:
    local = times.dt.tz_convert(zone)
    return (local.dt.dayofweek * 24 + local.dt.hour).to_numpy()


def _profile(history: History) -> np.ndarray:
    """Return (3, 168): lower, middle and upper count relative to a counter's level, by local hour of the week.

    The bounds cover the variation between counters and between the weeks of one counter, times the margin.
    """
    levels = _levels(history)
    level = levels.where(levels > 0)
    shares = history.typical.loc[level.index].div(level, axis=0)
    spreads = history.typical_spread.loc[level.index].div(level, axis=0)
    weekly = spreads.median().to_numpy()
    low, middle, high = (shares.quantile(q).to_numpy() for q in PROFILE_QUANTILES)
    rows = (
        middle - MARGIN * (middle - low + weekly),
        middle,
        middle + MARGIN * (high - middle + weekly),
    )
    return np.stack([np.where(np.isnan(r), f, r) for r, f in zip(rows, FLAT, strict=True)])


def _levels(history: History) -> pd.Series[float]:
    """Return the mean counts of the city's counters, without sums of them."""
    means = history.counters["mean_count"].astype(float)
    return means[~means.index.isin(list(history.histories.sums))]


def _one(
    hours: pd.DataFrame,
    slots: np.ndarray,
    history: History,
    profile: np.ndarray,
    counter_id: str,
) -> pd.DataFrame:
    level, basis = _level(history, counter_id)
    low, middle, high = profile * np.array(level)[:, None]
    own = history.typical.loc[counter_id].to_numpy()
    spread = MARGIN * history.typical_spread.loc[counter_id].to_numpy()
    known = ~np.isnan(own)
    if known.sum() >= MIN_SLOTS:
        basis = "typical_week"
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


def _level(history: History, counter_id: str) -> tuple[tuple[float, float, float], Basis]:
    """Return lower, middle and upper level, and the basis.

    A counter with counts has its mean count for all three. A counter without counts gets the city's quartiles, the
    middle blended with its neighbours' level as it is for a position without a counter.
    """
    means = history.counters["mean_count"].astype(float)
    own = float(means.loc[counter_id])
    if not np.isnan(own):
        return (own, own, own), "city_profile"
    low, middle, high = _levels(history).quantile(list(LEVEL_QUANTILES))
    near = _neighbours(history, counter_id)
    if not near:
        return (low, middle, high), "city_profile"
    weights = spatial_fallback.weights([km for km, _ in near])
    level = weighted_mean(weights, [float(means.loc[neighbour]) for _, neighbour in near])
    middle = blend(level, middle, near[0][0])
    return (min(low, middle), middle, max(high, middle)), "neighbours"


def _neighbours(history: History, counter_id: str) -> list[tuple[float, str]]:
    """Return the nearest counters that have counts, (km, counter_id), nearest first."""
    places = history.counters[["latitude", "longitude"]].astype("float64")
    latitude, longitude = places.loc[counter_id].to_numpy()
    counted = places[history.counters["mean_count"].notna()]
    plane = Plane.at(float(latitude))
    x, y = plane.point(latitude, longitude)
    other_x, other_y = plane.point(counted["latitude"], counted["longitude"])
    km = np.hypot(other_x - x, other_y - y)
    return spatial_fallback.nearest(zip(km.tolist(), counted.index.astype(str), strict=True))
