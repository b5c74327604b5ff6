"""Estimates of the hours without a usable count, made again from what is stored, apart from the counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.city import City
from velocast.core.datetimes import rfc3339, start_of_hour
from velocast.core.schemas import COUNT_ESTIMATES, COUNTS, arrow
from velocast.core.settings import FetchSettings
from velocast.usecases.context import Run
from velocast.usecases.ingest.closures import read_ended
from velocast.usecases.ingest.faults import DAY, JUDGED_DAYS, as_utc

if TYPE_CHECKING:
    import pandas as pd

KEY = ("counter_id", "counted_at")
AROUND = timedelta(days=84)  # counts before and after the gaps that estimates are made from
AT_ONCE = timedelta(days=180)  # bounds what is read into memory


@dataclass(frozen=True)
class RebuiltGaps:
    """hours: estimated; by_basis: the same by what they rest on; counters: with an estimate; bikes: their sum."""

    hours: int
    counters: int
    bikes: float
    by_basis: dict[str, int]

    def details(self) -> dict[str, Any]:
        """Return the numbers for the audit row."""
        return vars(self)


def rebuild_recent_gaps(run: Run[FetchSettings]) -> RebuiltGaps:
    """Rebuild the gaps of the days whose faults each run judges again, up to now. Raises WarehouseError."""
    return rebuild_gaps_from(run, run.as_of - JUDGED_DAYS * DAY)


def rebuild_gaps_from(run: Run[FetchSettings], first: datetime) -> RebuiltGaps:
    """Rebuild the gaps from the city's hour of `first` up to now. Raises WarehouseError."""
    zone = run.settings.city.zone
    return rebuild_stored_gaps(
        run.warehouse,
        run.settings.city,
        since=start_of_hour(first, zone),
        until=start_of_hour(run.as_of, zone),
        made_at=run.as_of,
    )


def rebuild_stored_gaps(
    warehouse: Warehouse, city: City, *, since: datetime, until: datetime, made_at: datetime
) -> RebuiltGaps:
    """Replace the estimates of [since, until) by those that the stored counts before `made_at` allow now.

    since: the start of an hour of the city's clock. An hour that has been counted meanwhile has no estimate any more.
    Doing it again changes nothing. Raises WarehouseError.
    """
    until = min(until, made_at)
    hours, bikes, counters = 0, 0.0, set[str]()
    by_basis: dict[str, int] = {}
    while since < until:
        end = min(since + AT_ONCE, until)
        found = _estimates(warehouse, city, since, end, made_at)
        warehouse.execute("estimates_delete", since=since, until=end)
        if len(found):
            import pyarrow as pa

            schema = arrow(COUNT_ESTIMATES)
            rows = pa.Table.from_pandas(
                found.assign(made_at=made_at)[schema.names], schema=schema, preserve_index=False
            )
            warehouse.merge(COUNT_ESTIMATES, rows, keys=KEY)
        hours, bikes = hours + len(found), bikes + float(found["estimated_count"].sum())
        counters |= set(found["counter_id"])
        for basis, number in found["basis"].value_counts().items():
            by_basis[str(basis)] = by_basis.get(str(basis), 0) + int(number)
        since = end
    return RebuiltGaps(hours, len(counters), round(bikes, 1), dict(sorted(by_basis.items())))


def _estimates(
    warehouse: Warehouse, city: City, since: datetime, until: datetime, made_at: datetime
) -> pd.DataFrame:
    from velocast.model.gaps.city_gaps import rebuild_gaps
    from velocast.model.known_hours import explains

    first, last = since - AROUND, min(until + AROUND, made_at)
    where = f"counted_at >= '{rfc3339(first)}' AND counted_at < '{rfc3339(last)}'"
    columns = ["counter_id", "counted_at", "bike_count", "quality"]
    hours = as_utc(warehouse.read(COUNTS, columns=columns, where=where).to_pandas())
    found = rebuild_gaps(hours, city.zone, since=since, until=until, country=city.holidays)
    # a counter that another one continues misses nothing from that day on
    return found[~explains(read_ended(warehouse, city, as_of=made_at), found)]
