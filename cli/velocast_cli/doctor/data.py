"""The tables: their columns, and the age of counts and forecasts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from velocast.adapters.bigquery.sql_templates import quoted
from velocast.core import schemas
from velocast.core.datetimes import rfc3339
from velocast_cli.doctor.deployment import deploy_command
from velocast_cli.doctor.findings import Finding
from velocast_cli.doctor.system import System

FORECASTS_SEEN = timedelta(days=10)
# The city still has these days for a single run of `fetch`; longer gaps are fetched in windows.
ONE_FETCH = timedelta(days=31)
# BigQuery's schemas may use either name.
STANDARD_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
SQL_NAMES = {legacy: standard for standard, legacy in STANDARD_NAMES.items()}


def examine_tables(system: System) -> list[Finding]:
    """Compare the columns of every table with the library's schemas."""
    command = deploy_command(system)
    return [
        finding
        for name in schemas.TABLES
        for finding in judge_columns(
            schemas.table(name), _columns(system, name), project=system.project, deploy=command
        )
    ]


def _columns(system: System, name: str) -> dict[str, str] | None:
    """Return the type of each column of a table as it is, None without the table."""
    from google.api_core.exceptions import NotFound

    try:
        table = system.bigquery.get_table(f"{system.project}.{name}", timeout=30)
    except NotFound:
        return None
    return {f.name: STANDARD_NAMES.get(f.field_type, f.field_type) for f in table.schema}


def judge_columns(
    table: schemas.Table, found: Mapping[str, str] | None, *, project: str, deploy: str
) -> list[Finding]:
    """Return a finding for each column that is missing or has another type; other columns are of no concern."""
    if found is None:
        return [
            Finding(
                check="tables",
                subject=table.name,
                found="The table does not exist.",
                meaning="Every run that reads or writes it fails.",
                command=deploy,
            )
        ]
    return [
        _column_finding(project, table.name, field, found.get(field.name))
        for field in table.fields
        if found.get(field.name) != field.type
    ]


def _column_finding(project: str, table: str, field: schemas.Field, found: str | None) -> Finding:
    if found is not None:
        return Finding(
            check="tables",
            subject=f"{table}.{field.name}",
            found=f"The column is {found}, the schema says {field.type}.",
            meaning="Writes to the table fail. A column cannot change its type in place.",
            command=f"velocast restore table {table} --at=TIME",
        )
    nullable = field.mode == "NULLABLE"
    sql = add_column_sql(project, table, field)
    return Finding(
        check="tables",
        subject=f"{table}.{field.name}",
        found=f"The table has no such column ({field.type}, {field.mode}).",
        meaning="Every run that reads or writes the column fails."
        + ("" if nullable else " A required column cannot be added to a table that has rows."),
        command=f"bq query --use_legacy_sql=false '{sql}'"
        if nullable
        else f"velocast restore table {table} --at=TIME",
        repair="add_column" if nullable else None,
    )


def add_column_sql(project: str, table: str, field: schemas.Field) -> str:
    """Return the statement that adds a column to `dataset.table`, unless it is there already."""
    kind = SQL_NAMES.get(field.type, field.type)
    return f"ALTER TABLE {quoted(project, table)} ADD COLUMN IF NOT EXISTS {field.name} {kind}"


def examine_counts(system: System) -> list[Finding]:
    """Check the age of the newest count."""
    newest = _moment(system.warehouse.query("status_newest_count").iloc[0]["newest"])
    days = int(system.settings.thresholds.stale_days)
    return judge_counts(newest, system.as_of, stale_days=days, location=system.location)


def judge_counts(
    newest: datetime | None, as_of: datetime, *, stale_days: int, location: str
) -> list[Finding]:
    """Judge the time of the newest count, None without counts."""
    if newest is not None and as_of - newest <= timedelta(days=stale_days):
        return []
    command = f"gcloud scheduler jobs run velocast-fetch --location={location}"
    if newest is not None and as_of - newest > ONE_FETCH:
        command = f"velocast backfill --since {newest:%Y-%m-%d} --until {as_of:%Y-%m-%d}"
    return [
        Finding(
            check="counts",
            subject=schemas.COUNTS,
            found="There are no counts."
            if newest is None
            else f"The newest count is of {rfc3339(newest)}, {_age(as_of - newest)} ago.",
            meaning=f"After {stale_days} days without counts forecasts become worse. Either fetch fails or the "
            "city has stopped publishing.",
            command=command,
            repair="run_fetch",
        )
    ]


def examine_forecasts(system: System) -> list[Finding]:
    """Check the age of the newest forecasts."""
    since = system.as_of - FORECASTS_SEEN
    row = system.warehouse.query("doctor_newest_forecast", since=since).iloc[0]
    return judge_forecasts(
        _moment(row["predicted_at"]),
        system.as_of,
        fresh=freshness(system),
        location=system.location,
    )


def freshness(system: System) -> timedelta:
    """Return how old forecasts may be."""
    return timedelta(hours=system.settings.thresholds.fresh_hours)


def judge_forecasts(
    made: datetime | None, as_of: datetime, *, fresh: timedelta, location: str
) -> list[Finding]:
    """Judge the time at which the newest forecasts were made, None without any in the last days."""
    if made is not None and as_of - made <= fresh:
        return []
    days = FORECASTS_SEEN // timedelta(days=1)
    return [
        Finding(
            check="forecasts",
            subject=schemas.FORECASTS,
            found=f"There are no forecasts for the last {days} days or later."
            if made is None
            else f"The newest forecasts were made at {rfc3339(made)}, {_age(as_of - made)} ago.",
            meaning="`predict` makes forecasts every day and has not. Users see older ones, which reach five days.",
            command=f"gcloud scheduler jobs run velocast-predict --location={location}",
            repair="run_predict",
        )
    ]


def _moment(value: Any) -> datetime | None:
    """Return a value of a result as a time; NaT, which differs from itself, is None."""
    if value is None or value != value:
        return None
    found: datetime = value.to_pydatetime()
    return found


def _age(age: timedelta) -> str:
    hours = age // timedelta(hours=1)
    return f"{hours} hours" if hours < 72 else f"{hours // 24} days"
