"""The counts and the weather that growth is computed from: of a deployment, or of files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from velocast.core.city import City
from velocast.core.datetimes import local_date, rfc3339, start_of_local_day
from velocast.core.errors import EventError
from velocast.core.schemas import COUNTS, WEATHER
from velocast.core.settings import JobSettings
from velocast.core.weather_variables import VALUES
from velocast.model.faults.city_faults import judge_city
from velocast.model.faults.day_grid import DAY_TYPES, day_grid
from velocast.model.features.calendar_features import day_type, holiday_dates
from velocast.model.growth.change import CityDays
from velocast.model.growth.regressors import weather_grid
from velocast.model.histories.counts import under_histories
from velocast.usecases.context import Run
from velocast.usecases.histories.known import read_histories
from velocast_cli.counts.hours_files import read_hours
from velocast_cli.weather_file import read_weather_file

LONGEST = 12 * 366  # days of a deployment's counts that are read at most


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
    today = local_date(run.as_of, city.zone)
    first = max(since or today - timedelta(days=2 * 366), today - timedelta(days=LONGEST))
    begin = rfc3339(start_of_local_day(first, city.zone))
    end = rfc3339(start_of_local_day(today, city.zone))
    hours = run.warehouse.read(
        COUNTS,
        columns=["counter_id", "counted_at", "bike_count", "quality"],
        where=f"counted_at >= '{begin}' AND counted_at < '{end}'",
    ).to_pandas()
    if hours.empty:
        raise EventError(f"no count is stored from {first} to {today}; run fetch first")
    # a sum would be counted beside its parts
    histories = read_histories(run.warehouse, city, as_of=run.as_of, with_sums=False)
    hours = under_histories(hours.assign(counted_at=_utc(hours["counted_at"])), histories)
    weather = run.warehouse.read(
        WEATHER,
        columns=["valid_at", "issued_at", *VALUES],
        where=f"valid_at >= '{begin}' AND valid_at < '{end}' AND issued_at <= '{rfc3339(run.as_of)}'",
    ).to_pandas()
    newest = weather.sort_values("issued_at").drop_duplicates("valid_at", keep="last")
    return city, city_days(city, hours, None if newest.empty else newest)


def city_days(city: City, hours: pd.DataFrame, weather: pd.DataFrame | None) -> CityDays:
    """Lay a city's hours on local days; hours with a quality are not usable, and an unfinished last day is left out.

    hours: counter_id, counted_at, bike_count and quality. weather: valid_at and VALUES.
    """
    hours = hours.assign(counted_at=_utc(hours["counted_at"]))
    grid = day_grid(hours, city.zone)
    counts = grid.counts.astype("float64")
    unusable = hours["quality"].notna().to_numpy()
    counts.reshape(-1)[grid.cells[unusable]] = np.nan
    days = counts.shape[1]
    late = grid.published[:, -1, 20:]
    if days > 1 and not late.any():  # the newest day is not over
        counts, days = counts[:, :-1], days - 1
    last = grid.first_day + timedelta(days=days)
    holidays = holiday_dates(city.holidays, grid.first_day, last)
    types = [
        DAY_TYPES.index(day_type(grid.first_day + timedelta(days=n), holidays)) for n in range(days)
    ]
    known = None
    if weather is not None:
        stamped = weather.assign(valid_at=_utc(weather["valid_at"]))
        known = weather_grid(stamped, grid.first_day, days, city.zone)
    return CityDays(
        counters=list(grid.counters),
        first=grid.first_day,
        counts=counts,
        day_types=np.array(types, dtype=np.int8),
        holidays=holidays,
        free_days=school_free_days(city),
        weather=known,
    )


def school_free_days(city: City) -> frozenset[date]:
    """Return the days of the school holidays that the city's file names."""
    return frozenset(
        day.date() for first, last in city.school_holidays for day in pd.date_range(first, last)
    )


def _utc(times: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
    return pd.to_datetime(times, utc=True).astype("datetime64[us, UTC]")
