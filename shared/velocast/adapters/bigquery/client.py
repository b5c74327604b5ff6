"""BigQuery: queries from SQL files, idempotent writes, and large reads through the Storage API.

Results have times in UTC, dates as `datetime.date`, and integers with nulls as float64 with NaN, as pandas does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from velocast.adapters import google_clients
from velocast.adapters.bigquery.failures import call_bounds, reporting
from velocast.adapters.bigquery.frames import FrameBuilder
from velocast.adapters.bigquery.jobs import Jobs
from velocast.adapters.bigquery.merge import MergeResult, merge_rows
from velocast.adapters.bigquery.revisions import Remembering
from velocast.adapters.bigquery.sql_templates import RowsParameter, quoted, read_few, statement
from velocast.adapters.bigquery.staging import STAGING_HOURS, clustering, expiry
from velocast.adapters.bigquery.storage_reads import read_arrow, record_batches
from velocast.core import schemas
from velocast.core.errors import WarehouseError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient

SCRATCH = schemas.PREDICTIONS  # dataset for the tables of `temporary`
PAGE_ROWS = 100  # of a large result that come with the answer to its query; clients read JSON more slowly than Arrow


class Warehouse:
    """The tables of one project, whose datasets are in `location`. Clients are created at first use."""

    def __init__(self, project: str, location: str) -> None:
        self.project = project
        self.location = location
        self._jobs = Jobs(project, location)

    @cached_property
    def _reader(self) -> BigQueryReadClient:
        return google_clients.bigquery_read_client()

    def query(
        self, sql: str, /, *, tables: dict[str, str] | None = None, **parameters: Any
    ) -> pd.DataFrame:
        """Run `velocast/sql/<sql>.sql` and return its rows; for a few thousand rows at most.

        tables: placeholder to dataset.table, where it is not the table of that name. Raises WarehouseError.
        """
        text = statement(sql, self.project, tables)
        with reporting(f"sql/{sql}.sql"):
            rows = self._jobs.run(text, parameters).to_arrow(create_bqstorage_client=False)
        return _frame(rows)

    def query_large(
        self, sql: str, /, *, tables: dict[str, str] | None = None, **parameters: Any
    ) -> pd.DataFrame:
        """Run a SQL file whose result may be of any size; more than PAGE_ROWS are read through the Storage Read API.

        Arguments and errors as for `query`.
        """
        text = statement(sql, self.project, tables)
        with reporting(f"sql/{sql}.sql"):
            rows = self._jobs.run(text, parameters, page_rows=PAGE_ROWS)
            if (rows.total_rows or 0) <= PAGE_ROWS:
                return _frame(rows.to_arrow(create_bqstorage_client=False))
            # BigQuery keeps the result of every query in an anonymous table for a day
            schema, batches = record_batches(
                self._reader, self.project, self._jobs.result_table(rows), columns=None, where=""
            )
            builder = FrameBuilder(schema)
            for batch in batches:
                builder.add(batch)
            return builder.build()

    @contextmanager
    def temporary(
        self,
        sql: str,
        /,
        *,
        tables: dict[str, str] | None = None,
        clustered_by: str | None = None,
        kept: bool = False,
        **parameters: Any,
    ) -> Iterator[str]:
        """Yield the name (dataset.table) of a table with the rows of a SQL file; it is dropped afterwards.

        clustered_by: the column of which ranges are read. kept: the table stays for other processes, and expires within
        STAGING_HOURS. Other arguments and errors as for `query`.
        """
        text = statement(sql, self.project, tables)
        with self._jobs.scratch(SCRATCH, kept=kept) as scratch:
            target = quoted(self.project, scratch)
            options = clustering(clustered_by) + expiry(STAGING_HOURS)
            with reporting(f"sql/{sql}.sql"):
                self._jobs.run(f"CREATE OR REPLACE TABLE {target}{options} AS\n{text}", parameters)
            yield scratch

    @contextmanager
    def passed_or_loaded(self, file: IO[bytes], schema: pa.Schema) -> Iterator[str | RowsParameter]:
        """Yield the rows of a Parquet file for `tables` of `execute`: a few themselves, more as `loaded` does."""
        if few := read_few(file):
            yield few
            return
        with self.loaded(file, schema) as table:
            yield table

    @contextmanager
    def loaded(self, file: IO[bytes], schema: pa.Schema) -> Iterator[str]:
        """Yield the name of a table in schemas.RAW with the rows of a Parquet file; it is dropped afterwards.

        The file is read in pieces. Raises WarehouseError.
        """
        with self._jobs.scratch(schemas.RAW) as scratch:
            with reporting("load of a Parquet file"):
                self._jobs.create(scratch, schema, hours=STAGING_HOURS)
                self._jobs.append_file(scratch, file)
            yield scratch

    def execute(
        self,
        sql: str,
        /,
        *,
        tables: Mapping[str, str | RowsParameter] | None = None,
        **parameters: Any,
    ) -> int:
        """Run a SQL file that changes rows and return how many it changed.

        tables: as for `query`, or rows that are passed with the statement. Raises WarehouseError.
        """
        text = statement(sql, self.project, tables)
        passed = {k: v for k, v in (tables or {}).items() if isinstance(v, RowsParameter)}
        with reporting(f"sql/{sql}.sql"):
            return self._jobs.change(text, parameters | passed)

    def merge(
        self,
        table: str,
        rows: pa.Table | Iterable[pa.Table],
        *,
        keys: Sequence[str],
        update: Sequence[str] | None = None,
        insert_only: Sequence[str] = (),
        replaced: Mapping[str, Sequence[str]] | None = None,
        history: Remembering | None = None,
    ) -> MergeResult:
        """Insert the rows whose key is not in `table` (dataset.table of `schemas`) and update those that differ.

        rows: a table, or several with the same columns that share no key and are loaded one after the other.
        update: the columns in which a difference counts as a change, by default all but keys and insert_only. Columns
        in none of the three are written with a change but do not count as one. replaced: for a column, the stored
        values, besides null, that may be written over; any other stays. history: for counts, where the changed values
        are remembered, in the same transaction. Nulls equal each other. JSON is passed as text.
        Only partitions between the rows' first and last value are searched, so the key must determine the partition.
        Merging the same rows again changes nothing. Raises WarehouseError, also for a repeated key.
        """
        return merge_rows(
            self._jobs,
            table,
            rows,
            keys=keys,
            update=update,
            insert_only=insert_only,
            replaced=replaced,
            history=history,
        )

    def append_once(self, table: str, rows: pa.Table, key: str) -> int:
        """Insert the rows whose `key` is not stored yet, change no other, and return the number of rows inserted.

        Searched partitions and errors as for `merge`.
        """
        others = [c for c in rows.column_names if c != key]
        return self.merge(table, rows, keys=[key], update=(), insert_only=others).inserted

    def load_table(self, name: str, rows: pa.Table, *, expires_days: int | None) -> None:
        """Create the table `name` (dataset.table) from the rows. An existing table is left unchanged.

        The table appears complete or not at all. expires_days None: it never expires. Raises WarehouseError.
        """
        if self.table_exists(name):
            return
        with self._jobs.scratch(name.split(".")[0]) as scratch:
            with reporting(f"load of {name}"):
                self._jobs.create(scratch, rows.schema, hours=STAGING_HOURS)
                self._jobs.append(scratch, rows)
            self.copy_table(name, scratch, expires_days=expires_days)

    def copy_table(
        self, name: str, source: str, *, expires_days: int | None, clustered_by: str | None = None
    ) -> None:
        """Create the table `name` with the rows of `source` (both dataset.table); else as `load_table`."""
        target, rows = quoted(self.project, name), quoted(self.project, source)
        options = clustering(clustered_by)
        options += expiry(None if expires_days is None else 24 * expires_days)
        with reporting(f"copy of {source} to {name}"):
            self._jobs.run(
                f"CREATE TABLE IF NOT EXISTS {target}{options} AS\nSELECT * FROM {rows}",
                {},
            )

    def drop(self, table: str) -> None:
        """Drop a temporary table (dataset.table) that was kept; it may be gone. A failure is only logged."""
        self._jobs.drop(f"{self.project}.{table}")

    def table_exists(self, name: str) -> bool:
        """Return whether the table `name` (dataset.table) exists. Raises WarehouseError if that is unknown."""
        from google.api_core.exceptions import NotFound

        with reporting(f"look for {name}"):
            try:
                self._jobs.client.get_table(f"{self.project}.{name}", **call_bounds())
            except NotFound:
                return False
        return True

    def read(self, table: str, *, columns: Sequence[str], where: str | None = None) -> pa.Table:
        """Read columns of a table through the Storage Read API, as Arrow.

        where: a SQL condition on the table's own columns; for a partitioned table it must bound the partition field.
        Raises WarehouseError.
        """
        field = schemas.table(table).partition_field if table in schemas.TABLES else None
        if field and field not in (where or ""):
            raise WarehouseError(f"read of {table}: `where` must bound its partition field {field}")
        with reporting(f"read of {table}"):
            return read_arrow(self._reader, self.project, table, columns=columns, where=where or "")


def _frame(rows: pa.Table) -> pd.DataFrame:
    """Return Arrow rows as a data frame, with all times in UTC and microseconds."""
    builder = FrameBuilder(rows.schema)
    for batch in rows.to_batches():
        builder.add(batch)
    return builder.build()
