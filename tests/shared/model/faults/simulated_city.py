"""A small city of counters that work: daily, weekly and weather rhythm, Poisson counts, two directions a site."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from velocast.model.faults.day_grid import DayGrid, day_grid

FIRST = date(2024, 4, 1)
DAYS, SITES = 63, 5
ZONE = "Europe/Paris"


def city_hours(days: int = DAYS, sites: int = SITES, seed: int = 7) -> pd.DataFrame:
    """Return counter_id, counted_at (UTC) and bike_count; the last site counts some two bikes an hour."""
    rng = np.random.default_rng(seed)
    at = pd.date_range(FIRST.isoformat(), periods=days * 24, freq="h", tz=ZONE)
    hour, weekday = at.hour.to_numpy(), at.weekday.to_numpy()
    weather = np.repeat(np.exp(rng.normal(0, 0.2, days)), 24)
    frames = []
    for site in range(sites):
        level = 2.0 if site == sites - 1 else 30.0 * (site + 1)
        for direction, peak in (("in", 8), ("out", 17)):
            shape = np.exp(-(((hour - peak) / 2.5) ** 2)) + 0.6 * np.exp(-(((hour - 13) / 4) ** 2))
            rate = level * 3 * (shape + 0.02) * np.where(weekday >= 5, 0.6, 1.0) * weather
            own = np.repeat(np.exp(rng.normal(0, 0.08, days)), 24)
            frames.append(
                pd.DataFrame(
                    {
                        "counter_id": f"{site}-{direction}",
                        "counted_at": at.tz_convert("UTC"),
                        "bike_count": rng.poisson(rate * own),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def sites() -> dict[str, str]:
    """Return the site of each counter."""
    return {f"{n}-{way}": str(n) for n in range(SITES) for way in ("in", "out")}


def grid_of(hours: pd.DataFrame) -> DayGrid:
    """Return the hours on local days, with their sites."""
    from zoneinfo import ZoneInfo

    return day_grid(hours, ZoneInfo(ZONE), sites=sites())
