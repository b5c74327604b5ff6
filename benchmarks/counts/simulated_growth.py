"""Cities with a known growth, for `benchmarks/growth.py`: days, weather, noise that lasts, and gaps.

It shares no code with the regression that is judged, nor with the demo's city: rain, warmth and wind act on each hour
by rules of their own, which the regression does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from velocast.core.weather_variables import VALUES
from velocast.model.faults.day_grid import DAY_TYPES
from velocast.model.features.calendar_features import day_type, holiday_dates
from velocast.model.growth.change import CityDays

Floats = NDArray[np.float64]
FIRST = date(2022, 3, 7)
COMMUTE = (1, 1, 1, 1, 2, 6, 16, 35, 40, 20, 12, 14, 18, 16, 15, 20, 32, 40, 28, 17, 10, 7, 5, 3)
LEISURE = (3, 2, 2, 1, 1, 1, 2, 4, 8, 14, 20, 24, 24, 25, 28, 30, 29, 26, 20, 15, 11, 9, 7, 5)


@dataclass(frozen=True)
class SimulatedCity:
    """growth: of the expected bikes of the newer half of the days against the older, at the same weather and days; of
    the whole city, and of each counter (C,). perfect: what somebody would find for the city if they knew weather, days
    and gaps exactly, and only the lasting noise were unknown."""

    days: CityDays
    growth: float
    growth_of: Floats
    perfect: float


def simulated_city(
    seed: int,
    *,
    trend: float,
    counters: int = 16,
    days: int = 728,
    steps: dict[int, tuple[int, float]] | None = None,
) -> SimulatedCity:
    """Draw a city. trend: growth of its bikes from the older to the newer half, mean of the counters; it comes evenly,
    in a step or late. steps: of counters, (day, factor from that day on)."""
    rng = np.random.default_rng([seed, 14])
    dates = [FIRST + timedelta(days=n) for n in range(days)]
    off = frozenset(holiday_dates("FR", dates[0], dates[-1]))
    free = frozenset(d for d in dates if _school_free(d))
    weather = _weather(rng, dates)
    share = np.array([_day_kind(d, off, free) for d in dates])  # commute, leisure
    leisure = rng.beta(2, 4, counters)
    profiles = np.array([COMMUTE, LEISURE], dtype="float64")
    profiles /= profiles.sum(1, keepdims=True)
    level = np.clip(rng.lognormal(np.log(900), 0.8, counters), 60, 8000)
    rate = np.einsum(
        "ck,dk,kh->cdh", np.column_stack([1 - leisure, leisure]), share, profiles, optimize=True
    )
    yearly = np.array([2 * np.pi * d.timetuple().tm_yday / 365.25 for d in dates])
    season = 0.25 * -np.cos(yearly - 0.35) + 0.06 * np.sin(2 * yearly)
    shared = season + _lasting(rng, days, 0.55, 0.07) + _lasting(rng, days, 0.95, 0.02)
    own = np.array(
        [_lasting(rng, days, 0.75, rng.uniform(0.04, 0.10)) for _ in range(counters)]
    ) + np.array([_lasting(rng, days, 0.98, 0.025) for _ in range(counters)])
    path = _path(rng, days)  # 0 to 1, with mean difference 1 between the halves
    slopes = np.log1p(trend) + rng.normal(0, 0.03, counters) * (trend != 0)
    grown = np.exp(slopes[:, None] * path[None, :])
    for counter, (day, factor) in (steps or {}).items():
        grown[counter, day:] *= factor
    mean = level[:, None, None] * rate * np.exp(shared)[None, :, None] * _felt(weather)[None]
    calm = mean * np.exp(own)[:, :, None]
    dispersed = rng.gamma(25, 1 / 25, calm.shape)
    counts = rng.poisson(calm * grown[:, :, None] * dispersed).astype("float64")
    _take_hours_out(rng, counts)
    size = level[:, None] * rate.sum(2)
    growth = _halves(size * grown) / _halves(size) - 1
    noisy = size * grown * np.exp(own + shared - season)
    types = [DAY_TYPES.index(day_type(d, off)) for d in dates]
    return SimulatedCity(
        CityDays(
            counters=[f"c{n:02}" for n in range(counters)],
            first=dates[0],
            counts=counts,
            day_types=np.array(types, dtype=np.int8),
            holidays=off,
            free_days=free,
            weather=weather,
        ),
        float(_halves((size * grown).sum(0)) / _halves(size.sum(0)) - 1),
        growth,
        float(_halves(noisy.sum(0)) / _halves(size.sum(0)) - 1),
    )


def _halves(values: Floats) -> Floats:
    """Return the sum of the newer half over that of the older, along the last axis."""
    half = values.shape[-1] // 2
    return np.asarray(values[..., half:].sum(-1) / values[..., :half].sum(-1))


def _path(rng: np.random.Generator, days: int) -> Floats:
    """Return how far growth has come on each day, scaled so that the halves' means differ by 1."""
    at = np.arange(days) / days
    kind = rng.integers(3)
    start = rng.uniform(0.3, 0.7)
    path = (at, (at > start).astype("float64"), np.clip((at - start) * 4, 0, 1))[int(kind)]
    half = days // 2
    return np.asarray(path / (path[half:].mean() - path[:half].mean()))


def _lasting(rng: np.random.Generator, days: int, correlation: float, spread: float) -> Floats:
    out = rng.normal(0, spread, days)
    for n in range(1, days):
        out[n] = correlation * out[n - 1] + np.sqrt(1 - correlation**2) * out[n]
    return out


def _weather(rng: np.random.Generator, dates: list[date]) -> Floats:
    """Return (D, 24, variables) of a mild climate; one year may be wetter or warmer than the other."""
    days = len(dates)
    yearly = np.array([2 * np.pi * (d.timetuple().tm_yday - 200) / 365.25 for d in dates])
    hour = np.arange(24)
    year = (np.arange(days) >= days // 2).astype("float64")
    warm = 12 + 8 * np.cos(yearly) + _lasting(rng, days, 0.8, 3.2) + year * rng.normal(0, 0.6)
    temperature = warm[:, None] + 4 * np.cos(2 * np.pi * (hour - 15) / 24)[None]
    wetness = _lasting(rng, days * 24, 0.93, 1.0) + np.repeat(
        _lasting(rng, days, 0.6, 0.7) + year * rng.normal(0, 0.15), 24
    )
    rain = (np.maximum(wetness - 1.5, 0) ** 1.5 * 1.6).reshape(days, 24)
    wind = np.abs(14 + _lasting(rng, days * 24, 0.96, 6)).reshape(days, 24)
    cloud = np.clip(55 + 30 * wetness.reshape(days, 24), 0, 100)
    humidity = np.clip(70 + 10 * wetness.reshape(days, 24), 20, 100)
    made = {
        "temperature_c": temperature,
        "precipitation_mm": rain,
        "wind_kmh": wind,
        "humidity_pct": humidity,
        "cloud_pct": cloud,
    }
    return np.stack([made[name] for name in VALUES], axis=2)


def _felt(weather: Floats) -> Floats:
    """Return what the weather does to the bikes of each hour, a factor (D, 24)."""
    value = dict(zip(VALUES, np.moveaxis(weather, 2, 0), strict=True))
    warmth = -0.0016 * (np.minimum(value["temperature_c"], 27) - 23) ** 2
    wet = -0.55 * (1 - np.exp(-value["precipitation_mm"] / 1.2))
    soaked = -0.25 * (np.pad(value["precipitation_mm"].reshape(-1), (1, 0))[:-1] > 0.5)
    windy = -0.008 * np.maximum(value["wind_kmh"] - 18, 0)
    return np.asarray(np.exp(warmth + wet + soaked.reshape(wet.shape) + windy))


def _school_free(day: date) -> bool:
    return (day.month, day.day) >= (12, 20) or (7, 6) <= (day.month, day.day) <= (8, 31)


def _day_kind(day: date, off: frozenset[date], free: frozenset[date]) -> tuple[float, float]:
    commute = (1, 1.08, 1.05, 1.02, 0.9, 0.35, 0.2)[day.weekday()]
    leisure = (0.8, 0.8, 0.85, 0.85, 0.95, 1.5, 1.6)[day.weekday()]
    if day in off:
        commute, leisure = 0.2, 1.35
    if day in free:
        commute *= 0.82
    if (day.month, day.day) >= (12, 24) or (day.month, day.day) == (1, 1):
        commute, leisure = commute * 0.45, leisure * 0.5
    return commute, leisure


def _take_hours_out(rng: np.random.Generator, counts: Floats) -> None:
    """Remove single hours, days, and weeks to months at a time, about 6 % of all."""
    counters, days, _ = counts.shape
    flat = counts.reshape(counters, -1)
    for own in flat:
        for longest, number in ((8, days / 40), (72, days / 150), (24 * 80, days / 1200)):
            for start in rng.integers(0, len(own), rng.poisson(number)):
                own[start : start + rng.integers(1, longest + 1)] = np.nan
    flat[:, rng.integers(0, flat.shape[1], 2)[:, None] + np.arange(20) - 20] = np.nan
