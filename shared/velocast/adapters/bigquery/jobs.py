"""Query and load jobs, and the temporary tables that they fill."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

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

    def load(self, name: str, rows: pa.Table, *, hours: int) -> None:
        """Create a staging table from the rows, or add them to it. hours: until it expires."""
        import pyarrow.parquet as pq

        file = io.BytesIO()
        pq.write_table(rows, file, coerce_timestamps="us", allow_truncated_timestamps=True)
        file.seek(0)
        self.load_file(name, file, rows.schema, hours=hours)

    def load_file(self, name: str, file: IO[bytes], schema: pa.Schema, *, hours: int) -> None:
        """Create a staging table from the rows of a Parquet file, or add them to it. hours: until it expires."""
        from google.cloud import bigquery

        self.run(create_sql(quoted(self.project, name), schema, hours), {})
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
        )
        job = self.client.load_table_from_file(
            file, f"{self.project}.{name}", job_config=config, timeout=CALL_SECONDS
        )
        job.result(timeout=JOB_SECONDS, retry=call_bounds()["retry"])

    def run(self, text: str, parameters: dict[str, Any]) -> bigquery.table.RowIterator:
        """Run a statement, wait for it and return its rows."""
        return self._wait(self._start(text, parameters))

    def change(self, text: str, parameters: dict[str, Any]) -> int:
        """Run a statement that changes rows, and return how many it changed."""
        job = self._start(text, parameters)
        self._wait(job)
        return int(job.num_dml_affected_rows or 0)

    def _start(self, text: str, parameters: dict[str, Any]) -> bigquery.QueryJob:
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(query_parameters=query_parameters(parameters))
        # With any job_retry, the client would go on for twenty minutes when the service does not answer.
        return self.client.query(text, job_config=config, job_retry=None, **call_bounds())

    def _wait(self, job: bigquery.QueryJob) -> bigquery.table.RowIterator:
        retry = call_bounds()["retry"]
        return job.result(timeout=JOB_SECONDS, retry=retry, job_retry=job_retry())

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
