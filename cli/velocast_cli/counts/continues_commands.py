"""`velocast counts continues`: counters that were replaced, moved or renamed, as one history under the new id."""

from __future__ import annotations

import getpass
import json
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from velocast.core.datetimes import local_date, rfc3339, start_of_local_day
from velocast.core.errors import EventError
from velocast_cli.cities import CITY_HELP, city_of
from velocast_cli.operations.console import AsJson, Home, Reason, output, print_table
from velocast_cli.operations.time_options import parse_date
from velocast_cli.target import job_run, reported_errors

if TYPE_CHECKING:
    from velocast.model.histories.proposals import Proposal

continues_app = typer.Typer(
    help="Counters that continue others under a new id: propose, confirm, undo and list them.",
    no_args_is_help=True,
)
New = Annotated[
    str, typer.Argument(metavar="COUNTER", help="Id of the counter that goes on counting.")
]
Old = Annotated[
    str, typer.Argument(metavar="OLD", help="Id of the counter whose history it continues.")
]
DecidedBy = Annotated[
    str | None, typer.Option("--by", help="Who decides. Default: the user's login name.")
]


@continues_app.command("propose")
def propose_command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...", help="Counts in files. Default: those of the deployment."
        ),
    ] = None,
    city: Annotated[str | None, typer.Option(help=f"{CITY_HELP} Default: no known city.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="As of this RFC 3339 time. Default: now.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List counters that began where and when another ended, with a similar week and level."""
    with reported_errors("counts continues propose"):
        if files and as_of:
            raise EventError("--as-of is for a deployment; leave it out with files")
        try:
            found = _in_files(files, city) if files else _in_deployment(as_of, home)
        except (ValueError, OSError) as exc:
            raise EventError(str(exc)) from exc
    if as_json:
        typer.echo(json.dumps({"proposals": [each.as_dict() for each in found]}))
        return
    if found:
        headers = ("Counter", "Continues", "Since", "Gap", "Distance", "Level", "Week")
        print_table(headers, [_row(each) for each in found])
    output().print(
        f"{len(found):,} proposed; `velocast counts continues confirm COUNTER OLD` or `undo` decides"
    )


def _in_files(files: list[Path], city: str | None) -> list[Proposal]:
    from rich.console import Console

    from velocast.model.histories.proposals import propose_continuations
    from velocast_cli.counts.hours_files import read_hours

    say = Console(stderr=True, highlight=False, soft_wrap=True).print
    found = read_hours(city_of(city) if city else None, files, say)
    decided = [(old, each.counter_id) for old, each in found.histories.ended.items()]
    usable = found.hours[found.hours["quality"].isna()]
    return propose_continuations(usable, found.counters, found.city.zone, decided=decided)


def _in_deployment(as_of: str | None, home: Path | None) -> list[Proposal]:
    from velocast.usecases.histories.proposals import propose

    run = job_run("counts", home=home, as_of=as_of)
    return propose(run.warehouse, run.settings.city, as_of=run.as_of)


def _row(each: Proposal) -> tuple[str, ...]:
    hours = (each.began_at - each.ended_at).total_seconds() / 3600
    return (
        each.counter_id,
        each.continues,
        f"{each.began_at:%Y-%m-%d}",
        f"{hours / 24:.0f} d",
        "-" if each.distance_km is None else f"{1000 * each.distance_km:.0f} m",
        f"x {each.level_ratio:.2f}",
        f"{each.similarity:.2f}",
    )


@continues_app.command("confirm")
def confirm_command(
    counter: New,
    old: Old,
    since: Annotated[
        str | None,
        typer.Option(help="First day of the new counter. Default: its first day with counts."),
    ] = None,
    reason: Reason = None,
    by: DecidedBy = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let COUNTER continue OLD: from now on, forecasts, training and page see one history under the new id."""
    day = None
    with reported_errors("counts continues confirm"):
        day = parse_date(since, "since") if since else None
    _decide("confirm", counter, old, day, (reason, by), home, as_json)


@continues_app.command("undo")
def undo_command(
    counter: New,
    old: Old,
    reason: Reason = None,
    by: DecidedBy = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take a confirmation back, or refuse a proposal: the two stay apart, and are not proposed again."""
    _decide("undo", counter, old, None, (reason, by), home, as_json)


def _decide(
    decision: Literal["confirm", "undo"],
    counter: str,
    old: str,
    day: date | None,
    why: tuple[str | None, str | None],
    home: Path | None,
    as_json: bool,
) -> None:
    from velocast.usecases.histories.decisions import ContinuationDecision, decide

    reason, by = why
    with reported_errors(f"counts continues {decision}"):
        run = job_run("counts", home=home, as_of=None)
        zone = run.settings.city.zone
        since = start_of_local_day(day, zone) if day else _begin(run, counter)
        given = ContinuationDecision(
            counter, old, since, decision, by or getpass.getuser(), run.as_of, reason
        )
        stored = decide(run.warehouse, run.settings.city, given)
    if as_json:
        told = {"counter_id": counter, "continues": old, "since": rfc3339(since)}
        typer.echo(json.dumps({"decision": decision, **told, "stored": stored}))
        return
    said = "noted" if stored else "was noted before"
    if decision == "undo":
        output().print(f"{escape(counter)} does not continue {escape(old)}: {said}")
    else:
        first = f"{local_date(since, zone):%Y-%m-%d}"
        output().print(f"{escape(counter)} continues {escape(old)} from {first}: {said}")


def _begin(run: Any, counter: str) -> datetime:
    """Return the start of the first day of the city's clock on which a counter has a usable count."""
    from velocast.usecases.histories.known import BEFORE_ANY_COUNT

    spans = run.warehouse.query("counter_spans", first_hour=BEFORE_ANY_COUNT, until=run.as_of)
    own = spans.loc[spans["counter_id"] == counter, "first_at"]
    if own.empty:
        raise EventError(
            f"counter {counter!r} has no usable count yet; give its first day: --since"
        )
    zone = run.settings.city.zone
    return start_of_local_day(local_date(own.iloc[0].to_pydatetime(), zone), zone)


@continues_app.command("list")
def list_continuations(
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="As known at this RFC 3339 time. Default: now.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the counters that continue others, by the city's file and by people, and the sums of the city's file."""
    from velocast.usecases.histories.known import read_histories

    with reported_errors("counts continues list"):
        run = job_run("counts", home=home, as_of=as_of)
        found = read_histories(run.warehouse, run.settings.city, as_of=run.as_of)
    rows: list[dict[str, Any]] = [
        {
            "counter_id": each.counter_id,
            "continues": list(each.continues),
            "since": rfc3339(each.since),
            "reason": each.why,
        }
        for chain in found.continued.values()
        for each in chain
    ]
    sums = [each.model_dump(mode="json") for each in found.sums.values()]
    if as_json:
        typer.echo(json.dumps({"continuations": rows, "sums": sums}))
        return
    if rows:
        print_table(
            ("Counter", "Continues", "Since", "Why"),
            [
                (r["counter_id"], " + ".join(r["continues"]), r["since"][:10], r["reason"] or "")
                for r in rows
            ],
        )
    output().print(f"{len(rows):,} continuations, {len(sums):,} sums")
