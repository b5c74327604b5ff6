"""`velocast counts check`: the faults of the counters in files, or in a deployment's newest counts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from velocast.core.datetimes import parse_instant
from velocast.core.errors import EventError
from velocast_cli.cities import CITY_HELP, city_of
from velocast_cli.operations.console import AsJson, Home, output, print_table
from velocast_cli.operations.time_options import parse_day
from velocast_cli.target import reported_errors

if TYPE_CHECKING:
    from datetime import datetime

    from velocast.model.faults.episodes import Episode
    from velocast_cli.counts.faults import JudgedHours
    from velocast_cli.counts.hours_files import CityHours


def check_faults_command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Counts: files or folders, read as --city says, or Parquet files of hours.",
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Check the counts that the deployment has stored.")
    ] = False,
    city: Annotated[str | None, typer.Option(help=f"{CITY_HELP} Default: no known city.")] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only faults that end after this date (UTC) or RFC 3339 time."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Use only counts before this RFC 3339 time. Default: all."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List faults: dead, stuck, halved, doubled and swapped counters, spikes, shifted clocks, missing hours."""
    with reported_errors("counts check"):
        if bool(files) == live:
            raise EventError("give files of counts, or --live for those of the deployment")
        asked_since = parse_day(since, "since") if since else None
        try:
            found = _live(as_of, home) if live else _read(files or [], city, as_of)
            judged = _judged(found, asked_since)
        except (ValueError, OSError) as exc:
            raise EventError(str(exc)) from exc
    if as_json:
        typer.echo(json.dumps(_as_json(found, judged)))
    else:
        _print(found, judged)


def _read(files: list[Path], city: str | None, as_of: str | None) -> CityHours:
    from velocast_cli.counts.hours_files import read_hours

    found = read_hours(city_of(city) if city else None, files, _say)
    if as_of is None:
        return found
    hours = found.hours[found.hours["counted_at"] < parse_instant(as_of)]
    if hours.empty:
        raise ValueError(f"{files[0]}: no count before {as_of}")
    return replace(found, hours=hours.reset_index(drop=True))


def _live(as_of: str | None, home: Path | None) -> CityHours:
    from velocast_cli.counts.stored_hours import read_stored_hours
    from velocast_cli.target import job_run

    return read_stored_hours(job_run("counts", home=home, as_of=as_of))


def _judged(found: CityHours, since: datetime | None) -> JudgedHours:
    from velocast_cli.counts.faults import find_episodes

    return find_episodes(found, since)


def _say(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(escape(text))


def _as_json(found: CityHours, judged: JudgedHours) -> dict[str, object]:
    hours = found.hours["counted_at"]
    return {
        "city": found.city.name,
        "counters": int(found.hours["counter_id"].nunique()),
        "first_hour": hours.min().isoformat(),
        "last_hour": hours.max().isoformat(),
        "episodes": [each.as_dict() for each in judged.episodes],
        "explained": [each.as_dict() for each in judged.known],
    }


def _print(found: CityHours, judged: JudgedHours) -> None:
    episodes = judged.episodes
    rows = [
        (
            each.counter_id,
            each.kind.replace("_", " "),
            f"{each.since:%Y-%m-%d}",
            _length(each),
            each.evidence,
        )
        for each in episodes
    ]
    if rows:
        print_table(("Counter", "Fault", "Since", "Length", "Evidence"), rows)
    if judged.known:
        known = [
            (
                each.counter_id,
                each.kind,
                f"{each.since:%Y-%m-%d}",
                f"{each.until:%Y-%m-%d}" if each.until else "",
                each.what,
            )
            for each in judged.known
        ]
        print_table(("Counter", "Known", "Since", "Until", "What"), known)
    counters = found.hours["counter_id"].nunique()
    faulty = len({each.counter_id for each in episodes})
    going_on = sum(each.open for each in episodes)
    output().print(
        f"{len(episodes):,} faults of {faulty:,} of {counters:,} counters, {going_on:,} going on"
    )


def _length(episode: Episode) -> str:
    hours = (episode.until - episode.since).total_seconds() / 3600
    length = f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"
    return f"{length} +" if episode.open else length
