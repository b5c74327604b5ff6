"""Prepares the SQL files of `velocast/sql` for execution, and turns Python values into query parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from itertools import dropwhile
from numbers import Integral, Real
from typing import IO, TYPE_CHECKING, Any

from velocast.adapters.bigquery.staging import sql_type
from velocast.core import schemas
from velocast.core.errors import WarehouseError

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud import bigquery

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_STATEMENT = re.compile(r"\{([a-z][a-z0-9_]*)\.sql\}")
_TABLE_NAME = re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9_]+")
# Up to so many rows are passed with a statement; a staging table for them would take a CREATE, a load and a DROP.
PASSED_ROWS, PASSED_BYTES = 100, 100_000
NAMES: Mapping[str, str] = {name.split(".")[1]: name for name in schemas.TABLES}


@dataclass(frozen=True)
class Empty:
    """An empty array parameter of a BigQuery type such as DATE or STRING, which an empty list cannot state."""

    type: str


@dataclass(frozen=True)
class RowsParameter:
    """Rows as one parameter: an array with a struct for each, whose fields have the columns' names and types."""

    table: pa.Table


def are_few(rows: pa.Table) -> bool:
    """Return whether rows are so few that they are passed with a statement."""
    return bool(rows.num_rows <= PASSED_ROWS and rows.nbytes <= PASSED_BYTES)


def read_few(file: IO[bytes]) -> RowsParameter | None:
    """Return the rows of a Parquet file if they are few, else None and the file at its start."""
    import pyarrow.parquet as pq

    few = pq.read_metadata(file).num_rows <= PASSED_ROWS
    file.seek(0)
    if few and are_few(rows := pq.read_table(file)):
        return RowsParameter(rows)
    file.seek(0)
    return None


def statement(
    name: str, project: str, tables: Mapping[str, str | RowsParameter] | None = None
) -> str:
    """Return the text of `velocast/sql/<name>.sql`, with tables in place of `{counts}`, `{forecasts}` and so on.

    `{other.sql}` is replaced by the text of that file, so that one definition serves two statements. tables:
    placeholder to dataset.table, or to rows that are passed as the parameter of that name; overrides or extends those
    of `schemas.TABLES`.
    Raises WarehouseError if there is no such file or no such table.
    """
    known: dict[str, str | RowsParameter] = {**NAMES, **(tables or {})}

    def fill(match: re.Match[str]) -> str:
        if match[1] not in known:
            raise WarehouseError(
                f"sql/{name}.sql: unknown table {match[0]}; pass it in `tables`, or use one of {sorted(known)}"
            )
        table = known[match[1]]
        if isinstance(table, RowsParameter):
            return unnested(match[1], table.table.column_names)
        return quoted(project, table)

    return _PLACEHOLDER.sub(fill, _STATEMENT.sub(_included, text(name)))


def _included(match: re.Match[str]) -> str:
    """Return the text of a file that another one includes, without the comment at its head."""
    lines = text(match[1]).splitlines()
    return "\n".join(dropwhile(lambda line: line.startswith("--"), lines))


@cache
def text(name: str) -> str:
    """Return the text of `velocast/sql/<name>.sql`. Raises WarehouseError if there is no such file."""
    try:
        return files("velocast").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise WarehouseError(f"there is no file velocast/sql/{name}.sql") from exc


def quoted(project: str, name: str) -> str:
    """Return `project.dataset.table` in backticks. Raises WarehouseError unless `name` is dataset.table."""
    if not _TABLE_NAME.fullmatch(name):
        raise WarehouseError(f"{name!r} is not a table name; write dataset.table")
    return f"`{project}.{name}`"


def unnested(parameter: str, columns: Iterable[str]) -> str:
    """Return what a statement selects the columns of a RowsParameter from."""
    names = ", ".join(f"given.{column} AS {column}" for column in columns)
    return f"(SELECT {names} FROM UNNEST(@{parameter}) AS given)"  # noqa: S608


def text_literal(value: str) -> str:
    """Return a text as a SQL literal, for conditions that take no parameters."""
    escaped = (
        value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    )
    return f"'{escaped}'"


def query_parameters(
    values: Mapping[str, Any],
) -> list[bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter]:
    """Return query parameters whose types follow from their Python values.

    Lists, tuples, sets and a RowsParameter become arrays.
    Raises WarehouseError for None, an empty list (pass Empty), a time without a zone, or a type BigQuery lacks.
    """
    return [_parameter(name, value) for name, value in values.items()]


def _parameter(name: str, value: Any) -> Any:
    from google.cloud import bigquery

    if isinstance(value, Empty):
        return bigquery.ArrayQueryParameter(name, value.type, [])
    if isinstance(value, RowsParameter):
        return _structs(name, value.table)
    if isinstance(value, str) or not isinstance(value, Iterable):
        return bigquery.ScalarQueryParameter(name, _type(name, value), value)
    items = list(value)
    if not items:
        raise WarehouseError(
            f"parameter @{name} is an empty list, which has no type; pass Empty with one, such as Empty('DATE')"
        )
    return bigquery.ArrayQueryParameter(name, _type(name, items[0]), items)


def _structs(name: str, rows: pa.Table) -> bigquery.ArrayQueryParameter:
    from google.cloud import bigquery

    kinds = {field.name: sql_type(field.type) for field in rows.schema}
    # stated also for an array without elements, which does not show its type
    fields = [
        bigquery.ScalarQueryParameterType(kind, name=column)  # type: ignore[no-untyped-call]
        for column, kind in kinds.items()
    ]
    struct = bigquery.StructQueryParameterType(*fields)  # type: ignore[no-untyped-call]
    values = [
        bigquery.StructQueryParameter(
            None,
            *(
                bigquery.ScalarQueryParameter(column, kinds[column], row[column])
                for column in kinds
            ),
        )
        for row in rows.to_pylist()
    ]
    return bigquery.ArrayQueryParameter(name, struct, values)


def _type(name: str, value: Any) -> str:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise WarehouseError(f"parameter @{name}: {value} has no zone; pass an aware time")
    # The order matters: a bool is also an int, and a datetime is also a date.
    kinds = (
        (bool, "BOOL"),
        (Integral, "INT64"),
        (Real, "FLOAT64"),
        (str, "STRING"),
        (datetime, "TIMESTAMP"),
        (date, "DATE"),
    )
    for kind, type_name in kinds:
        if isinstance(value, kind):
            return type_name
    raise WarehouseError(
        f"parameter @{name}: {type(value).__name__} {value!r} cannot be a BigQuery parameter; "
        "pass str, int, float, bool, datetime, date or a list of those"
    )
