"""`velocast effect`: what a measure at some counters did, by the counters that it did not touch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from velocast.core.errors import EventError
from velocast.core.unknown import Unknown
from velocast_cli.growth.growth_command import CityName, CountsFiles, counted_days, percent
from velocast_cli.operations.console import AsJson, Home, output
from velocast_cli.operations.time_options import parse_date
from velocast_cli.target import reported_errors

if TYPE_CHECKING:
    from velocast.model.growth.effect import Effect


def effect_command(
    counters: Annotated[
        str, typer.Option(help="Ids of the touched counters, separated by commas.")
    ],
    since: Annotated[str, typer.Option(help="First day of the measure, by the city's clock.")],
    untouched: Annotated[
        str | None, typer.Option(help="Ids of counters to compare with. Default: all others.")
    ] = None,
    files: CountsFiles = None,
    city: CityName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say what a measure did at counters: their counts against what the untouched counters say they would have been."""
    from datetime import timedelta

    from velocast.model.growth.effect import MOST_BEFORE, effect_of_measure

    with reported_errors("effect"):
        day = parse_date(since, "since")
        try:
            begin = day - timedelta(days=MOST_BEFORE)
            described, days = counted_days(files, city, None, home, begin)
        except (ValueError, OSError) as exc:
            raise EventError(str(exc)) from exc
        touched, others = _ids(counters), _ids(untouched) if untouched else None
        if unknown := {*touched, *(others or ())} - set(days.counters):
            listed = ", ".join(sorted(unknown))
            raise EventError(f"no counter {listed}; there are {len(days.counters)}")
        found = effect_of_measure(days, touched, day, untouched=others)
        if isinstance(found, Unknown):
            raise EventError(found.reason)
    if as_json:
        typer.echo(json.dumps({"city": described.name, **found.as_dict()}))
    else:
        _print(found)


def _ids(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _print(found: Effect) -> None:
    change = found.effect
    said = "more than chance" if found.claimed else "this can be chance"
    rank = "" if found.rank is None else f"; {found.rank:.0%} of them deviate as much"
    output().print(
        f"{escape(', '.join(found.counter_ids))} since {found.since}: {percent(change.change)}, between "
        f"{percent(change.low)} and {percent(change.high)}; {said}\n"
        f"counted {found.observed:,.0f} bikes a day, {found.expected:,.0f} expected from {found.others} "
        f"untouched counters\n"
        f"{found.days[0]} days before and {found.days[1]} since were compared\n"
        f"placebo check: of {found.placebos} comparisons without a measure, "
        f"{found.placebos_claimed} would be called a change{rank}"
    )
