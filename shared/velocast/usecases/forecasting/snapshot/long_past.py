"""What was counted long ago, beside which a counter's page shows the present: days, and the hours a year before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from velocast.adapters.bigquery.client import Warehouse
from velocast.core import schemas
from velocast.core.city import City
from velocast.core.datetimes import HOUR, local_date, rfc3339, start_of_local_day

MONTHS = 24  # before the current one
YEAR = timedelta(weeks=52)  # the same weekday
NO_TABLES: Mapping[str, str] = MappingProxyType({})
SUMS = ["bikes", "hours", "estimated_bikes", "estimated_hours"]


@dataclass(frozen=True)
class PastDays:
    """A counter's days from `first` on, none missing: bikes (None without a usable count) and counted hours.

    estimated_bikes, estimated_hours: of the hours without a usable count that have an estimate; not in `bikes`.
    """

    first: date | None = None
    bikes: tuple[int | None, ...] = ()
    hours: tuple[int, ...] = ()
    estimated_bikes: tuple[int, ...] = ()
    estimated_hours: tuple[int, ...] = ()


@dataclass(frozen=True)
class LongPast:
    """Counts of the years before `until`, a local day.

    days: `bikes` and `hours`, the number of hours with a usable count, `estimated_bikes` and `estimated_hours`, by
        counter_id and local_date, sorted.
    year_ago: usable counts (bikes per hour) of the same local hours 52 weeks before each of the shown hours; index
        counter_id, a column for each hour, NaN where there is none.
    """

    days: pd.DataFrame
    year_ago: pd.DataFrame
    until: date

    @cached_property
    def _days_by_counter(self) -> dict[str, pd.DataFrame]:
        return {str(name): rows for name, rows in self.days.groupby(level=0)}

    def days_of(self, counter_id: str) -> PastDays:
        """Return a counter's days, from the first with a count to `until`."""
        rows = self._days_by_counter.get(counter_id)
        if rows is None:
            return PastDays()
        values = rows[SUMS].to_numpy(dtype="float64", na_value=0.0)
        counted = np.flatnonzero(values[:, SUMS.index("hours")] > 0)
        if not counted.size:
            return PastDays()
        dates = rows.index.get_level_values(1)
        first = dates[counted[0]]
        number = np.array([(day - first).days for day in dates])
        sums = np.zeros((len(SUMS), (self.until - first).days), dtype=int)
        shown = (number >= 0) & (number < sums.shape[1])
        sums[:, number[shown]] = values[shown].round().T
        bikes, hours, estimated_bikes, estimated_hours = sums.tolist()
        return PastDays(
            first=first,
            bikes=tuple(b if h else None for b, h in zip(bikes, hours, strict=True)),
            hours=tuple(hours),
            estimated_bikes=tuple(estimated_bikes),
            estimated_hours=tuple(estimated_hours),
        )

    def year_ago_of(self, counter_id: str) -> tuple[float | None, ...]:
        """Return the counts of a year before, None where there is none; empty where there is none at all."""
        if counter_id not in self.year_ago.index:
            return ()
        counts = self.year_ago.loc[counter_id].to_numpy(dtype=float)
        return tuple(None if np.isnan(count) else float(count) for count in counts)


def first_hour(origin_at: datetime, zone: ZoneInfo) -> datetime:
    """Return the first hour that `read_long_past` reads, UTC."""
    return start_of_local_day(_months_before(local_date(origin_at, zone)), zone)


def read_long_past(
    warehouse: Warehouse,
    city: City,
    *,
    origin_at: datetime,
    hours: Sequence[datetime],
    tables: Mapping[str, str] = NO_TABLES,
) -> LongPast:
    """Read the days before that of `origin_at`, and what was counted a year before `hours`. Raises WarehouseError.

    hours: consecutive UTC hours, none later than 52 weeks after `origin_at`. tables: `counts` and `count_estimates`
    (dataset.table) from `first_hour` on, instead of the stored ones.
    """
    until = local_date(origin_at, city.zone)
    days = warehouse.query_large(
        "snapshot_days",
        tables=dict(tables),
        first_hour=first_hour(origin_at, city.zone),
        until=origin_at,
        zone=city.time_zone,
    )
    days["local_date"] = pd.to_datetime(days["local_date"]).dt.date
    return LongPast(
        days=days.set_index(["counter_id", "local_date"])[SUMS].sort_index(),
        year_ago=_read_year_ago(
            warehouse, tables.get("counts", schemas.COUNTS), city.zone, hours, origin_at
        ),
        until=until,
    )


def _months_before(day: date) -> date:
    """Return the first day of the month MONTHS before a day's own."""
    months = day.year * 12 + day.month - 1 - MONTHS
    return date(months // 12, months % 12 + 1, 1)


def _read_year_ago(
    warehouse: Warehouse, table: str, zone: ZoneInfo, hours: Sequence[datetime], until: datetime
) -> pd.DataFrame:
    before = [a_year_before(hour, zone) for hour in hours]
    known = [hour for hour in before if hour is not None]
    last = min(known[-1] + HOUR, until)
    counts = warehouse.read(
        table,
        columns=["counter_id", "counted_at", "bike_count"],
        where=f"counted_at >= '{rfc3339(known[0])}' AND counted_at < '{rfc3339(last)}' AND quality IS NULL",
    ).to_pandas()
    counts["counted_at"] = pd.to_datetime(counts["counted_at"], utc=True)
    wide: pd.DataFrame = counts.pivot(index="counter_id", columns="counted_at", values="bike_count")
    return wide.reindex(columns=pd.DatetimeIndex(before, tz=UTC)).astype("float64")


def a_year_before(hour: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the same hour of the city's clock 52 weeks before; None when the clock skipped it."""
    wanted = hour.astimezone(zone).replace(tzinfo=None) - YEAR
    found = wanted.replace(tzinfo=zone, fold=hour.astimezone(zone).fold).astimezone(UTC)
    return found if found.astimezone(zone).replace(tzinfo=None) == wanted else None
