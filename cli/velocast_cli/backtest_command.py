"""The command `velocast backtest`: its options, and where its scores go."""

from __future__ import annotations

import json
import time
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import typer
from rich.console import Console
from rich.markup import escape

from velocast.core.errors import VelocastError
from velocast.core.kinds import AFFLUENCE, DEFAULT_KIND, Kind
from velocast_cli.backtesting.outside.request import (
    TIMEOUT_SECONDS,
    OutsideForecaster,
    OutsideRequest,
    parse_outside,
)
from velocast_cli.backtesting.references import DEFAULT_REFERENCES, REFERENCES, ReferenceName
from velocast_cli.cities import CITY_HELP, city_of

if TYPE_CHECKING:
    from velocast_cli.backtesting.plan import BacktestResult

NameT = TypeVar("NameT", bound=str)
FAILURES = (VelocastError, RuntimeError, ValueError, OSError)


class WeatherAs(StrEnum):
    """How a file of observed weather is used."""

    perturbed = "perturbed"
    observed = "observed"


def backtest_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", exists=True, help="Counts: files or folders, read as --city says."
        ),
    ],
    weather: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Observed weather of the city (Parquet or CSV)."
        ),
    ] = None,
    weather_as: Annotated[
        WeatherAs,
        typer.Option(
            help="perturbed: with realistic forecast errors; observed: as measured, an upper bound."
        ),
    ] = WeatherAs.perturbed,
    weeks: Annotated[
        int, typer.Option(min=1, help="Weeks to backtest, the last of the file.")
    ] = 12,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day to use. Default: the last of the file."),
    ] = None,
    kinds: Annotated[
        str, typer.Option(help=f"Kinds of model, separated by commas: {', '.join(get_args(Kind))}.")
    ] = f"{DEFAULT_KIND},{AFFLUENCE}",
    city: Annotated[str | None, typer.Option(help=f"{CITY_HELP} Default: no known city.")] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Reference models, separated by commas: {', '.join(REFERENCES)} (default: all but the last). "
            "Or NAME=COMMAND: an outside forecaster. May be repeated."
        ),
    ] = None,
    against_every: Annotated[
        int, typer.Option(min=1, help="Ask outside forecasters only at every n-th origin.")
    ] = 1,
    against_counters: Annotated[
        int | None,
        typer.Option(min=1, help="Ask them for only this many counters, chosen at random."),
    ] = None,
    against_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that each of their answers may take.")
    ] = TIMEOUT_SECONDS,
    within_day: Annotated[
        str | None,
        typer.Option(
            help="Also score the rest of the day, forecast with the counts until these hours, such as 6,10,12,15."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write an HTML report with error plots to this file."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print only JSON.")] = False,
) -> None:
    """Backtest on historical counts: daily origins, weekly retraining, scores beside reference models."""
    from velocast_cli.backtesting import file_backtest, scores
    from velocast_cli.backtesting.apart.within_day import backtest_within_day
    from velocast_cli.backtesting.outside.comparison import compare_outside
    from velocast_cli.backtesting.printed_scores import print_scores

    if report and not report.parent.is_dir():  # checked now, not after all the fits
        raise typer.BadParameter(f"--report {report}: the folder {report.parent} does not exist")
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    references, outside = _opponents(against or [])
    hours = _hours(within_day)
    asked = file_backtest.BacktestRequest(
        tuple(files),
        weather,
        weather_as.value,
        weeks,
        until and until.date(),
        _chosen("kinds", kinds, get_args(Kind)),
        references,
        outside=OutsideRequest(outside, against_every, against_counters, against_timeout),
    )
    began = time.monotonic()
    try:
        made = file_backtest.backtest_file(asked, city_of(city) if city else None, console.print)
        summary = scores.summarize(made)
        summary["outside"] = [compare_outside(made.rows, found) for found in made.outside]
        forecasters = [kind for kind in asked.kinds if kind != AFFLUENCE]
        if hours and forecasters:
            summary["within_day"] = backtest_within_day(made.rows, forecasters[0], hours)
    except FAILURES as exc:
        console.print(f"[red]backtest failed:[/red] {escape(str(exc))}")
        raise typer.Exit(1) from exc
    summary |= {
        "file": ", ".join(map(str, files)),
        "weeks": weeks,
        "weather": weather_as.value if weather else "none",
        "seconds": round(time.monotonic() - began, 1),
    }
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        print_scores(summary, console)
    if report:
        _write(report, made, summary, console)


def _chosen(option: str, text: str, known: tuple[NameT, ...]) -> tuple[NameT, ...]:
    """Return the chosen names in the order in which they are known. Raises typer.BadParameter for any other."""
    asked = {name.strip() for name in text.split(",") if name.strip()}
    if not asked or not asked <= set(known):
        raise typer.BadParameter(f"--{option} {text}: choose from {', '.join(known)}")
    return tuple(name for name in known if name in asked)


def _hours(text: str | None) -> tuple[int, ...]:
    """Return the hours of `--within-day`. Raises typer.BadParameter."""
    given = [part.strip() for part in (text or "").split(",") if part.strip()]
    if not all(part.isdecimal() and 1 <= int(part) <= 23 for part in given):
        raise typer.BadParameter(
            f"--within-day {text}: give hours from 1 to 23, such as 6,10,12,15"
        )
    return tuple(sorted({int(part) for part in given}))


def _opponents(
    given: list[str],
) -> tuple[tuple[ReferenceName, ...], tuple[OutsideForecaster, ...]]:
    """Return the reference models and the outside forecasters of `--against`. Raises typer.BadParameter."""
    named = ",".join(text for text in given if "=" not in text)
    references = _chosen("against", named, REFERENCES) if named else DEFAULT_REFERENCES
    outside: dict[str, OutsideForecaster] = {}
    for text in (text for text in given if "=" in text):
        try:
            forecaster = parse_outside(text, {*REFERENCES, *get_args(Kind), *outside})
        except ValueError as exc:
            raise typer.BadParameter(f"--against {exc}") from exc
        outside[forecaster.name] = forecaster
    return references, tuple(outside.values())


def _write(report: Path, made: BacktestResult, summary: dict[str, Any], console: Console) -> None:
    from velocast_cli.backtesting import report as backtest_report

    try:
        report.write_text(backtest_report.render_report(made, summary), encoding="utf-8")
    except FAILURES as exc:
        console.print(f"[red]report not written:[/red] {escape(str(exc))}")
        raise typer.Exit(1) from exc
    console.print(f"Report: {escape(str(report))}")
