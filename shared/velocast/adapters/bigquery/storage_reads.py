"""Large reads through the Storage Read API, as Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from velocast.adapters.bigquery.failures import CALL_SECONDS, JOB_SECONDS, read_retry

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient


def read_arrow(
    reader: BigQueryReadClient,
    project: str,
    name: str,
    *,
    columns: Sequence[str] | None,
    where: str,
) -> pa.Table:
    """Return the rows of a table (dataset.table). where: a SQL condition; empty for all."""
    import pyarrow as pa

    schema, batches = record_batches(reader, project, name, columns=columns, where=where)
    rows = pa.Table.from_batches(batches, schema)
    return rows.select(list(columns)) if columns else rows


def record_batches(
    reader: BigQueryReadClient,
    project: str,
    name: str,
    *,
    columns: Sequence[str] | None,
    where: str,
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Return the schema of a table's rows, and its record batches, which are received as they are iterated."""
    import pyarrow as pa
    from google.cloud.bigquery_storage_v1 import types

    options = types.ReadSession.TableReadOptions(
        selected_fields=list(columns or ()), row_restriction=where
    )
    dataset, table = name.split(".")
    session = reader.create_read_session(
        parent=f"projects/{project}",
        read_session=types.ReadSession(
            table=f"projects/{project}/datasets/{dataset}/tables/{table}",
            data_format=types.DataFormat.ARROW,
            read_options=options,
        ),
        max_stream_count=1,
        timeout=CALL_SECONDS,
        retry=read_retry(),
    )
    schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))

    def received() -> Iterator[pa.RecordBatch]:
        for stream in session.streams:  # an empty table has none
            parts = reader.read_rows(  # type: ignore[no-untyped-call]
                stream.name, timeout=JOB_SECONDS, retry=read_retry()
            )
            for part in parts:
                data = pa.py_buffer(part.arrow_record_batch.serialized_record_batch)
                yield pa.ipc.read_record_batch(data, schema)

    return schema, received()
