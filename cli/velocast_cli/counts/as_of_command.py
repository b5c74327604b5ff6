"""`velocast counts as-of`: the counts exactly as they were known at an instant."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from velocast.core.datetimes import rfc3339
from velocast.core.errors import EventError
from velocast.usecases.known_counts import (
    ChangedLater,
    Known,
    count_changes,
    read_known_counts,
    read_known_totals,
)
from velocast_cli.operations.console import AsJson, Home, minute, output
from velocast_cli.operations.time_options import parse_day
from velocast_cli.target import job_run, reported_errors

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def as_of_command(
    instant: Annotated[
        str,
        typer.Argument(metavar="DATE", help="Date (its start, UTC) or RFC 3339 time, included."),
    ],
    counter: Annotated[
        list[str] | None, typer.Option("--counter", help="Only this counter. May be repeated.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="First hour: date (UTC) or RFC 3339 time. Default: all.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="End, itself excluded. Default: the instant.")
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option("--rows", metavar="FILE.parquet", help="Write the counts to this file."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show or write the counts as they were known then: without later corrections, marks and late hours."""
    with reported_errors("counts as-of"):
        known = _asked(instant, counter, since, until)
        if rows is not None and not rows.parent.is_dir():
            raise EventError(f"--rows {rows}: there is no folder {rows.parent}")
        run = job_run("counts", home=home, as_of=None)
        totals = read_known_totals(run.warehouse, known)
        changes = count_changes(run.warehouse, known)
        if rows is not None:
            read_known_counts(run.warehouse, known).to_parquet(rows, index=False)
    if as_json:
        typer.echo(json.dumps(_as_json(known, totals, changes, rows)))
    else:
        _print(known, totals, changes, rows)


def _asked(instant: str, counters: list[str] | None, since: str | None, until: str | None) -> Known:
    at = parse_day(instant, "DATE")
    first = parse_day(since, "since") if since else BEGINNING
    end = parse_day(until, "until") if until else at
    if first >= end:
        raise EventError(
            f"since {rfc3339(first)} is not before until {rfc3339(end)}; there is no hour between them"
        )
    return Known(at, first, end, tuple(counters or ()))


def _as_json(
    known: Known, totals: dict[str, Any], changes: ChangedLater, rows: Path | None
) -> dict[str, Any]:
    hours = {name: totals[name] and rfc3339(totals[name]) for name in ("first_hour", "last_hour")}
    return {
        "as_of": rfc3339(known.at),
        "counters": totals["counters"],
        "hours": totals["hours"],
        "unusable": totals["unusable"],
        "bikes": int(totals["bikes"] or 0),
        **hours,
        "changed_later": changes.changed,
        "learned_later": changes.learned,
        "rows": None if rows is None else str(rows),
    }


def _print(known: Known, totals: dict[str, Any], changes: ChangedLater, rows: Path | None) -> None:
    if not totals["hours"]:
        output().print(f"nothing was known at {rfc3339(known.at)} of these hours")
    else:
        output().print(
            f"known at {rfc3339(known.at)}: {totals['hours']:,} hours of {totals['counters']:,} counters, "
            f"{totals['bikes']:,} bikes, from {minute(totals['first_hour'])} to {minute(totals['last_hour'])}; "
            f"{totals['unusable']:,} hours are marked and not used"
        )
    output().print(
        f"since then: {changes.changed:,} of these hours changed, {changes.learned:,} arrived"
    )
    if rows is not None:
        output().print(f"written to {escape(str(rows))}")
