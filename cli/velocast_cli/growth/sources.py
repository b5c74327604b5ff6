"""The counts and the weather that growth is computed from: of a deployment, or of files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import pandas as pd

from velocast.core.city import City
from velocast.core.errors import EventError
from velocast.core.settings import JobSettings
from velocast.model.faults.city_faults import judge_city
from velocast.model.growth.change import CityDays
from velocast.model.histories.counts import under_histories
from velocast.usecases.context import Run
from velocast.usecases.growth import city_days, read_days
from velocast_cli.counts.hours_files import read_hours
from velocast_cli.weather_file import read_weather_file


def days_of_files(
    city: City | None, files: Sequence[Path], weather: Path | None, say: Callable[[str], object]
) -> tuple[City, CityDays]:
    """Read files, look for faults in them, and lay them on days. Raises ValueError, OSError and VelocastError."""
    found = read_hours(city, files, say)
    hours = found.hours
    judged = judge_city(
        hours,
        found.counters,
        found.city.zone,
        country=found.city.holidays,
        sites=found.city.sites,
    )
    marked = pd.Series(judged.quality, hours.index, dtype=object)
    hours = hours.assign(quality=hours["quality"].where(hours["quality"].notna(), marked))
    known = read_weather_file(weather) if weather else None
    hours = under_histories(hours, found.histories)
    return found.city, city_days(found.city, hours, known)


def days_of_deployment(run: Run[JobSettings], since: date | None) -> tuple[City, CityDays]:
    """Read what is stored up to the run's time. since: first day that is asked for; default: the last two years.

    Raises EventError where nothing is stored, WarehouseError.
    """
    city = run.settings.city
    days = read_days(run.warehouse, city, as_of=run.as_of, since=since)
    if days is None:
        raise EventError(
            f"no count is stored{f' from {since}' if since else ''} before {run.as_of:%Y-%m-%d}; run fetch first"
        )
    return city, days
