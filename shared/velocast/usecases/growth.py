"""Growth of a city as it is stored: the days it is computed from, its weekly measurement, and what that was."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.sql_templates import Empty
from velocast.core.city import City
from velocast.core.datetimes import local_date, rfc3339, start_of_local_day
from velocast.core.schemas import COUNTS, WEATHER
from velocast.core.telemetry import log
from velocast.core.unknown import Unknown
from velocast.core.weather_variables import VALUES
from velocast.model.faults.day_grid import DAY_TYPES, day_grid
from velocast.model.features.calendar_features import day_type, holiday_dates, school_free_days
from velocast.model.growth.change import CityDays, Comparison, Growth
from velocast.model.growth.periods import compared_periods
from velocast.model.growth.regressors import weather_grid
from velocast.model.histories.counts import under_histories
from velocast.usecases.histories.known import read_histories
from velocast.usecases.snapshot_format import CityGrowth, GrowthCard

LONGEST = 12 * 366  # days that are read at most
YEARS = timedelta(days=2 * 366)
# A counter takes 0.4 s of CPU and 18,000 hours; two years of 200 fit monitor's memory and time.
MOST_COUNTERS = 200
SHOWN_FOR = timedelta(days=21)  # a measurement is shown until two newer ones are overdue
DECIMALS = 4


class MeasuredGrowth(BaseModel):
    """The growth of the city and, by id, of the counters that can be compared."""

    model_config = ConfigDict(frozen=True)

    city: CityGrowth
    counters: dict[str, GrowthCard]


def measure_growth(warehouse: Warehouse, city: City, *, as_of: datetime) -> MeasuredGrowth | None:
    """Return the newest year against the one before, or the same season of both; None where too little is stored.

    Of a city with more than MOST_COUNTERS, the busiest are compared. Raises WarehouseError.
    """
    days = read_days(warehouse, city, as_of=as_of, most=MOST_COUNTERS)
    if days is None:
        return None
    periods = compared_periods(days.first, days.first + timedelta(days=days.counts.shape[1]))
    if isinstance(periods, Unknown):
        return None
    comparison = Comparison(days, periods)
    found = {name: comparison.counter(name) for name in days.counters}
    whole = comparison.whole_city()
    if isinstance(whole, Unknown):
        return None
    return MeasuredGrowth(
        city=CityGrowth(
            before=periods.before,
            now=periods.now,
            days=periods.days,
            whole_year=periods.whole_year,
            growth=_card(whole),
        ),
        counters={n: _card(growth) for n, growth in found.items() if isinstance(growth, Growth)},
    )


def _card(growth: Growth) -> GrowthCard:
    return GrowthCard(
        change=round(growth.adjusted.change, DECIMALS),
        low=round(growth.adjusted.low, DECIMALS),
        high=round(growth.adjusted.high, DECIMALS),
        claimed=growth.claimed,
        raw=round(growth.raw.change, DECIMALS),
        rebuilt=round(growth.rebuilt.change, DECIMALS),
        weather=None if growth.weather is None else round(growth.weather, DECIMALS),
        estimated=round(growth.estimated, DECIMALS),
        counters=growth.counters,
    )


def read_measured_growth(warehouse: Warehouse, *, as_of: datetime) -> MeasuredGrowth | None:
    """Return what the newest weekly digest up to `as_of` measured; None without one. Raises WarehouseError.

    One that this version cannot read is logged and not shown: no forecast fails for it.
    """
    rows = warehouse.query("snapshot_growth", since=as_of - SHOWN_FOR, as_of=as_of)
    if rows.empty:
        return None
    try:
        return MeasuredGrowth.model_validate_json(rows["growth"].iloc[0])
    except ValidationError as exc:
        log("WARNING", f"growth is not shown; the next weekly digest measures it again: {exc}")
        return None


def read_days(
    warehouse: Warehouse,
    city: City,
    *,
    as_of: datetime,
    since: date | None = None,
    most: int | None = None,
) -> CityDays | None:
    """Return what is stored of the local days before `as_of`; None where nothing is. Raises WarehouseError.

    since: first day that is asked for; default: the last two years. most: how many of the last year's busiest
    counters; default: all.
    """
    today = local_date(as_of, city.zone)
    first = max(since or today - YEARS, today - timedelta(days=LONGEST))
    begin, end = start_of_local_day(first, city.zone), start_of_local_day(today, city.zone)
    # without sums, which would be counted beside their parts
    histories = read_histories(warehouse, city, as_of=as_of, with_sums=False)
    if most is None:
        hours = warehouse.read(
            COUNTS,
            columns=["counter_id", "counted_at", "bike_count", "quality"],
            where=f"counted_at >= '{rfc3339(begin)}' AND counted_at < '{rfc3339(end)}'",
        ).to_pandas()
    else:
        hours = warehouse.query_large(
            "growth_hours",
            since=begin,
            until=end,
            busy_since=end - YEARS / 2,
            most=most,
            always=sorted(histories.affected) or Empty("STRING"),
        )
    if hours.empty:
        return None
    hours = under_histories(hours.assign(counted_at=_utc(hours["counted_at"])), histories)
    weather = warehouse.read(
        WEATHER,
        columns=["valid_at", "issued_at", *VALUES],
        where=f"valid_at >= '{rfc3339(begin)}' AND valid_at < '{rfc3339(end)}' "
        f"AND issued_at <= '{rfc3339(as_of)}'",
    ).to_pandas()
    newest = weather.sort_values("issued_at").drop_duplicates("valid_at", keep="last")
    return city_days(city, hours, None if newest.empty else newest)


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
        free_days=school_free_days(city.school_holidays),
        weather=known,
    )


def _utc(times: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
    return pd.to_datetime(times, utc=True).astype("datetime64[us, UTC]")
