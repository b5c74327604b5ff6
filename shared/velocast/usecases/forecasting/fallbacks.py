"""Forecasts for counters without enough recent counts for a model.

A counter's own typical week comes first. Without one, the typical week of the city takes its place or, if the counter
has never counted, that of its neighbours. If it has counted a few hours lately, they scale the week: its level and,
hour by hour, its shape. Intervals are wider than a model's: they cover the variation between weeks and between
counters, and a margin for the time without counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from velocast.core.datetimes import HOUR
from velocast.core.geo import Plane
from velocast.model import spatial_fallback
from velocast.model.arrays import Floats
from velocast.model.spatial_fallback import blend
from velocast.usecases.forecasting.snapshot.counter_profiles import CounterProfiles
from velocast.usecases.snapshot_format import HOURS_PER_WEEK, Basis

MARGIN = 1.5
PROFILE_MARGIN = 1.0  # the variation between counters is wide enough by itself
MIN_SLOTS = 150  # of 168: a typical week may lack a few hours
PROFILE_QUANTILES = (0.05, 0.5, 0.95)
# over the counters; with the margin, the interval of a new counter contains over 90 % of its counts
LEVEL_QUANTILES = (0.25, 0.5, 0.75)
# lower, forecast, upper as multiples of the level, when there is no profile yet
FLAT = (0.0, 1.0, 3.0)
FIRST_DAY = 24  # hours; a counter that has counted fewer keeps the wide interval of a counter without counts
# The ratio of the city's counts to those of typical weeks: with fewer counters, or beyond these factors, it says
# nothing about the city.
FEWEST_COUNTERS = 3
SMALLEST, LARGEST = 0.3, 3.0
LATELY_HOURS = 7 * 24  # in which the city's level is compared with its typical week
# A counter's first hours are blended with what is expected without them. The expected level weighs as much as two hours
# and the city's shape as much as the bikes of one usual hour. With one day of counts in Paris, R2 of the next five days
# is 0.76, and 0.72 if only the level is blended.
LEVEL_PRIOR_HOURS = 2.0
SHAPE_PRIOR_HOURS = 1.0
BESIDE = 0.5  # weight of the two adjacent hours in an hour's shape


@dataclass(frozen=True)
class CityWeek:
    """What all counters together show: the usual week, relative to a counter's level, and the last two weeks.

    profile: (3, 168): lower, middle and upper count relative to a counter's level, by local hour of the week.
    levels: mean count of each counter with counts, without sums of counters; index counter_id.
    recent: (hours before the origin) the city's counts over those of its counters' typical weeks; NaN where unknown.
    lately: the same over the last LATELY_HOURS; 1 where unknown.
    slots: local hour of the week of the hours of `recent`.
    """

    profile: Floats
    levels: pd.Series[float]
    recent: Floats
    lately: float
    slots: npt.NDArray[np.int64]


def forecast_without_recent_counts(
    hours: pd.DataFrame, profiles: CounterProfiles, counter_ids: Sequence[str], zone: ZoneInfo
) -> pd.DataFrame:
    """Forecast every hour for each of the given counters.

    hours: target_at (UTC), lead_hours, lead_day: one row per hour of the horizon. No count from the first of them on is
    used. Returns one row per counter and hour, in that order: counter_id, those columns, predicted_count, lower, upper
    (bikes per hour, >= 0), busy_probability (NaN, since there are not enough recent counts to compare with), basis
    (`typical_week`, `neighbours`, `city_profile`).
    """
    if not counter_ids:
        return pd.DataFrame()
    slots = _local_slots(hours["target_at"], zone)
    city = _city_week(profiles, hours["target_at"].iloc[0].to_pydatetime(), zone)
    parts = [_one(hours, slots, profiles, city, counter_id) for counter_id in counter_ids]
    return pd.concat(parts, ignore_index=True)


def _local_slots(times: pd.Series[pd.Timestamp], zone: ZoneInfo) -> npt.NDArray[np.int64]:
    local = times.dt.tz_convert(zone)
    return np.asarray(local.dt.dayofweek * 24 + local.dt.hour, dtype=np.int64)


def _city_week(profiles: CounterProfiles, origin_at: datetime, zone: ZoneInfo) -> CityWeek:
    levels = _levels(profiles)
    known = (origin_at - profiles.recent_from) // HOUR
    slots = _local_slots(
        pd.Series(pd.date_range(profiles.recent_from, periods=known, freq="h")), zone
    )
    counted = profiles.recent.loc[levels.index].to_numpy()[:, :known]
    usual = profiles.typical.loc[levels.index].to_numpy()[:, slots]
    both = ~np.isnan(counted) & ~np.isnan(usual)
    both &= both.sum(axis=0) >= FEWEST_COUNTERS
    counts, usuals = np.where(both, counted, 0).sum(axis=0), np.where(both, usual, 0).sum(axis=0)
    recent = np.divide(counts, usuals, out=np.full_like(usuals, np.nan), where=usuals > 0)
    last, usual_last = counts[-LATELY_HOURS:].sum(), usuals[-LATELY_HOURS:].sum()
    lately = float(last / usual_last) if usual_last > 0 else 1.0
    return CityWeek(
        profile=_profile(profiles, levels),
        levels=levels,
        recent=np.clip(recent, SMALLEST, LARGEST),
        lately=min(max(lately, SMALLEST), LARGEST),
        slots=slots,
    )


def _profile(profiles: CounterProfiles, levels: pd.Series[float]) -> Floats:
    """Return `CityWeek.profile`.

    The bounds cover the variation between counters and between the weeks of one counter, times the margin.
    """
    level = levels.where(levels > 0)
    shares = profiles.typical.loc[level.index].div(level, axis=0)
    spreads = profiles.typical_spread.loc[level.index].div(level, axis=0)
    weekly = spreads.median().to_numpy()
    low, middle, high = (shares.quantile(q).to_numpy() for q in PROFILE_QUANTILES)
    rows = (
        middle - PROFILE_MARGIN * (middle - low + weekly),
        middle,
        middle + PROFILE_MARGIN * (high - middle + weekly),
    )
    return np.stack([np.where(np.isnan(r), f, r) for r, f in zip(rows, FLAT, strict=True)])


def _levels(profiles: CounterProfiles) -> pd.Series[float]:
    means = profiles.counters["mean_count"].astype(float).dropna()
    return means[~means.index.isin(list(profiles.histories.sums))]


def _one(
    hours: pd.DataFrame,
    slots: npt.NDArray[np.int64],
    profiles: CounterProfiles,
    city: CityWeek,
    counter_id: str,
) -> pd.DataFrame:
    counted = profiles.recent.loc[counter_id].to_numpy()[: len(city.slots)]
    week, basis = _usual_week(profiles, city, counter_id, int((~np.isnan(counted)).sum()))
    low, middle, high = _scaled(week, counted, city)
    return hours.assign(
        counter_id=counter_id,
        predicted_count=middle[slots],
        lower=np.clip(np.minimum(low, middle), 0, None)[slots],
        upper=np.maximum(high, middle)[slots],
        busy_probability=np.nan,
        basis=basis,
    )


def _usual_week(
    profiles: CounterProfiles, city: CityWeek, counter_id: str, counted: int
) -> tuple[Floats, Basis]:
    """Return lower, middle and upper count by local hour of the week (3, 168), and the basis.

    counted: hours of the last two weeks that it has counted. Its own typical week; else, of a counter that has been
    silent for weeks, the city's profile at its own mean count; else, of a new counter, the city's profile at the
    quartiles of all levels, the middle blended with its neighbours' typical weeks.
    """
    own = profiles.typical.loc[counter_id].to_numpy()
    known = ~np.isnan(own)
    mean = float(profiles.counters["mean_count"].astype(float).loc[counter_id])
    if np.isnan(mean):
        return _unknown_week(profiles, city, counter_id)
    low, middle, high = city.profile * mean
    if known.sum() < MIN_SLOTS and counted:
        # The mean of a few hours is that of a night, or of an afternoon, so it says nothing of the level by itself.
        week, _ = _unknown_week(profiles, city, counter_id)
        if counted >= FIRST_DAY:
            week[[0, 2]] = city.profile[[0, 2]] * (
                week[1].mean() / max(city.profile[1].mean(), 1e-9)
            )
        return week, "city_profile"
    if known.sum() < MIN_SLOTS:
        return np.stack([low, middle, high]), "city_profile"
    spread = MARGIN * profiles.typical_spread.loc[counter_id].to_numpy()
    low, high = np.where(known, own - spread, low), np.where(known, own + spread, high)
    return np.stack([low, np.where(known, own, middle), high]), "typical_week"


def _unknown_week(
    profiles: CounterProfiles, city: CityWeek, counter_id: str
) -> tuple[Floats, Basis]:
    levels = city.levels.quantile(list(LEVEL_QUANTILES)).to_numpy()
    low, middle, high = city.profile * levels[:, None]
    near = _neighbours(profiles, city, counter_id)
    if not near:
        return np.stack([low, middle, high]), "city_profile"
    distances = [km for km, _ in near]
    weeks = np.stack([_middle_week(profiles, city, neighbour) for _, neighbour in near])
    beside = np.average(weeks, axis=0, weights=spatial_fallback.weights(distances))
    middle = blend(beside, middle, spatial_fallback.city_share(distances))
    # A busy place is expected to be as far above the quartile of all levels as its neighbours are.
    ratio = middle.mean() / max(levels[1] * city.profile[1].mean(), 1e-9)
    return np.stack([min(1.0, ratio) * low, middle, max(1.0, ratio) * high]), "neighbours"


def _middle_week(profiles: CounterProfiles, city: CityWeek, counter_id: str) -> Floats:
    own = profiles.typical.loc[counter_id].to_numpy()
    return np.where(np.isnan(own), city.profile[1] * city.levels[counter_id], own)


def _neighbours(
    profiles: CounterProfiles, city: CityWeek, counter_id: str
) -> list[tuple[float, str]]:
    """Return the nearest counters that have counts, (km, counter_id), nearest first."""
    places = profiles.counters[["latitude", "longitude"]].astype("float64")
    latitude, longitude = places.loc[counter_id].to_numpy()
    counted = places.loc[city.levels.index.difference([counter_id])]
    plane = Plane.at(float(latitude))
    x, y = plane.point(latitude, longitude)
    other_x, other_y = plane.point(counted["latitude"], counted["longitude"])
    km = np.hypot(other_x - x, other_y - y)
    return spatial_fallback.nearest(zip(km.tolist(), counted.index.astype(str), strict=True))


def _scaled(week: Floats, counted: Floats, city: CityWeek) -> Floats:
    """Scale a week by what the counter counted lately, compared with the city in the same hours.

    week: (3, 168) lower, middle, upper. counted: its counts of the last two weeks, NaN where there is none.
    """
    usual_hour = float(week[1].mean())
    if usual_hour <= 0:
        return week
    expected = week[1][city.slots] * np.where(np.isnan(city.recent), city.lately, city.recent)
    known = ~np.isnan(counted) & ~np.isnan(expected)
    prior = LEVEL_PRIOR_HOURS * usual_hour
    level = float((counted[known].sum() + prior) / (expected[known].sum() + prior))
    hours = city.slots[known] % 24
    prior = SHAPE_PRIOR_HOURS * usual_hour * level
    shape = (_by_hour(hours, counted[known]) + prior) / (
        _by_hour(hours, expected[known] * level) + prior
    )
    return week * (city.lately * level * np.tile(shape, HOURS_PER_WEEK // 24))


def _by_hour(hours: npt.NDArray[np.int64], values: Floats) -> Floats:
    """Return the sum of values by local hour, (24,), with half of the two adjacent hours."""
    sums = np.bincount(hours, weights=values, minlength=24)
    return sums + BESIDE * (np.roll(sums, 1) + np.roll(sums, -1))
