"""The SQL statements of a MERGE, from the role of each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from velocast.core import schemas
from velocast.core.datetimes import rfc3339
from velocast.core.errors import WarehouseError

if TYPE_CHECKING:
    import pyarrow as pa


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


def partition_bounds(table: schemas.Table, rows: pa.Table) -> str:
    """Return a constant predicate on T's partitions from the rows' first and last value; TRUE if T has none."""
    if table.partition_field is None:
        return "TRUE"
    import pyarrow.compute as pc

    ends = pc.min_max(rows[table.partition_field])
    first, last = (f"TIMESTAMP '{rfc3339(ends[end].as_py())}'" for end in ("min", "max"))
    return f"T.{table.partition_field} >= {first} AND T.{table.partition_field} <= {last}"
