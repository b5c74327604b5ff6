"""`velocast backfill`: fetch a past range, window after window."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from velocast_cli.operations import backfill as backfilling
from velocast_cli.operations.backfill import BackfilledPart, BackfillRequest
from velocast_cli.operations.console import AsJson, Home, output
from velocast_cli.operations.time_options import parse_day, parse_duration
from velocast_cli.target import job_run, reported_errors

SHOWN_DAYS = 10


def backfill_command(
    since: Annotated[str, typer.Option(help="Start, a date (UTC) or RFC 3339.")],
    until: Annotated[str, typer.Option(help="End (exclusive), a date (UTC) or RFC 3339.")],
    window: Annotated[str, typer.Option(help="Length of a window: 7d, 36h.")] = "7d",
    patience: Annotated[str, typer.Option(help="How long to wait for one run.")] = "45m",
    again: Annotated[
        bool, typer.Option("--again", help="Also fetch windows that were fetched before.")
    ] = False,
    forecasts: Annotated[
        bool, typer.Option("--forecasts", help="Then also make each day's forecasts.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the counts of a past range, one window at a time; run it again to resume.

    Exit code 0 only if every window was fetched, now or before.
    """
    with reported_errors("backfill"):
        run = job_run("backfill", home=home, as_of=None)
        request = BackfillRequest(
            since=parse_day(since, "since"),
            until=parse_day(until, "until"),
            window=parse_duration(window),
            patience=parse_duration(patience),
            again=again,
            forecasts=forecasts,
        )
        complaints = Console(stderr=True, highlight=False)
        parts = []
        for part in backfilling.backfill(
            request,
            run,
            on_failure=lambda error: complaints.print(
                f"failed, will be tried again: {escape(error)}"
            ),
        ):
            parts.append(part)
            if not as_json:
                output().print(_line(part))
        empty = backfilling.days_without_counts(run, request.since, request.until)
    complete = all(part.outcome in ("done", "before") for part in parts)
    if as_json:
        result: dict[str, Any] = {"complete": complete, "parts": [p.as_dict() for p in parts]}
        typer.echo(json.dumps(result | {"days_without_counts": [str(day) for day in empty]}))
    else:
        _print_summary(parts, [str(day) for day in empty], complete=complete)
    if not complete:
        raise typer.Exit(1)


def _line(part: BackfilledPart) -> str:
    """Return one line about a part, as Rich's markup."""
    days = f"{part.what:<9} {part.since:%Y-%m-%d %H:%M} to {part.until:%Y-%m-%d %H:%M}"
    if part.outcome == "before":
        return f"{days}  done before"
    if part.outcome == "not tried":
        return f"{days}  [yellow]not tried[/yellow]"
    if part.outcome == "failed":
        return f"{days}  [red]failed[/red]\n          {escape(str(part.error))}"
    if part.what == "forecasts":
        return f"{days}  {part.forecasts} forecasts"
    if not part.fetched:
        return f"{days}  [yellow]the city has nothing[/yellow]"
    rejected = f", {part.rejected} rejected" if part.rejected else ""
    return f"{days}  {part.inserted} new, {part.updated} changed{rejected}"


def _print_summary(parts: list[BackfilledPart], empty: list[str], *, complete: bool) -> None:
    console = output()
    new, before = (sum(p.outcome == kind for p in parts) for kind in ("done", "before"))
    rows = sum(part.inserted for part in parts)
    console.print(f"{new} of {len(parts)} parts done now, {before} before; {rows} new rows")
    if rejected := sum(part.rejected for part in parts):
        console.print(f"{rejected} records could not be understood: see bike_traffic_raw.rejects")
    if empty:
        more = f" and {len(empty) - SHOWN_DAYS} more" if len(empty) > SHOWN_DAYS else ""
        console.print(f"{len(empty)} days without any count: {', '.join(empty[:SHOWN_DAYS])}{more}")
    if not complete:
        console.print("[red]not complete[/red]: run the same command again to resume")
