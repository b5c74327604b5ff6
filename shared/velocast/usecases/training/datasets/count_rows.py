"""The rows of frozen counts, read from their table by counter and hour in blocks, and written into objects."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.sql_templates import text_literal
from velocast.adapters.gcs import Objects
from velocast.core import schemas
from velocast.core.datetimes import origin_of
from velocast.core.errors import WarehouseError
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast.usecases.training.datasets.parquet_objects import store

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("counter_id", "counted_at", "bike_count", "quality")
FOLDER = "counts"
# a partition bound is required, and no city counted bikes before
FIRST_HOUR = datetime(2000, 1, 1, tzinfo=UTC)
BLOCK_ROWS = 1 << 20  # read and sorted at a time: some 50 MB


def read_counted(
    run: Run[JobSettings],
    table: str,
    first_hour: datetime = FIRST_HOUR,
    until: datetime | None = None,
) -> pd.DataFrame:
    """Return the counters of a table of frozen counts, sorted by counter_id (the order of the frozen rows).

    Columns: hours in [first_hour, until), usable (of them), first_at and last_at (of the usable ones, NaT for none).
    until: the run's origin by default. Source: sql/counted_hours.sql. Raises WarehouseError.
    """
    counters = run.warehouse.query_large(
        "counted_hours",
        tables={"counts": table},
        first_hour=first_hour,
        until=until or origin_of(run.as_of, run.settings.city.zone),
    )
    return counters.sort_values("counter_id", ignore_index=True)


def store_counts(
    run: Run[JobSettings], table: str, counters: pd.DataFrame, where: str = ""
) -> tuple[str, str]:
    """Write the rows of a table of frozen counts into an object; return (sha256, uri). Arguments as `sorted_rows`."""
    rows = sorted_rows(run.warehouse, table, counters, where)
    return store(datasets_bucket(run), rows, counts_schema(), folder=FOLDER)


def sorted_rows(
    warehouse: Warehouse, table: str, counters: pd.DataFrame, where: str = ""
) -> Iterator[pa.Table]:
    """Yield the rows of a table of frozen counts by counter and hour, about BLOCK_ROWS at a time.

    counters: result of `read_counted`, all counters of the table. where: the hours that were counted.
    Raises WarehouseError when these are not as many rows as were counted.
    """
    for first, last, hours in _blocks(counters):
        bounds = f"counter_id >= {text_literal(first)} AND counter_id <= {text_literal(last)}"
        whole = (first, last) == (counters["counter_id"].iloc[0], counters["counter_id"].iloc[-1])
        parts = [part for part in ("" if whole else bounds, where) if part]
        rows = warehouse.read(table, columns=COLUMNS, where=" AND ".join(parts) or None)
        if rows.num_rows != hours:
            raise WarehouseError(
                f"table {table} has {rows.num_rows} rows of the counters {first!r} to {last!r}, but {hours} were "
                "counted: another process changes it; run the job again"
            )
        yield sorted_counts(rows)


def _blocks(counters: pd.DataFrame) -> Iterator[tuple[str, str, int]]:
    """Yield (first counter, last counter, hours) of blocks of neighbouring counters."""
    block = counters["hours"].cumsum().sub(1) // BLOCK_ROWS
    for _, part in counters.groupby(block, sort=True):
        yield part["counter_id"].iloc[0], part["counter_id"].iloc[-1], int(part["hours"].sum())


def counts_schema() -> pa.Schema:
    """Return the schema of frozen counts."""
    return schemas.arrow(schemas.COUNTS, COLUMNS)


def sorted_counts(rows: pa.Table) -> pa.Table:
    """Return the rows sorted by counter and hour, in COLUMNS' types, however they were read."""
    ordered = rows.select(list(COLUMNS)).cast(counts_schema())
    return ordered.sort_by(
        [("counter_id", "ascending"), ("counted_at", "ascending")]
    ).combine_chunks()


def datasets_bucket(run: Run[JobSettings]) -> Objects:
    """Return the datasets bucket."""
    return Objects(run.settings.project, run.settings.datasets_bucket)


def sql_instant(instant: datetime) -> str:
    """Return an instant as a condition of the Storage Read API needs it."""
    return instant.strftime("%Y-%m-%d %H:%M:%S+00")
