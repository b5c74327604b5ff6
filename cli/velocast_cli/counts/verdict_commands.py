"""`velocast counts accept`, `refuse`, `note` and `forget`: a person's word about hours of a counter."""

from __future__ import annotations

import getpass
import json
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape

from velocast.core.datetimes import HOUR, parse_instant, rfc3339, start_of_hour, start_of_local_day
from velocast.core.errors import EventError
from velocast_cli.counts.as_of_command import as_of_command
from velocast_cli.counts.check_command import check_faults_command
from velocast_cli.counts.continues_commands import continues_app
from velocast_cli.counts.health_command import counter_health_command
from velocast_cli.counts.rebuild_command import rebuild_gaps_command
from velocast_cli.operations.console import AsJson, Home, Reason, output
from velocast_cli.target import job_run, reported_errors

counts_app = typer.Typer(
    help="Find faulty counters, and say which counts may be used: a verdict outranks every detector.",
    no_args_is_help=True,
)
counts_app.command("check")(check_faults_command)
counts_app.command("health")(counter_health_command)
counts_app.command("as-of")(as_of_command)
counts_app.add_typer(continues_app, name="continues")
counts_app.command("rebuild")(rebuild_gaps_command)
CounterId = Annotated[str, typer.Argument(metavar="COUNTER", help="Id of the counter.")]
From = Annotated[
    str | None,
    typer.Argument(
        metavar="[FROM]", help="First hour (RFC 3339), or a date: a day of the city's clock."
    ),
]
Until = Annotated[
    str | None,
    typer.Argument(
        metavar="[UNTIL]",
        help="End, itself excluded: a time or a date. Default: one hour after a time, one day after a date.",
    ),
]
Since = Annotated[str | None, typer.Option("--since", help="The same as FROM.")]
End = Annotated[str | None, typer.Option("--until", help="The same as UNTIL.")]
SaidBy = Annotated[
    str | None, typer.Option("--by", help="Who says so. Default: the user's login name.")
]


@counts_app.command("accept")
def accept_command(
    counter: CounterId,
    first: From = None,
    end: Until = None,
    since: Since = None,
    until: End = None,
    reason: Reason = None,
    by: SaidBy = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Use these counts, whatever a detector says: people were there."""
    _give("accept", counter, (first or since, end or until), reason, by, home, as_json)


@counts_app.command("refuse")
def refuse_command(
    counter: CounterId,
    first: From = None,
    end: Until = None,
    since: Since = None,
    until: End = None,
    reason: Reason = None,
    by: SaidBy = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Do not use these counts: neither learn from them nor score with them."""
    _give("refuse", counter, (first or since, end or until), reason, by, home, as_json)


@counts_app.command("note")
def note_command(
    counter: CounterId,
    first: From = None,
    end: Until = None,
    since: Since = None,
    until: End = None,
    reason: Reason = None,
    by: SaidBy = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Note something about these counts, with --reason; whether they are used stays as it is."""
    _give("note", counter, (first or since, end or until), reason, by, home, as_json)


@counts_app.command("forget")
def forget_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name as it was given.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take a person's name out of all verdicts, notes and decisions; what was said stays."""
    from velocast.usecases.histories import decisions
    from velocast.usecases.ingest.verdicts import NO_NAME, forget_name

    with reported_errors("counts forget"):
        warehouse = job_run("counts", home=home, as_of=None).warehouse
        changed = forget_name(warehouse, name)
        decided = decisions.forget_deciders_name(warehouse, name, instead=NO_NAME)
    if as_json:
        told = {"name": name, "verdicts_changed": changed, "decisions_changed": decided}
        typer.echo(json.dumps(told))
    else:
        output().print(
            f"{changed} verdicts and notes and {decided} decisions no longer name {escape(name)}"
        )


def _give(
    verdict: Literal["accept", "refuse", "note"],
    counter: str,
    hours: tuple[str | None, str | None],
    reason: str | None,
    by: str | None,
    home: Path | None,
    as_json: bool,
) -> None:
    from velocast.usecases.ingest.verdicts import Verdict, give_verdict

    with reported_errors(f"counts {verdict}"):
        since, until = hours
        if since is None:
            raise EventError("say which hours: give FROM, or --since")
        if verdict == "note" and not reason:
            raise EventError("say what is to be noted: give --reason")
        run = job_run("counts", home=home, as_of=None)
        first, end = hours_meant(since, until, run.settings.city.zone)
        done = give_verdict(
            run.warehouse,
            Verdict(
                counter_id=counter,
                valid_from=first,
                valid_until=end,
                verdict=verdict,
                given_by=by or getpass.getuser(),
                given_at=run.as_of,
                reason=reason,
            ),
        )
    if as_json:
        where = {"counter_id": counter, "from": rfc3339(first), "until": rfc3339(end)}
        typer.echo(json.dumps({"verdict": verdict, **where, **done}))
        return
    said = "noted" if done["stored"] else "was noted before"
    output().print(
        f"{verdict} {escape(counter)} from {rfc3339(first)} to {rfc3339(end)} {said}; "
        f"{done['hours_changed']} stored hours changed"
    )


def hours_meant(since: str, until: str | None, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the first hour and the end (excluded), UTC, that a person means. Raises EventError.

    A date is the start of that day of the city's clock; a time is that of the hour it lies in. Without `until`, a date
    means the day and a time the hour.
    """
    day = _date(since, "FROM")
    first = (
        start_of_local_day(day, zone)
        if day
        else start_of_hour(parse_instant(since, name="FROM"), zone)
    )
    if until is None:
        end = start_of_local_day(day + timedelta(days=1), zone) if day else first + HOUR
        return first, end
    last = _date(until, "UNTIL")
    end = start_of_local_day(last, zone) if last else parse_instant(until, name="UNTIL")
    return first, end


def _date(text: str, name: str) -> date | None:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise EventError(f"{name} {text!r} is no date: {exc}") from exc
