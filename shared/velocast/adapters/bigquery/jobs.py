"""Query and load jobs, and the temporary tables that they fill."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, cast

from velocast.adapters import google_clients
from velocast.adapters.bigquery.failures import (
    CALL_SECONDS,
    DROP_SECONDS,
    JOB_SECONDS,
    call_bounds,
    job_retry,
    reporting,
)
from velocast.adapters.bigquery.sql_templates import query_parameters, quoted
from velocast.adapters.bigquery.staging import STAGING_HOURS, create_sql
from velocast.core.errors import WarehouseError
from velocast.core.telemetry import log

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud import bigquery


class Jobs:
    """The jobs of one project, whose datasets are in `location`. The client is created at first use.

    A failure is the client's own exception; `reporting` makes it a WarehouseError.
    """

    def __init__(self, project: str, location: str) -> None:
        self.project = project
        self.location = location

    @cached_property
    def client(self) -> bigquery.Client:
        """Google's client."""
        return google_clients.bigquery_client(self.project, self.location)

    def create(self, name: str, schema: pa.Schema, *, hours: int) -> None:
        """Create a staging table for such rows, unless it is there. hours: until it expires."""
        self.run(create_sql(quoted(self.project, name), schema, hours), {})

    def append(self, name: str, rows: pa.Table) -> None:
        """Add rows to a staging table."""
        import pyarrow.parquet as pq

        file = io.BytesIO()
        pq.write_table(rows, file, coerce_timestamps="us", allow_truncated_timestamps=True)
        file.seek(0)
        self.append_file(name, file)

    def append_file(self, name: str, file: IO[bytes]) -> None:
        """Add the rows of a Parquet file to a staging table."""
        from google.cloud import bigquery

        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
        )
        job = self.client.load_table_from_file(
            file, f"{self.project}.{name}", job_config=config, timeout=CALL_SECONDS
        )
        job.result(timeout=JOB_SECONDS, retry=call_bounds()["retry"])

    def run(
        self, text: str, parameters: dict[str, Any], *, page_rows: int | None = None
    ) -> bigquery.table.RowIterator:
        """Run a statement, wait for it and return its rows.

        The service answers a short one in the request that starts it. page_rows: the most that are in one answer.
        """
        from google.cloud import bigquery

        return self.client.query_and_wait(
            text,
            job_config=bigquery.QueryJobConfig(query_parameters=query_parameters(parameters)),
            api_timeout=CALL_SECONDS,
            wait_timeout=JOB_SECONDS,
            retry=call_bounds()["retry"],
            job_retry=job_retry(),
            page_size=page_rows,
        )

    def result_table(self, rows: bigquery.table.RowIterator) -> str:
        """Return the name (dataset.table) of the anonymous table in which BigQuery keeps the rows of a query."""
        job = self.client.get_job(rows.job_id or "", location=rows.location, **call_bounds())
        table = cast("bigquery.QueryJob", job).destination
        return f"{table.dataset_id}.{table.table_id}"

    def change(self, text: str, parameters: dict[str, Any]) -> int:
        """Run a statement that changes rows, and return how many it changed."""
        return self.run(text, parameters).num_dml_affected_rows or 0

    @contextmanager
    def scratch(self, dataset: str, *, kept: bool = False) -> Iterator[str]:
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
                self.drop(f"{self.project}.{name}")

    def drop(self, table: str) -> None:
        """Drop a temporary table. A failure is only logged: it must hide no other error, and the table expires."""
        from google.cloud.bigquery.retry import DEFAULT_RETRY

        try:
            with reporting(f"drop of {table}"):
                self.client.delete_table(
                    table,
                    not_found_ok=True,
                    timeout=DROP_SECONDS,
                    retry=DEFAULT_RETRY.with_timeout(0),
                )
        except WarehouseError as exc:
            log("WARNING", f"{exc}; the table expires within {STAGING_HOURS} hours")
