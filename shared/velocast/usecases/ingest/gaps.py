"""Estimates of the hours without a usable count, made again from what is stored, apart from the counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.city import City
from velocast.core.datetimes import start_of_hour
from velocast.core.schemas import COUNT_ESTIMATES, COUNTS, arrow
from velocast.core.settings import FetchSettings
from velocast.usecases.context import Run
from velocast.usecases.ingest.closures import read_ended
from velocast.usecases.ingest.faults import DAY, JUDGED_DAYS, STORED_AT_ONCE, as_utc, range_of

if TYPE_CHECKING:
    import pandas as pd

KEY = ("counter_id", "counted_at")
AROUND = timedelta(days=84)  # counts before and after the gaps that estimates are made from
# These bound what is in memory: the days, the blocks of counters (of 100) and, with STORED_AT_ONCE, the estimates.
AT_ONCE = timedelta(days=180)
BLOCKS_AT_ONCE = 5


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
        for found in _replaced(warehouse, city, since, end, made_at):
            hours, bikes = hours + len(found), bikes + float(found["estimated_count"].sum())
            counters |= set(found["counter_id"])
            for basis, number in found["basis"].value_counts().items():
                by_basis[str(basis)] = by_basis.get(str(basis), 0) + int(number)
        since = end
    return RebuiltGaps(hours, len(counters), round(bikes, 1), dict(sorted(by_basis.items())))


def _replaced(
    warehouse: Warehouse, city: City, since: datetime, until: datetime, made_at: datetime
) -> Iterator[pd.DataFrame]:
    """Store the estimates of [since, until), yield them, and then delete those that were not made again.

    So whoever reads meanwhile, or after this run was killed, finds an estimate of every hour.
    """
    import pyarrow as pa
    from pyarrow import parquet

    schema = arrow(COUNT_ESTIMATES)
    with TemporaryFile() as made:
        with parquet.ParquetWriter(made, schema) as writer:
            for found in _estimates(warehouse, city, since, until, made_at):
                stamped = found.assign(made_at=made_at)[schema.names]
                rows = pa.Table.from_pandas(stamped, schema=schema, preserve_index=False)
                warehouse.merge(COUNT_ESTIMATES, rows, keys=KEY)
                writer.write_table(rows)
                yield found
        made.seek(0)
        with warehouse.passed_or_loaded(made, schema) as rows_made:
            made_again = {"made": rows_made}
            warehouse.execute("estimates_delete", tables=made_again, since=since, until=until)


def _estimates(
    warehouse: Warehouse, city: City, since: datetime, until: datetime, made_at: datetime
) -> Iterator[pd.DataFrame]:
    """Yield the estimates of one group of counters after another: at least STORED_AT_ONCE each, but for the last."""
    import pandas as pd

    from velocast.model.gaps.city_gaps import counter_blocks, rebuild_gaps
    from velocast.model.known_hours import explains

    # from the day on which another counter continues it, a counter misses no hours
    ended = read_ended(warehouse, city, as_of=made_at)

    first, last = since - AROUND, min(until + AROUND, made_at)
    known = warehouse.query_large("counted_hours", first_hour=first, until=last)
    usable = known[known["usable"] > 0]
    if usable.empty:
        return
    newest, found = usable["last_at"].max().to_pydatetime(), list[pd.DataFrame]()
    for counters in _read_at_once(counter_blocks(usable["counter_id"])):
        part = rebuild_gaps(
            _hours(warehouse, counters, first, last),
            city.zone,
            since=since,
            until=until,
            country=city.holidays,
            newest=newest,
        )
        found.append(part[~explains(ended, part)])
        if sum(map(len, found)) >= STORED_AT_ONCE:
            yield pd.concat(found, ignore_index=True)
            found = []
    found = [part for part in found if len(part)]
    if found:
        yield pd.concat(found, ignore_index=True)


def _read_at_once(blocks: list[list[str]]) -> Iterator[tuple[str, str] | None]:
    """Yield the first and the last of the counters to read at once, of whole blocks; None for all."""
    if len(blocks) <= BLOCKS_AT_ONCE:
        yield None
        return
    for start in range(0, len(blocks), BLOCKS_AT_ONCE):
        part = blocks[start : start + BLOCKS_AT_ONCE]
        yield part[0][0], part[-1][-1]


def _hours(
    warehouse: Warehouse, counters: tuple[str, str] | None, first: datetime, last: datetime
) -> pd.DataFrame:
    columns = ["counter_id", "counted_at", "bike_count", "quality"]
    where = range_of(counters, first, last)
    return as_utc(warehouse.read(COUNTS, columns=columns, where=where).to_pandas())
