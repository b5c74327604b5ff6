"""BigQuery: queries from SQL files, idempotent writes, and large reads through the Storage API.

Time and retries of every call are bounded (by default the client retries a 500 for ten minutes). Results have times in
UTC, dates as `datetime.date`, and integers with nulls as float64 with NaN, as pandas does.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from velocast.adapters import google_clients
from velocast.adapters.bigquery import merge as merging
from velocast.adapters.bigquery.frames import FrameBuilder
from velocast.adapters.bigquery.revisions import Remembering
from velocast.adapters.bigquery.sql_templates import Empty, query_parameters, quoted, statement
from velocast.core import schemas
from velocast.core.errors import WarehouseError
from velocast.core.telemetry import log

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from google.cloud import bigquery
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient

__all__ = ["Empty", "MergeResult", "Remembering", "Warehouse"]

CALL_SECONDS = 30.0  # one HTTP request; every function has time for a failed call, its notice and its audit row
RETRY_SECONDS = 30.0  # the retries of one request
DROP_SECONDS = 10.0  # dropping a temporary table, which would expire anyway
JOB_SECONDS = 300.0  # one job
SCRATCH = schemas.PREDICTIONS  # dataset for the temporary tables of large results


@dataclass(frozen=True)
class MergeResult:
    """The result of a merge, in rows; the three add up to the number of rows given."""

    inserted: int
    updated: int
    unchanged: int


class Warehouse:
    """The tables of one project, whose datasets are in `location`. Clients are created at first use."""

    def __init__(self, project: str, location: str) -> None:
        self.project = project
        self.location = location

    @cached_property
    def _client(self) -> bigquery.Client:
        return google_clients.bigquery_client(self.project, self.location)

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
        with _reporting(f"sql/{sql}.sql"):
            rows = self._run(text, parameters).to_arrow(create_bqstorage_client=False)
        return _frame(rows)

    def query_large(
        self, sql: str, /, *, tables: dict[str, str] | None = None, **parameters: Any
    ) -> pd.DataFrame:
        """Run a SQL file whose result may be of any size; it passes through a table that is dropped afterwards.

        Arguments and errors as for `query`.
        """
        with (
            self.temporary(sql, tables=tables, **parameters) as table,
            _reporting(f"sql/{sql}.sql"),
        ):
            schema, batches = self._batches(table, columns=None, where="")
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
        with self._scratch(SCRATCH, kept=kept) as scratch:
            target = quoted(self.project, scratch)
            options = merging.clustering(clustered_by) + merging.expiry(merging.STAGING_HOURS)
            with _reporting(f"sql/{sql}.sql"):
                self._run(f"CREATE OR REPLACE TABLE {target}{options} AS\n{text}", parameters)
            yield scratch

    @contextmanager
    def loaded(self, file: IO[bytes], schema: pa.Schema) -> Iterator[str]:
        """Yield the name (dataset.table) of a table with the rows of a Parquet file; it is dropped afterwards.

        The file is read in pieces. Raises WarehouseError.
        """
        with self._scratch(SCRATCH) as scratch:
            with _reporting("load of a Parquet file"):
                self._load_file(scratch, file, schema, hours=merging.STAGING_HOURS)
            yield scratch

    def execute(
        self, sql: str, /, *, tables: dict[str, str] | None = None, **parameters: Any
    ) -> int:
        """Run a SQL file that changes rows and return how many it changed. Raises WarehouseError."""
        text = statement(sql, self.project, tables)
        with _reporting(f"sql/{sql}.sql"):
            return self._change(text, parameters)

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
        import pyarrow as pa

        schema, total = schemas.table(table), 0
        plan, bounds = None, list[str]()
        dataset = table.split(".")[0]
        with self._scratch(dataset) as scratch, _reporting(f"merge into {table}"):
            for part in [rows] if isinstance(rows, pa.Table) else rows:
                plan = merging.Merge.of(
                    schema, part.column_names, keys, update, insert_only, replaced
                )
                data = merging.staged(schema, part, keys)
                if data.num_rows:
                    self._load(scratch, data, hours=merging.STAGING_HOURS)
                    bounds.append(merging.partition_bounds(schema, data))
                    total += data.num_rows
            if plan is None or not total:
                return MergeResult(0, 0, 0)
            searched = " OR ".join(f"({each})" for each in dict.fromkeys(bounds))
            within = f"({searched})" if len(bounds) > 1 else bounds[0]
            names = (quoted(self.project, table), quoted(self.project, scratch), within)
            return self._merge(plan, names, total, history)

    def _merge(
        self,
        plan: merging.Merge,
        names: tuple[str, str, str],
        total: int,
        history: Remembering | None,
    ) -> MergeResult:
        # Counted first, because not every server reports how many rows a MERGE inserted and updated.
        counted = next(iter(self._run(plan.count_sql(*names), {})))
        if not counted["inserted"] and not counted["updated"]:
            return MergeResult(0, 0, total)
        inserted, updated = int(counted["inserted"]), int(counted["updated"])
        if history and updated:
            revisions = quoted(self.project, history.table)
            # a script does not tell how many rows it changed
            self._run(history.merge_sql(plan, *names, revisions), {})
            return MergeResult(inserted, updated, total - inserted - updated)
        # A row that another writer stored in between must not change without a revision: the next run changes it.
        changed = self._change(plan.merge_sql(*names, inserts_only=history is not None), {})
        # Another writer may have stored some of the rows in between.
        inserted = min(inserted, changed)
        return MergeResult(inserted, changed - inserted, total - changed)

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
        with self._scratch(name.split(".")[0]) as scratch:
            with _reporting(f"load of {name}"):
                self._load(scratch, rows, hours=merging.STAGING_HOURS)
            self.copy_table(name, scratch, expires_days=expires_days)

    def copy_table(
        self, name: str, source: str, *, expires_days: int | None, clustered_by: str | None = None
    ) -> None:
        """Create the table `name` with the rows of `source` (both dataset.table); else as `load_table`."""
        target, rows = quoted(self.project, name), quoted(self.project, source)
        options = merging.clustering(clustered_by)
        options += merging.expiry(None if expires_days is None else 24 * expires_days)
        with _reporting(f"copy of {source} to {name}"):
            self._run(
                f"CREATE TABLE IF NOT EXISTS {target}{options} AS\nSELECT * FROM {rows}",
                {},
            )

    def drop(self, table: str) -> None:
        """Drop a temporary table (dataset.table) that was kept; it may be gone. A failure is only logged."""
        self._drop(f"{self.project}.{table}")

    def table_exists(self, name: str) -> bool:
        """Return whether the table `name` (dataset.table) exists. Raises WarehouseError if that is unknown."""
        from google.api_core.exceptions import NotFound

        with _reporting(f"look for {name}"):
            try:
                self._client.get_table(f"{self.project}.{name}", **_bounds())
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
        with _reporting(f"read of {table}"):
            return self._read(table, columns=columns, where=where or "")

    def _read(self, name: str, *, columns: Sequence[str] | None, where: str) -> pa.Table:
        import pyarrow as pa

        schema, batches = self._batches(name, columns=columns, where=where)
        rows = pa.Table.from_batches(batches, schema)
        return rows.select(list(columns)) if columns else rows

    def _batches(
        self, name: str, *, columns: Sequence[str] | None, where: str
    ) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Return the schema of a table's rows, and its record batches, which are received as they are iterated."""
        import pyarrow as pa
        from google.cloud.bigquery_storage_v1 import types

        options = types.ReadSession.TableReadOptions(
            selected_fields=list(columns or ()), row_restriction=where
        )
        dataset, table = name.split(".")
        session = self._reader.create_read_session(
            parent=f"projects/{self.project}",
            read_session=types.ReadSession(
                table=f"projects/{self.project}/datasets/{dataset}/tables/{table}",
                data_format=types.DataFormat.ARROW,
                read_options=options,
            ),
            max_stream_count=1,
            timeout=CALL_SECONDS,
            retry=_read_retry(),
        )
        schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))

        def received() -> Iterator[pa.RecordBatch]:
            for stream in session.streams:  # an empty table has none
                parts = self._reader.read_rows(  # type: ignore[no-untyped-call]
                    stream.name, timeout=JOB_SECONDS, retry=_read_retry()
                )
                for part in parts:
                    data = pa.py_buffer(part.arrow_record_batch.serialized_record_batch)
                    yield pa.ipc.read_record_batch(data, schema)

        return schema, received()

    def _load(self, name: str, rows: pa.Table, *, hours: int) -> None:
        """Create a staging table from the rows."""
        import pyarrow.parquet as pq

        file = io.BytesIO()
        pq.write_table(rows, file, coerce_timestamps="us", allow_truncated_timestamps=True)
        file.seek(0)
        self._load_file(name, file, rows.schema, hours=hours)

    def _load_file(self, name: str, file: IO[bytes], schema: pa.Schema, *, hours: int) -> None:
        """Create a staging table from the rows of a Parquet file."""
        from google.cloud import bigquery

        self._run(merging.create_sql(quoted(self.project, name), schema, hours), {})
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
        )
        job = self._client.load_table_from_file(
            file, f"{self.project}.{name}", job_config=config, timeout=CALL_SECONDS
        )
        job.result(timeout=JOB_SECONDS, retry=_bounds()["retry"])

    def _run(self, text: str, parameters: dict[str, Any]) -> bigquery.table.RowIterator:
        """Run a statement, wait for it and return its rows."""
        return self._wait(self._start(text, parameters))

    def _change(self, text: str, parameters: dict[str, Any]) -> int:
        """Run a statement that changes rows, and return how many it changed."""
        job = self._start(text, parameters)
        self._wait(job)
        return int(job.num_dml_affected_rows or 0)

    def _start(self, text: str, parameters: dict[str, Any]) -> bigquery.QueryJob:
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(query_parameters=query_parameters(parameters))
        # With any job_retry, the client would go on for twenty minutes when the service does not answer.
        return self._client.query(text, job_config=config, job_retry=None, **_bounds())

    def _wait(self, job: bigquery.QueryJob) -> bigquery.table.RowIterator:
        retry = _bounds()["retry"]
        return job.result(timeout=JOB_SECONDS, retry=retry, job_retry=_job_retry())

    @contextmanager
    def _scratch(self, dataset: str, *, kept: bool = False) -> Iterator[str]:
        """Yield a unique table name, and drop that table afterwards; if this process is killed, the table expires.

        kept: the table is only dropped after an error.
        """
        name = f"{dataset}.staging_{uuid.uuid4().hex}"
        done = False
        try:
            yield name
            done = True
        finally:
            if not (kept and done):
                self._drop(f"{self.project}.{name}")

    def _drop(self, table: str) -> None:
        """Drop a temporary table. A failure is only logged: it must hide no other error, and the table expires."""
        from google.cloud.bigquery.retry import DEFAULT_RETRY

        try:
            with _reporting(f"drop of {table}"):
                self._client.delete_table(
                    table,
                    not_found_ok=True,
                    timeout=DROP_SECONDS,
                    retry=DEFAULT_RETRY.with_timeout(0),
                )
        except WarehouseError as exc:
            log("WARNING", f"{exc}; the table expires within {merging.STAGING_HOURS} hours")


def _bounds() -> dict[str, Any]:
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    return {"timeout": CALL_SECONDS, "retry": DEFAULT_RETRY.with_timeout(RETRY_SECONDS)}


def _job_retry() -> Any:
    from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY

    return DEFAULT_JOB_RETRY.with_timeout(RETRY_SECONDS)


def _read_retry() -> Any:
    """Retry an unavailable Storage Read API for RETRY_SECONDS; the client's own default is up to a day."""
    from google.api_core.exceptions import ServiceUnavailable
    from google.api_core.retry import Retry, if_exception_type

    return Retry(predicate=if_exception_type(ServiceUnavailable), timeout=RETRY_SECONDS)


@contextmanager
def _reporting(doing: str) -> Iterator[None]:
    """Turn the clients' exceptions into a WarehouseError that says what was being done."""
    from concurrent.futures import TimeoutError as FutureTimeout

    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, RequestException, FutureTimeout) as exc:
        # A RetryError only says how long was tried; its cause says what failed.
        told = getattr(exc, "cause", None) or exc
        message = getattr(told, "message", None) or str(told) or type(told).__name__
        raise WarehouseError(f"{doing}: {message}") from exc


def _frame(rows: pa.Table) -> pd.DataFrame:
    """Return Arrow rows as a data frame, with all times in UTC and microseconds."""
    builder = FrameBuilder(rows.schema)
    for batch in rows.to_batches():
        builder.add(batch)
    return builder.build()
