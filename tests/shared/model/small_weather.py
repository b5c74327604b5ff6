"""A few weeks of synthetic weather in many versions, and an oracle for its features in plain Python."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from statistics import fmean

import numpy as np
import pandas as pd

from tests.frame_rows import named_rows
from tests.shared.model.small_city import DAY, ZONE
from velocast.core.datetimes import HOUR, start_of_local_day
from velocast.model.features.calendar_features import day_type

COLUMNS = ("temperature_c", "precipitation_mm", "cloud_pct")


def versions(first: date, days: int, *, seed: int) -> pd.DataFrame:
    """Make weather of `days` local days: each hour in up to four versions, some values and some hours unknown.

    Versions were known from five days before their hour to one after it. Returns valid_at, issued_at, COLUMNS, source.
    """
    random = np.random.default_rng(seed)
    hours = pd.date_range(
        start_of_local_day(first, ZONE),
        start_of_local_day(first + days * DAY, ZONE),
        freq="h",
        inclusive="left",
    )
    parts = []
    for version in range(4):
        ahead = random.integers(-24, 120, len(hours))
        frame = pd.DataFrame(
            {
                "valid_at": hours,
                "issued_at": hours
                - pd.to_timedelta(ahead, unit="h")
                + pd.Timedelta(minutes=version),
                "temperature_c": random.uniform(-5, 30, len(hours)),
                "precipitation_mm": np.maximum(random.normal(-1, 1.5, len(hours)), 0.0),
                "cloud_pct": random.uniform(0, 100, len(hours)),
                "source": "forecast",
            }
        )
        for name in COLUMNS:
            frame.loc[random.random(len(hours)) < 0.05, name] = np.nan
        parts.append(frame[random.random(len(hours)) < 0.6])
    return pd.concat(parts, ignore_index=True)


class WeatherOracle:
    """An oracle that computes the weather features of one hour at a time from their definition."""

    def __init__(self, weather: pd.DataFrame, holidays: Iterable[date]) -> None:
        self.holidays = frozenset(holidays)
        self.versions: dict[datetime, list[tuple[datetime, dict[str, float]]]] = {}
        for row in named_rows(weather):
            values = {name: float(getattr(row, name)) for name in COLUMNS}
            issued = row.issued_at.to_pydatetime()
            self.versions.setdefault(row.valid_at.to_pydatetime(), []).append((issued, values))

    def known(self, at: datetime, origin: datetime, name: str) -> float | None:
        """Return the newest value at the origin; None where unknown."""
        seen = [v for v in self.versions.get(at, []) if v[0] <= origin]
        if not seen:
            return None
        value = max(seen, key=lambda v: v[0])[1][name]
        return None if np.isnan(value) else value

    def of_day(self, day: date, origin: datetime, name: str, first: int, last: int) -> list[float]:
        """Return the known values of the local hours first to last of a day."""
        begin, end = start_of_local_day(day, ZONE), start_of_local_day(day + DAY, ZONE)
        hours = [begin + n * HOUR for n in range(int((end - begin) / HOUR))]
        values = [
            self.known(at, origin, name)
            for at in hours
            if first <= at.astimezone(ZONE).hour <= last
        ]
        return [value for value in values if value is not None]

    def day(self, day: date, origin: datetime) -> dict[str, float | None]:
        """Return the weather of a day."""
        rain = self.of_day(day, origin, "precipitation_mm", 7, 20)
        return {
            "temperature": _mean(self.of_day(day, origin, "temperature_c", 7, 20)),
            "rain": sum(rain) if rain else None,
            "wet_hours": float(sum(value > 0.1 for value in rain)) if rain else None,
            "cloud": _mean(self.of_day(day, origin, "cloud_pct", 7, 20)),
        }

    def features(self, origin_day: date, target: datetime) -> dict[str, float | None]:
        """Return all columns of sql/weather_features.sql for one target, all None where its hour is unknown."""
        origin = start_of_local_day(origin_day, ZONE)
        here = target.astimezone(ZONE).date()
        today = self.day(here, origin)
        before = [self.day(origin_day - n * DAY, origin) for n in range(1, 29)]
        kinds = [day_type(origin_day - n * DAY, self.holidays) for n in range(1, 29)]
        result: dict[str, float | None] = {
            "temperature": self.known(target, origin, "temperature_c"),
            "rain": self.known(target, origin, "precipitation_mm"),
            "rain_before": _sum(
                self.known(target - n * HOUR, origin, "precipitation_mm") for n in (1, 2)
            ),
            "morning_rain": _total(self.of_day(here, origin, "precipitation_mm", 6, 9)),
            "evening_rain": _total(self.of_day(here, origin, "precipitation_mm", 16, 19)),
            "yesterday_rain": before[0]["rain"],
        }
        result |= {f"day_{name}": value for name, value in today.items()}
        for name in ("temperature", "rain", "cloud"):
            result[f"day_{name}_7d"] = _less(today[name], _mean(d[name] for d in before[:7]))
        for name in ("temperature", "rain", "wet_hours", "cloud"):
            pairs = [
                (0.5 ** (n / 10), day[name])
                for n, (day, kind) in enumerate(zip(before, kinds, strict=True), start=1)
                if kind == day_type(here, self.holidays)
            ]
            result[f"day_{name}_similar"] = _less(today[name], _weighted(pairs))
        return result


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _total(values: list[float]) -> float | None:
    return sum(values) if values else None


def _sum(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)


def _less(value: float | None, usual: float | None) -> float | None:
    return None if value is None or usual is None else value - usual


def _weighted(pairs: list[tuple[float, float | None]]) -> float | None:
    known = [(weight, value) for weight, value in pairs if value is not None]
    total = sum(weight for weight, _ in known)
    return sum(weight * value for weight, value in known) / total if known else None
