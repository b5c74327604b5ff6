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
from typing import TYPE_CHECKING, Any

from velocast.adapters.bigquery.staging import sql_type
from velocast.core import schemas
from velocast.core.errors import WarehouseError

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud import bigquery

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_STATEMENT = re.compile(r"\{([a-z][a-z0-9_]*)\.sql\}")
_TABLE_NAME = re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9_]+")
NAMES: Mapping[str, str] = {name.split(".")[1]: name for name in schemas.TABLES}


@dataclass(frozen=True)
class Empty:
    """An empty array parameter of a BigQuery type such as DATE or STRING, which an empty list cannot state."""

    type: str


@dataclass(frozen=True)
class RowsParameter:
    """Rows as one parameter: an array with a struct for each, whose fields have the columns' names and types."""

    table: pa.Table


def statement(name: str, project: str, tables: Mapping[str, str] | None = None) -> str:
    """Return the text of `velocast/sql/<name>.sql`, with tables in place of `{counts}`, `{forecasts}` and so on.

    `{other.sql}` is replaced by the text of that file, so that one definition serves two statements. tables:
    placeholder to dataset.table; overrides or extends those of `schemas.TABLES`.
    Raises WarehouseError if there is no such file or no such table.
    """
    known = {**NAMES, **(tables or {})}

    def fill(match: re.Match[str]) -> str:
        if match[1] not in known:
            raise WarehouseError(
                f"sql/{name}.sql: unknown table {match[0]}; pass it in `tables`, or use one of {sorted(known)}"
            )
        return quoted(project, known[match[1]])

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
        return bigquery.ArrayQueryParameter(name, "STRUCT", _structs(value.table))
    if isinstance(value, str) or not isinstance(value, Iterable):
        return bigquery.ScalarQueryParameter(name, _type(name, value), value)
    items = list(value)
    if not items:
        raise WarehouseError(
            f"parameter @{name} is an empty list, which has no type; pass Empty with one, such as Empty('DATE')"
        )
    return bigquery.ArrayQueryParameter(name, _type(name, items[0]), items)


def _structs(rows: pa.Table) -> list[bigquery.StructQueryParameter]:
    from google.cloud import bigquery

    kinds = {field.name: sql_type(field.type) for field in rows.schema}
    return [
        bigquery.StructQueryParameter(
            None,
            *(
                bigquery.ScalarQueryParameter(column, kinds[column], row[column])
                for column in kinds
            ),
        )
        for row in rows.to_pylist()
    ]


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
