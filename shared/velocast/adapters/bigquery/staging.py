"""Staging tables: the statements that make them, and rows cast to a table's schema and checked against it.

In a staging table, JSON is text and every column may be null: BigQuery refuses to load Parquet into a REQUIRED column,
so nulls are checked here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from velocast.core import schemas
from velocast.core.errors import WarehouseError

if TYPE_CHECKING:
    import pyarrow as pa

STAGING_HOURS = 24


def staged(table: schemas.Table, rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return the rows with the table's column order and types, JSON as text.

    Raises WarehouseError for a column that the table lacks, a value that does not fit its type, a null in a REQUIRED
    column, text that is not JSON, or two rows with the same key (BigQuery would refuse them, or store both).
    """
    import pyarrow as pa

    if unknown := set(rows.column_names) - set(table.columns):
        raise WarehouseError(f"rows for {table.name}: it has no column {sorted(unknown)}")
    fields = [f for f in table.fields if f.name in rows.column_names]
    columns = {f.name: _column(table, f, rows[f.name]) for f in fields}
    missing = [f.name for f in table.fields if f.mode == "REQUIRED" and f.name not in columns]
    if missing:
        raise WarehouseError(f"rows for {table.name}: column {missing} is required and missing")
    result = pa.table(columns)
    _refuse_repeated(table, result, keys)
    return result


def _column(table: schemas.Table, field: schemas.Field, values: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    if field.type == "TIMESTAMP" and pa.types.is_timestamp(values.type) and not values.type.tz:
        raise WarehouseError(
            f"rows for {table.name}: times of {field.name} have no time zone; make them UTC"
        )
    try:
        column = _without_nan(values.cast(schemas.arrow_type(field.type)))
        if field.type == "JSON":
            column = pa.chunked_array([[_canonical(v) for v in column.to_pylist()]], pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as exc:
        raise WarehouseError(
            f"rows for {table.name}: {field.name} ({field.type}) cannot hold the values: {exc}"
        ) from exc
    if field.mode == "REQUIRED" and column.null_count:
        raise WarehouseError(
            f"rows for {table.name}: {field.name} is required, but null in {column.null_count} of "
            f"{len(column)} rows"
        )
    return column


def _without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the column with nulls for NaN, so that absence is written in one way (NaN would differ from itself)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


def _canonical(text: str | None) -> str | None:
    """Return JSON in canonical form. Raises ValueError for NaN too, which Python's parser would accept."""
    return (
        None if text is None else json.dumps(json.loads(text), ensure_ascii=False, allow_nan=False)
    )


def _refuse_repeated(table: schemas.Table, rows: pa.Table, keys: Sequence[str]) -> None:
    import pyarrow.compute as pc

    if not keys:
        raise WarehouseError(f"rows for {table.name}: no key columns given")
    for key in keys:
        if rows[key].null_count:
            raise WarehouseError(
                f"rows for {table.name}: key {key} is null in {rows[key].null_count} rows"
            )
    groups = rows.group_by(list(keys)).aggregate([([], "count_all")])
    if groups.num_rows < rows.num_rows:
        first = groups.filter(pc.greater(groups["count_all"], 1)).slice(0, 1).to_pylist()[0]
        shown = {k: str(first[k]) for k in keys}
        raise WarehouseError(
            f"rows for {table.name}: {rows.num_rows - groups.num_rows} of {rows.num_rows} repeat a key, "
            f"first {shown}; pass one row per key"
        )


def create_sql(name: str, rows: pa.Schema, hours: int | None) -> str:
    """Return the statement that creates an empty table with the rows' columns, if it does not exist yet.

    hours: after which the table expires; None: never.
    """
    columns = ", ".join(f"{field.name} {sql_type(field.type)}" for field in rows)
    return f"CREATE TABLE IF NOT EXISTS {name} ({columns}){expiry(hours)}"


def clustering(column: str | None) -> str:
    """Return the clause of a table whose rows are stored by a column, so that reading a range of it reads no others."""
    return f"\nCLUSTER BY {column}" if column else ""


def expiry(hours: int | None) -> str:
    """Return the OPTIONS of a table that expires after so many hours, measured by the service's clock."""
    if hours is None:
        return ""
    moment = f"TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL {hours} HOUR)"
    return f"\nOPTIONS(expiration_timestamp = {moment})"


def sql_type(kind: pa.DataType) -> str:
    """Return the name of BigQuery's type for an Arrow type. Raises WarehouseError if there is none."""
    import pyarrow.types as t

    if t.is_timestamp(kind) and kind.tz:
        return "TIMESTAMP"
    if t.is_date(kind):
        return "DATE"
    if t.is_boolean(kind):
        return "BOOL"
    if t.is_integer(kind):
        return "INT64"
    if t.is_floating(kind):
        return "FLOAT64"
    if t.is_string(kind) or t.is_large_string(kind) or t.is_dictionary(kind):
        return "STRING"
    raise WarehouseError(f"Arrow type {kind} has no equivalent in BigQuery; cast the column first")
