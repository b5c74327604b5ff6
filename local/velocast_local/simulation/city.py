"""A synthetic city: realistic hourly counts in the format of the Paris file.

Nothing is fitted to a real place. The counts have daily, weekly and yearly patterns in local time, holidays, city-wide
effects of the weather, growth, and the faults of a real feed: gaps, counters that send zeros, counters that start late,
and the repeated hour of autumn merged into one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from velocast.core.city import City, load_city
from velocast.core.datetimes import start_of_local_day
from velocast.model.features.calendar_features import holiday_dates
from velocast_local.simulation.autoregression import Floats, autocorrelated_noise
from velocast_local.simulation.weather import draw_shocks, weather_of

COLUMNS = (
    "id_compteur",
    "nom_compteur",
    "id",
    "name",
    "sum_counts",
    "date",
    "installation_date",
    "counter",
    "longitude",
    "latitude",
)
DEFAULT_DAYS = 104
DEFAULT_UNTIL = date(2025, 12, 1)

_STREETS = (
    "rue des Hirondelles",
    "quai du Vieux Lavoir",
    "avenue des Tisserands",
    "boulevard de la Lanterne",
    "rue du Moulin Bleu",
    "pont des Bateliers",
    "allée des Noisetiers",
    "rue de la Chandelle",
    "place du Grand Merle",
    "avenue de la Comète",
    "chemin des Roseaux",
    "boulevard des Horlogers",
)
_DIRECTIONS = (("N-S", "S-N"), ("E-O", "O-E"), ("NE-SO", "SO-NE"), ("NO-SE", "SE-NO"))

# Share of a day's bikes in each local hour; each row sums to one.
_COMMUTE_IN = (1, 1, 1, 1, 1, 2, 6, 15, 24, 15, 7, 5, 6, 6, 6, 6, 8, 11, 12, 8, 5, 4, 3, 2)
_COMMUTE_OUT = (1, 1, 1, 1, 1, 1, 3, 7, 11, 8, 5, 5, 7, 7, 6, 8, 12, 20, 24, 15, 8, 6, 4, 2)
_LEISURE = (3, 2, 2, 1, 1, 1, 1, 2, 3, 5, 7, 9, 10, 10, 12, 14, 14, 13, 11, 9, 7, 5, 4, 4)
# Monday to Friday: on Fridays fewer people commute, and nights grow livelier from Monday on.
_NIGHT, _COMMUTE, _NOON = (
    (0.75, 0.92, 1.02, 1.12, 1.19),
    (0.98, 1.09, 1.06, 1.04, 0.83),
    (0.95, 1.00, 1.00, 1.00, 1.05),
)
_WEEKDAYS = np.array([_NIGHT] * 6 + [_COMMUTE] * 4 + [_NOON] * 6 + [_COMMUTE] * 5 + [_NIGHT] * 3)
_FINEST = 0.35  # largest effect of good weather on the counts, as a logarithm
_MONTHS = (0.74, 0.78, 0.90, 1.00, 1.10, 1.20, 1.10, 0.78, 1.18, 1.08, 0.88, 0.74)


@dataclass(frozen=True)
class _Hours:
    """The hours of the simulation: UTC index, local time, and kinds and numbers of their local days."""

    utc: pd.DatetimeIndex
    local: pd.DatetimeIndex
    rest: npt.NDArray[np.bool_]
    saturday: npt.NDArray[np.bool_]
    day: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.utc)


def simulate(
    counters: int = 50,
    *,
    days: int = DEFAULT_DAYS,
    seed: int = 7,
    until: date = DEFAULT_UNTIL,
    city: City | None = None,
) -> pd.DataFrame:
    """Return the hourly counts of a synthetic city for the `days` local days before `until`.

    COLUMNS, one row per counter and hour (start of the hour, UTC), sorted by date and id_compteur, with the types of
    the Paris file. The same arguments give the same rows. Raises ValueError for fewer than 1 counter or day.
    """
    return simulate_city(counters, days=days, seed=seed, until=until, city=city)[0]


def simulate_city(
    counters: int = 50,
    *,
    days: int = DEFAULT_DAYS,
    seed: int = 7,
    until: date = DEFAULT_UNTIL,
    city: City | None = None,
    faultless_days: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the counts of `simulate` and matching weather, which continues for some days after them.

    The weather has Open-Meteo's names (`simulation.weather.weather_of`). faultless_days: newest days without a fault of
    the feed.
    """
    if counters < 1 or days < 1:
        raise ValueError(
            f"simulate: got {counters} counters and {days} days; both must be at least 1"
        )
    city = city or load_city("demoville")
    rng = np.random.default_rng(seed)
    places = _places(rng, counters, city, until)
    hours = _hours(city, until, days)
    rates, shocks = _rates(rng, hours, counters)
    counts = rng.poisson(rates).astype(np.int32)
    faulty = max(0, len(hours) - 24 * faultless_days)
    sent = np.ones(counts.shape, dtype=bool)
    sent[:faulty] = _add_faults(rng, counts[:faulty])
    _merge_repeated_hours(hours, counts, sent)
    return _rows(places, hours, counts, sent), weather_of(shocks, hours.utc, hours.local, seed)


def _places(rng: np.random.Generator, counters: int, city: City, until: date) -> pd.DataFrame:
    sites = (counters + 1) // 2
    box = city.bounding_box
    site = np.arange(counters) // 2
    side = np.arange(counters) % 2
    site_id = 100_500_000 + 17 * np.arange(sites)
    streets = rng.permutation(sites)
    names = [
        f"{2 + int(n) // len(_STREETS) * 10 + int(n) % 9} {_STREETS[int(n) % len(_STREETS)]}"
        for n in streets
    ]
    ways = rng.integers(len(_DIRECTIONS), size=sites)
    installed = [until - timedelta(days=int(age)) for age in rng.integers(900, 4000, sites)]
    if box is None:
        latitude = longitude = np.full(sites, np.nan)
    else:  # in the middle of the city
        high, wide = (box.north - box.south) / 4, (box.east - box.west) / 4
        latitude = rng.uniform(box.south + high, box.north - high, sites).round(6)
        longitude = rng.uniform(box.west + wide, box.east - wide, sites).round(6)
    return pd.DataFrame(
        {
            "id_compteur": [
                f"{site_id[s]}-{101_000_000 + site_id[s] % 1_000_000 + d * 1_000_000}"
                for s, d in zip(site, side, strict=True)
            ],
            "nom_compteur": [
                f"{names[s]} {_DIRECTIONS[ways[s]][d]}" for s, d in zip(site, side, strict=True)
            ],
            "id": [str(site_id[s]) for s in site],
            "name": [names[s] for s in site],
            "installation_date": [installed[s].isoformat() for s in site],
            "counter": [f"Z2H{20_000_000 + 31 * int(s)}" for s in site],
            "longitude": longitude[site],
            "latitude": latitude[site],
        }
    )


def _hours(city: City, until: date, days: int) -> _Hours:
    first = start_of_local_day(until - timedelta(days=days), city.zone)
    utc = pd.date_range(first, start_of_local_day(until, city.zone), freq="h", inclusive="left")
    local = utc.tz_convert(city.zone)
    off = set(holiday_dates(city.holidays, local[0].date(), local[-1].date()))
    dates = local.normalize()
    rest = (local.weekday == 6) | np.array([d in off for d in dates.date])
    day = np.unique(dates, return_inverse=True)[1]
    return _Hours(utc, local, np.asarray(rest), np.asarray(local.weekday == 5), day)


def _rates(rng: np.random.Generator, hours: _Hours, counters: int) -> tuple[Floats, Floats]:
    """Return expected bikes, (hours, counters), and the weather shocks, (hours, 2).

    Bikes: profile x level x season x weather x growth, slightly over-dispersed.
    """
    level = np.clip(rng.lognormal(np.log(55), 0.75, counters), 5, 400)
    leisure = rng.beta(2, 5, counters)
    rates = _profiles(rng, hours, leisure) * level
    shocks = draw_shocks(rng, hours.day)
    weather = np.exp(np.minimum(shocks.sum(axis=1), _FINEST))
    rates *= (_season(hours) * weather * _growth(hours))[:, None]
    own = autocorrelated_noise(rng, (hours.day[-1] + 1, counters), correlation=0.85, std=0.08)[
        hours.day
    ]
    return np.asarray(rates * np.exp(own) * rng.gamma(40, 1 / 40, rates.shape)), shocks


def _profiles(rng: np.random.Generator, hours: _Hours, leisure: Floats) -> Floats:
    into, out, free = (24 * np.array(p) / sum(p) for p in (_COMMUTE_IN, _COMMUTE_OUT, _LEISURE))
    # the two directions of a street have opposite rush hours
    inward = np.where(np.arange(len(leisure)) % 2, 0.2, 0.8) + rng.uniform(
        -0.15, 0.15, len(leisure)
    )
    hour = hours.local.hour
    working = into[hour][:, None] * inward + out[hour][:, None] * (1 - inward)
    resting = free[hour][:, None] * (0.45 + leisure)
    saturday = free[hour][:, None] * (0.60 + leisure)
    usual = working * (1 - leisure) + free[hour][:, None] * leisure
    usual *= _WEEKDAYS[hour, np.minimum(hours.local.weekday, 4)][:, None]
    return np.where(
        hours.rest[:, None], resting, np.where(hours.saturday[:, None], saturday, usual)
    )


def _season(hours: _Hours) -> Floats:
    """Return the seasonal factor: linear interpolation of monthly values, with a quiet week at the end of the year."""
    middles = np.arange(-1, 13) + 0.5
    values = np.array(_MONTHS)[np.arange(-1, 13) % 12]
    position = hours.local.month - 1 + (hours.local.day - 1) / hours.local.days_in_month
    quiet = ((hours.local.month == 12) & (hours.local.day >= 24)) | (
        (hours.local.month == 1) & (hours.local.day == 1)
    )
    return np.asarray(np.interp(position, middles, values) * np.where(quiet, 0.55, 1.0))


def _growth(hours: _Hours) -> Floats:
    return 1 + 0.08 * np.arange(len(hours)) / 8766


def _add_faults(rng: np.random.Generator, counts: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Write runs of zeros into `counts`; return which rows are sent (all but gaps and late starts)."""
    length, counters = counts.shape
    sent = np.ones(counts.shape, dtype=bool)
    for counter in range(counters):
        for start in rng.integers(0, length, rng.poisson(length / (24 * 60))):
            sent[start : start + rng.integers(2, 40), counter] = False
        for start in rng.integers(0, length, rng.poisson(length / (24 * 250))):
            counts[start : start + rng.integers(30, 240), counter] = 0
    late = rng.random(counters) < 0.06
    starts: Floats = rng.uniform(0.3, 0.8, (counters,))
    for unseen in np.flatnonzero(late):
        sent[: int(starts[unseen] * length), unseen] = False
    return sent


def _merge_repeated_hours(
    hours: _Hours, counts: npt.NDArray[np.int32], sent: npt.NDArray[np.bool_]
) -> None:
    """Send the two 02:00 hours of the autumn clock change as one row, the later one, as Paris did in 2020."""
    clock = hours.local.tz_localize(None)
    for second in np.flatnonzero(clock[1:] == clock[:-1]) + 1:
        counts[second] += np.where(sent[second - 1], counts[second - 1], 0)
        sent[second - 1] = False


def _rows(
    places: pd.DataFrame, hours: _Hours, counts: npt.NDArray[np.int32], sent: npt.NDArray[np.bool_]
) -> pd.DataFrame:
    order = np.argsort(places["id_compteur"].to_numpy(dtype=str), kind="stable")
    hour, column = np.nonzero(sent[:, order])
    counter = order[column]
    rows = places.iloc[counter].reset_index(drop=True)
    rows["sum_counts"] = counts[hour, counter]
    rows["date"] = hours.utc[hour].as_unit("ms")
    return rows[list(COLUMNS)]
