"""Corrections of bqemulator 1.4 where it differs from BigQuery, or is slow; each says what was wrong without it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from bqemulator.api.routes import jobs, tables, upload
from bqemulator.catalog import ddl_sync
from bqemulator.catalog.duckdb_repository import DuckDBCatalogRepository
from bqemulator.domain.events import TableDataChanged
from bqemulator.domain.result import Ok
from bqemulator.grpc_api import read_servicer
from bqemulator.jobs import executor
from bqemulator.sql.translator import SQLTranslator
from bqemulator.storage.engine import DuckDBEngine
from bqemulator.storage.sql_identifiers import quoted_table_ref
from bqemulator.streaming import read_session
from bqemulator.streaming.read_session import get_stream_data
from bqemulator.versioning.snapshots import SnapshotManager
from google.cloud.bigquery_storage_v1.types import CreateReadSessionRequest, ReadRowsRequest
from sqlglot.expressions import Alter

from gcp_emulators.bigquery.connections import connect_each_thread
from gcp_emulators.bigquery.query_parameters import correct_parameters
from gcp_emulators.bigquery.responses import correct_responses
from gcp_emulators.bigquery.results import RecentResults
from gcp_emulators.bigquery.running_jobs import DEFAULT_SECONDS
from gcp_emulators.bigquery.statements import work_once_per_statement

if TYPE_CHECKING:
    from bqemulator.api.dependencies import AppContext

MESSAGE_ROWS = 4096  # of the Storage Read API

# DuckDB keeps temporary macros for each connection.
_FORMAT_MACRO = (
    "CREATE OR REPLACE TEMP MACRO format_timestamp_plainly(format, instant, zone) AS "
    "strftime(instant AT TIME ZONE zone, format)"
)


def apply_corrections(
    discovery_file: Path | None,
    *,
    threads: int | None = None,
    default_wait: float = DEFAULT_SECONDS,
) -> None:
    """Replace classes and functions of bqemulator in this process; call it once, before bqemulator starts.

    discovery_file: the description of BigQuery's API that `bq` requests; None without the Google Cloud SDK.
    threads: how many DuckDB may use; None leaves it the number of cores. default_wait: the seconds that a request for
    results waits whose client gives no time; BigQuery waits 10.
    """
    if threads is not None:
        _limit_threads(threads)
    _accept_any_media_type()
    _load_parquet_by_name()
    _load_all_or_nothing()
    _keep_no_snapshots()
    _forget_old_results()
    _keep_jobs_in_memory()
    correct_parameters()
    _tell_of_altered_columns()
    _format_timestamps_in_duckdb()
    connect_each_thread(lambda connection: connection.execute(_FORMAT_MACRO))
    work_once_per_statement()
    _read_in_pieces()
    _read_results()
    correct_responses(discovery_file, default_wait)


def _limit_threads(threads: int) -> None:
    prepare = DuckDBEngine._apply_session_pragmas

    def prepare_limited(self: DuckDBEngine) -> None:
        prepare(self)
        self.execute(f"SET threads = {threads}")

    _replace(DuckDBEngine, "_apply_session_pragmas", prepare_limited)


def _accept_any_media_type() -> None:
    """The Python client uploads as `*/*`, and every small load was refused with 400."""
    permitted = (*upload._PERMITTED_MEDIA_CONTENT_TYPES, "*/*")
    _replace(upload, "_PERMITTED_MEDIA_CONTENT_TYPES", permitted)


def _read_in_pieces() -> None:
    """ReadRows ignored the offset: a client that reconnects after a broken stream got its rows twice.

    Its messages had 65,536 rows, 26 MB of a wide table. BigQuery's are about a megabyte; with messages of that size, a
    client takes as much memory here as in production.
    """
    read_all = read_servicer.BigQueryReadHandler._handle_read_rows
    asked = threading.local()  # one thread answers one call

    def read_rows(self: Any, request: bytes, context: Any) -> Iterator[bytes]:
        asked.offset = ReadRowsRequest.deserialize(request).offset
        yield from read_all(self, request, context)

    def rest_of_stream(session: str, stream: str) -> Any:
        rows = get_stream_data(session, stream)
        if rows is None:
            return None
        batches = rows.slice(asked.offset).to_batches(max_chunksize=MESSAGE_ROWS)
        return pa.Table.from_batches(batches, rows.schema)

    _replace(read_servicer.BigQueryReadHandler, "_handle_read_rows", read_rows)
    _replace(read_servicer, "get_stream_data", rest_of_stream)


def _read_results() -> None:
    """Jobs named the anonymous table that holds their result, but the Storage Read API did not find it."""
    create = read_servicer.BigQueryReadHandler._handle_create_read_session

    def create_session(self: Any, request: bytes, context: Any) -> bytes:
        named = CreateReadSessionRequest.deserialize(request).read_session.table
        table = named.rpartition("/")[2]
        rows = executor.JOB_RESULTS.of_table(table)  # type: ignore[attr-defined]
        if rows is None:
            return create(self, request, context)
        connection = self._ctx.engine.connection
        connection.register(table, rows)
        try:
            return create(self, request, context)
        finally:
            connection.unregister(table)

    def quoted_result(project: str, dataset: str, table: str) -> str:
        if dataset == executor._ANONYMOUS_RESULTS_DATASET:
            return f'"{table}"'
        return quoted_table_ref(project, dataset, table)

    _replace(read_servicer.BigQueryReadHandler, "_handle_create_read_session", create_session)
    _replace(read_servicer, "quoted_table_ref", quoted_result)


def _load_parquet_by_name() -> None:
    """Parquet columns were matched by position: a file with another column order wrote swapped values."""

    def load_parquet(path: str, target_ref: str, ctx: AppContext) -> None:
        sql = f"INSERT INTO {target_ref} BY NAME SELECT * FROM read_parquet(?)"
        ctx.engine.execute(sql, [path])

    executor._load_parquet = load_parquet
    executor._LOAD_FORMAT_HANDLERS["PARQUET"] = load_parquet


def _load_all_or_nothing() -> None:
    """A WRITE_TRUNCATE load that failed left the table empty; now deletion and load are one transaction."""
    prepare = executor._apply_load_write_disposition
    load = executor._load_path_into_target

    def prepare_without_truncating(job: Any, ctx: AppContext) -> None:
        if job.write_disposition != "WRITE_TRUNCATE":
            prepare(job, ctx)

    def load_in_transaction(path: str, job: Any, ctx: AppContext) -> None:
        first = executor._resolve_uri(job.source_uris[0], ctx)
        ctx.engine.execute("BEGIN TRANSACTION")
        try:
            if job.write_disposition == "WRITE_TRUNCATE" and path == first:
                ctx.engine.execute(f"DELETE FROM {job.target_ref}")
            load(path, job, ctx)
        except Exception:
            ctx.engine.execute("ROLLBACK")
            raise
        ctx.engine.execute("COMMIT")

    executor._apply_load_write_disposition = prepare_without_truncating
    executor._load_path_into_target = load_in_transaction


def _keep_no_snapshots() -> None:
    """Every write copied the whole table, for time travel, and kept the copy for a week. Disables time travel."""

    def record_change(
        self: SnapshotManager, project_id: str, dataset_id: str, table_id: str
    ) -> None:
        self._events.publish(TableDataChanged(project_id, dataset_id, table_id))

    _replace(SnapshotManager, "record_change", record_change)


def _forget_old_results() -> None:
    """The result of every query and the rows of every read stayed in memory: a long run grew by gigabytes."""
    results = RecentResults(executor.JOB_RESULTS)
    for module in (executor, jobs, tables):
        _replace(module, "JOB_RESULTS", results)
    sessions = RecentResults(size=lambda session: int(session.table.nbytes))
    _replace(read_session, "_SESSIONS", sessions)


def _keep_jobs_in_memory() -> None:
    """Each state of each job was written to DuckDB, which took a seventh of the run time.

    The results of jobs are held in memory only, so a job that survived a restart would be of no use.
    """
    _replace(DuckDBCatalogRepository, "_write_job", lambda _self, _job: None)


def _tell_of_altered_columns() -> None:
    """ALTER TABLE added and dropped columns, but the table's schema, as the API tells it, stayed as it was."""
    sync_created = ddl_sync.sync_created_table

    def sync_altered(bq_sql: str, project_id: str, ctx: AppContext) -> None:
        sync_created(bq_sql, project_id, ctx)
        statement = executor._parse_for_classification(bq_sql)
        if not isinstance(statement, Alter):
            return
        names = ddl_sync._split_target(statement.this, project_id)
        known = ctx.catalog.get_table(*names)
        if known is None:
            return
        told = {field.name: field for field in known.schema_.fields}
        found = ddl_sync._introspect_schema(*names, ctx).fields
        fields = tuple(told.get(field.name, field) for field in found)
        schema = known.schema_.model_copy(update={"fields": fields})
        ctx.catalog.update_table(known.model_copy(update={"schema_": schema}))

    _replace(executor, "sync_created_table", sync_altered)


def _format_timestamps_in_duckdb() -> None:
    """FORMAT_TIMESTAMP with a zone called Python for each row, which took most of the time of the features' query.

    Formats of year, month, day, hour, minute and second mean the same to DuckDB.
    """
    register = DuckDBEngine._register_builtin_udfs
    translate = SQLTranslator.translate
    plain = re.compile(r"\bbqemu_format_timestamp_iso\((?='(?:%[YmdHMS]|[-:T ])+',)", re.IGNORECASE)

    def register_macro(self: DuckDBEngine) -> None:
        register(self)
        self.execute(_FORMAT_MACRO)

    def translate_formats(self: SQLTranslator, bq_sql: str, **options: Any) -> Any:
        told = translate(self, bq_sql, **options)
        if not isinstance(told, Ok):
            return told
        return Ok(plain.sub("format_timestamp_plainly(", told.value))

    _replace(DuckDBEngine, "_register_builtin_udfs", register_macro)
    _replace(SQLTranslator, "translate", translate_formats)


def _replace(module: Any, name: str, replacement: Any) -> None:
    setattr(module, name, replacement)
