"""`velocast counts rebuild`: estimate the hours without a usable count, from what is stored."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from velocast.core.datetimes import rfc3339, start_of_hour
from velocast.core.errors import EventError
from velocast_cli.operations.console import AsJson, Home, output
from velocast_cli.operations.time_options import parse_day
from velocast_cli.target import job_run, reported_errors


def rebuild_gaps_command(
    since: Annotated[
        str, typer.Option(help="First hour: a date (its start in UTC) or an RFC 3339 time.")
    ],
    until: Annotated[
        str | None,
        typer.Option(help="End, itself excluded, written as --since. Default: the current time."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", help="RFC 3339 time that counts as now. Default: the current time."
        ),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Estimate the hours without a usable count, each with an interval, apart from the counts."""
    from velocast.usecases.ingest.gaps import rebuild_stored_gaps

    with reported_errors("counts rebuild"):
        run = job_run("counts", home=home, as_of=as_of)
        city = run.settings.city
        first = start_of_hour(parse_day(since, "since"), city.zone)
        end = start_of_hour(parse_day(until, "until") if until else run.as_of, city.zone)
        end = min(end, start_of_hour(run.as_of, city.zone))
        if first >= end:
            raise EventError(
                f"since {rfc3339(first)} is not before until {rfc3339(end)}; there is no hour between"
            )
        found = rebuild_stored_gaps(run.warehouse, city, since=first, until=end, made_at=run.as_of)
    if as_json:
        typer.echo(json.dumps({"since": rfc3339(first), "until": rfc3339(end), **vars(found)}))
        return
    output().print(
        f"{found.hours:,} hours of {found.counters:,} counters estimated from {rfc3339(first)} to {rfc3339(end)}, "
        f"{found.bikes:,.0f} bikes in all; none of them is a count"
    )
