"""Tables as the JSON files in `velocast/schemas` describe them; Terraform reads the same files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import pyarrow as pa

RAW = "bike_traffic_raw"
PREDICTIONS = "bike_traffic_predictions"
AUDIT = "monitoring_audit"

COUNTS = f"{RAW}.counts"
WEATHER = f"{RAW}.weather"
COUNTERS = f"{RAW}.counters"
REJECTS = f"{RAW}.rejects"
VERDICTS = f"{RAW}.verdicts"
REVISIONS = f"{RAW}.revisions"
CONTINUATIONS = f"{RAW}.continuations"
COUNT_ESTIMATES = f"{RAW}.count_estimates"
FORECASTS = f"{PREDICTIONS}.forecasts"
LOGS = f"{AUDIT}.logs"
TABLES = (
    COUNTS,
    WEATHER,
    COUNTERS,
    REJECTS,
    VERDICTS,
    REVISIONS,
    CONTINUATIONS,
    COUNT_ESTIMATES,
    FORECASTS,
    LOGS,
)


class Field(BaseModel):
    """One column of a table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: Literal["STRING", "INTEGER", "FLOAT", "BOOLEAN", "TIMESTAMP", "DATE", "JSON"]
    mode: Literal["REQUIRED", "NULLABLE"]
    description: str


class Table(BaseModel):
    """One table: `name` is dataset.table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    partition_field: str | None
    clustering: tuple[str, ...]
    fields: tuple[Field, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names in table order."""
        return tuple(field.name for field in self.fields)


def documents() -> dict[str, dict[str, Any]]:
    """Return every table's JSON document by `dataset.table`, in the order of TABLES."""
    return {name: _document(name) for name in TABLES}


def _document(name: str) -> dict[str, Any]:
    text = files("velocast").joinpath("schemas", f"{name}.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def arrow(name: str, columns: Sequence[str] | None = None) -> pa.Schema:
    """Return the Arrow schema of `dataset.table`: all its columns, or those given, in that order.

    Times are microseconds in UTC, JSON is text. Raises KeyError for a column that the table lacks.
    """
    import pyarrow as pa

    types = {field.name: arrow_type(field.type) for field in table(name).fields}
    return pa.schema([(column, types[column]) for column in columns or types])


def arrow_type(bigquery_type: str) -> pa.DataType:
    """Return the Arrow type in which values of a column of this type are loaded."""
    import pyarrow as pa

    return {
        "STRING": pa.string(),
        "INTEGER": pa.int64(),
        "FLOAT": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "TIMESTAMP": pa.timestamp("us", tz="UTC"),
        "DATE": pa.date32(),
        "JSON": pa.string(),
    }[bigquery_type]


@cache
def table(name: str) -> Table:
    """Read the schema of `dataset.table`, one of TABLES. Raises FileNotFoundError for another name."""
    return Table(name=name, **_document(name))
