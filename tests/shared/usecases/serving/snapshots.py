"""A made-up snapshot of a small city with a fixed daily and weekly pattern, so that results can be computed by hand."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from velocast.usecases.snapshot_format import (
    ChampionCard,
    CityCard,
    CounterSnapshot,
    Snapshot,
    WeatherCard,
)

ZONE = "Europe/Paris"
ORIGIN = datetime(2026, 3, 2, 23, tzinfo=UTC)  # Tuesday 3 March, 0 h in Paris
PUBLISHED = datetime(2026, 3, 3, 4, tzinfo=UTC)
NOW = datetime(2026, 3, 3, 9, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = tuple(ORIGIN + i * HOUR for i in range(120))
RECENT_HOURS = 336
RECENT_FROM = ORIGIN - RECENT_HOURS * HOUR
DAYS_FROM = date(2024, 2, 1)
DAYS = (date(2026, 3, 3) - DAYS_FROM).days
# Days without a count, and days of which only some hours were counted.
LOST_DAYS = (date(2025, 1, 20), date(2026, 1, 5), date(2026, 2, 10))
HALF_DAYS = {date(2026, 1, 12): 11, date(2025, 2, 11): 20}
GAP = (218, 219)  # recent hours without a usable count
NEW_COUNTER = "c-new"
LONELY_COUNTER = "c-lonely"
CHAMPION = ChampionCard(
    version=7,
    run_id="0f3b1c5e9a8d4b7c8e6f1a2b3c4d5e6f",
    task="forecast",
    kind="gbm",
    metrics={"r2": 0.874, "rmse": 31.2, "mae": 18.4, "skill": 0.31},
    trained_from=datetime(2025, 9, 1, tzinfo=UTC),
    trained_until=datetime(2026, 2, 28, tzinfo=UTC),
    published_at=datetime(2026, 3, 1, 1, tzinfo=UTC),
)
CITY = CityCard(
    name="Demoville",
    time_zone=ZONE,
    attribution="Bike counts: a made-up city",
    attribution_url="https://example.org/counts",
    licence="CC0 1.0",
)


def weather() -> WeatherCard:
    """The weather of the forecast hours: warmer by noon, rain in some hours, and nothing known of the last."""
    local = [at.astimezone(ZoneInfo(ZONE)).hour for at in HOURS]
    return WeatherCard(
        temperature_c=(*(round(4 + 8 * math.sin(math.pi * h / 24), 1) for h in local[:-1]), None),
        rain_mm=(*(1.5 if h in (11, 12) else 0.0 for h in local[:-1]), None),
        attribution="Weather data by Open-Meteo.com",
        attribution_url="https://open-meteo.com/",
        licence="CC BY 4.0",
        licence_url="https://creativecommons.org/licenses/by/4.0/",
    )


def week_value(level: float, hour_of_week: int) -> float:
    """Bikes at a local hour of the week: two peaks on working days, one at weekends."""
    day, hour = divmod(hour_of_week, 24)
    if day < 5:
        shape = math.exp(-((hour - 8) ** 2) / 4) + math.exp(-((hour - 18) ** 2) / 5)
    else:
        shape = 0.6 * math.exp(-((hour - 15) ** 2) / 18)
    return round(level * (0.05 + shape), 1)


def local_week_hour(at: datetime) -> int:
    """The local hour of the week, from Monday 0 h."""
    local = at.astimezone(ZoneInfo(ZONE))
    return local.weekday() * 24 + local.hour


def day_value(level: float, day: date) -> int:
    """Bikes of a day: its week's hours, more in summer, and 8 % more each year."""
    hours = sum(week_value(level, day.weekday() * 24 + hour) for hour in range(24))
    season = 1 + 0.4 * math.sin((day.timetuple().tm_yday - 100) / 365 * 2 * math.pi)
    noise = 1 + 0.07 * math.sin(day.toordinal() * 12.9898)
    return round(hours * season * noise * 1.08 ** (day.year - 2024) * HALF_DAYS.get(day, 24) / 24)


def counter(number: int, level: float, **changes: Any) -> CounterSnapshot:
    """One counter with history, 300 m east of the previous one."""
    return CounterSnapshot(**(counter_values(number, level) | changes))


@cache
def counter_values(number: int, level: float) -> dict[str, Any]:
    """Return the fields of a counter; making its years of days took most of the time of the tests of the API."""
    week = tuple(week_value(level, h) for h in range(168))
    predicted = tuple(week[local_week_hour(at)] for at in HOURS)
    past = tuple(week[local_week_hour(RECENT_FROM + i * HOUR)] for i in range(RECENT_HOURS))
    dates = [DAYS_FROM + timedelta(i) for i in range(DAYS)]
    shown = RECENT_HOURS + len(HOURS)
    return {
        "counter_id": f"c-{number}",
        "counter_name": f"Rue {number} N-S",
        "latitude": 48.85 + 0.004 * (number % 3),
        "longitude": 2.30 + 0.0041 * number,
        "last_counted_at": ORIGIN - HOUR,
        "last_count": 3,
        "level": level / 4,
        "busy_threshold": round(level * 0.4, 1),
        "basis": "model",
        "predicted": predicted,
        "lower": tuple(round(p * 0.7, 1) for p in predicted),
        "upper": tuple(round(p * 1.3 + 2, 1) for p in predicted),
        "q25": tuple(round(p * 0.9, 1) for p in predicted),
        "q50": predicted,
        "q75": tuple(round(p * 1.1 + 1, 1) for p in predicted),
        "busy": tuple(0.9 if p > level * 0.4 else 0.1 for p in predicted),
        "typical_week": week,
        "typical_spread": tuple(round(v * 0.4 + 1, 1) for v in week),
        "recent": tuple(None if i in GAP else round(value * 1.1) for i, value in enumerate(past)),
        "past_predicted": past,
        "past_lower": tuple(round(p * 0.8, 1) for p in past),
        "past_upper": tuple(round(p * 1.2 + 2, 1) for p in past),
        "recent_from": RECENT_FROM,
        "year_ago": tuple(
            None if i < 24 else round(0.9 * week[local_week_hour(RECENT_FROM + i * HOUR)])
            for i in range(shown)
        ),
        "days_from": DAYS_FROM,
        "days": tuple(None if d in LOST_DAYS else day_value(level, d) for d in dates),
        "day_hours": tuple(0 if d in LOST_DAYS else HALF_DAYS.get(d, 24) for d in dates),
    }


def bare(counter_id: str, **changes: Any) -> CounterSnapshot:
    """One counter without any history."""
    values: dict[str, Any] = {
        "counter_id": counter_id,
        "counter_name": counter_id,
        "basis": "city_profile",
    }
    return CounterSnapshot(**(values | changes))


def snapshot(counters: int = 12, **changes: Any) -> Snapshot:
    """A city of `counters` counters, including a new one and one far from all others."""
    known = [counter(i, 40 + 30 * i) for i in range(counters)]
    new = bare(NEW_COUNTER, latitude=48.852, longitude=2.31)
    lonely = bare(LONELY_COUNTER, latitude=49.9, longitude=2.31)
    values: dict[str, Any] = {
        "origin_at": ORIGIN,
        "published_at": PUBLISHED,
        "generated_by": "0.1.0",
        "champion": CHAMPION,
        "city": CITY,
        "hours": HOURS,
        "counters": (*known, new, lonely),
    }
    return Snapshot(**(values | changes))
