"""The parts of a MERGE: casts the rows and checks them against a table's schema, and writes the SQL statements.

The rows first go to a staging table, in which JSON is text and every column may be null: BigQuery refuses to load
Parquet into a REQUIRED column, so nulls are checked here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from velocast.core import schemas
from velocast.core.datetimes import rfc3339
from velocast.core.errors import WarehouseError

if TYPE_CHECKING:
    import pyarrow as pa

STAGING_HOURS = 24
_SQL_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "JSON": "STRING"}


@dataclass(frozen=True)
class Merge:
    """The role of each column in a MERGE.

    `keys` identify a row, `compared` decide whether it changed, and `insert_only` are never written to an existing row.
    The other columns are written when a row changed, but do not count as a change. `replaced`: for a column, the stored
    values, besides null, that may be written over; any other stays.
    """

    table: schemas.Table
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    compared: tuple[str, ...]
    insert_only: tuple[str, ...]
    replaced: Mapping[str, Sequence[str]]

    @classmethod
    def of(
        cls,
        table: schemas.Table,
        columns: Sequence[str],
        keys: Sequence[str],
        update: Sequence[str] | None,
        insert_only: Sequence[str],
        replaced: Mapping[str, Sequence[str]] | None = None,
    ) -> Merge:
        """Check the names against the rows' columns. If `update` is None, all but keys and insert_only are compared."""
        fixed = {*keys, *insert_only}
        compared = [c for c in columns if c not in fixed] if update is None else update
        if unknown := {*keys, *compared, *insert_only} - {*columns}:
            raise WarehouseError(
                f"merge into {table.name}: the rows have no column {sorted(unknown)}; they have {list(columns)}"
            )
        if both := fixed & {*compared}:
            raise WarehouseError(
                f"merge into {table.name}: {sorted(both)} cannot be updated, because it is in keys or insert_only"
            )
        return cls(
            table, tuple(columns), tuple(keys), tuple(compared), tuple(insert_only), replaced or {}
        )

    @cached_property
    def written(self) -> tuple[str, ...]:
        """The columns that are written to a changed row."""
        return tuple(c for c in self.columns if c not in {*self.keys, *self.insert_only})

    def count_sql(self, target: str, staging: str, bounds: str) -> str:
        """Return the query that counts what the MERGE would insert and update, as `inserted` and `updated`."""
        new = f"T.{self.keys[0]} IS NULL"
        lines = (
            f"SELECT COUNTIF({new}) AS inserted,",
            f"COUNTIF(NOT ({new}) AND ({self.changed()})) AS updated",
            f"FROM {staging} AS S",
            f"LEFT JOIN (SELECT * FROM {target} AS T WHERE {bounds}) AS T",  # noqa: S608
            f"ON {self.same_key()}",
        )
        return "\n".join(lines)

    def merge_sql(
        self, target: str, staging: str, bounds: str, *, inserts_only: bool = False
    ) -> str:
        """Return the MERGE. `bounds`: a constant predicate on the partitions, so that only those are read."""
        names = ", ".join(self.columns)
        values = ", ".join(self._value(c) for c in self.columns)
        update = ", ".join(f"{c} = {self.new_value(c)}" for c in self.written)
        lines = (
            f"MERGE {target} AS T",
            f"USING {staging} AS S",
            f"ON {bounds} AND {self.same_key()}",
            f"WHEN MATCHED AND ({self.changed()}) THEN UPDATE SET {update}"
            if self.compared and not inserts_only
            else "",
            f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})",  # noqa: S608
        )
        return "\n".join(filter(None, lines))

    def same_key(self) -> str:
        """Return the condition on T and S that both are the same row."""
        return " AND ".join(f"T.{k} = S.{k}" for k in self.keys)

    def changed(self) -> str:
        """Return the condition on T and S under which a stored row changes."""
        return " OR ".join(self._differs(c) for c in self.compared) or "FALSE"

    def _differs(self, column: str) -> str:
        if self._type(column) == "JSON":
            staged = f"TO_JSON_STRING({self._value(column)})"
            return f"TO_JSON_STRING(T.{column}) IS DISTINCT FROM {staged}"
        differs = f"T.{column} IS DISTINCT FROM S.{column}"
        return (
            f"({self._may_replace(column)} AND {differs})" if column in self.replaced else differs
        )

    def new_value(self, column: str) -> str:
        """Return the value that a column of a changed row gets."""
        value = self._value(column)
        if column not in self.replaced:
            return value
        return f"IF({self._may_replace(column)}, {value}, T.{column})"

    def _may_replace(self, column: str) -> str:
        values = ", ".join(f"'{value}'" for value in self.replaced[column])
        return f"(T.{column} IS NULL OR T.{column} IN ({values}))"

    def _value(self, column: str) -> str:
        return (
            f"PARSE_JSON(S.{column}, wide_number_mode => 'round')"
            if self._type(column) == "JSON"
            else f"S.{column}"
        )

    def _type(self, column: str) -> str:
        return next(f.type for f in self.table.fields if f.name == column)


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


def partition_bounds(table: schemas.Table, rows: pa.Table) -> str:
    """Return a constant predicate on T's partitions from the rows' first and last value; TRUE if T has none."""
    if table.partition_field is None:
        return "TRUE"
    import pyarrow.compute as pc

    ends = pc.min_max(rows[table.partition_field])
    first, last = (f"TIMESTAMP '{rfc3339(ends[end].as_py())}'" for end in ("min", "max"))
    return f"T.{table.partition_field} >= {first} AND T.{table.partition_field} <= {last}"


def create_sql(name: str, rows: pa.Schema, hours: int | None) -> str:
    """Return the statement that creates an empty table with the rows' columns, if it does not exist yet.

    hours: after which the table expires; None: never.
    """
    columns = ", ".join(f"{field.name} {_sql_type(field.type)}" for field in rows)
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


def _sql_type(kind: pa.DataType) -> str:
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
