"""Stored hours under a closure that the city's file names: marked `closed`, neither learned from nor scored."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.sql_templates import Empty
from velocast.core.city import City
from velocast.core.schemas import COUNTERS
from velocast.usecases.histories.known import read_histories

if TYPE_CHECKING:
    import pandas as pd

    from velocast.model.known_hours import KnownHours


def read_ended(warehouse: Warehouse, city: City, *, as_of: datetime) -> list[KnownHours]:
    """Return the hours of counters that others continue, as known at `as_of`. Raises WarehouseError."""
    from velocast.model.known_hours import ended_hours

    return ended_hours(read_histories(warehouse, city, as_of=as_of))


def read_known_hours(
    warehouse: Warehouse, city: City, counters: pd.DataFrame | None = None
) -> list[KnownHours]:
    """Return the hours of each counter that the city's events and closures explain. Raises WarehouseError.

    counters: as for `known_hours`; default: the stored ones.
    """
    from velocast.model.known_hours import known_hours

    if not city.events:
        return []
    if counters is None:
        columns = ["counter_id", "counter_name", "latitude", "longitude"]
        counters = warehouse.read(COUNTERS, columns=columns).to_pandas()
    return known_hours(city.events, counters, city.zone)


def find_closed(
    warehouse: Warehouse,
    known: list[KnownHours],
    *,
    look_from: datetime,
    until: datetime,
    tables: dict[str, str] | None = None,
) -> pd.DataFrame:
    """Return the rows whose mark `closed` is missing or wrong, with the right quality. Raises WarehouseError.

    Looks from `look_from`, or from the first closure if that is earlier, to `until`.
    """
    closures = [hours for hours in known if hours.kind == "closure" and hours.since < until]
    first = min([look_from, *(hours.since for hours in closures)])
    return warehouse.query_large(
        "mark_closed",
        tables=tables,
        look_from=first,
        until=until,
        closed_counters=[hours.counter_id for hours in closures] or Empty("STRING"),
        closed_since=[hours.since for hours in closures] or Empty("TIMESTAMP"),
        closed_until=[min(hours.until or until, until) for hours in closures] or Empty("TIMESTAMP"),
    )
