"""The command `velocast backtest`: its options, its tables and its JSON."""

from __future__ import annotations

import json
import time
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

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
        int, typer.Option(min=1, help="Ask outside forecasters at each n-th origin only.")
    ] = 1,
    against_counters: Annotated[
        int | None,
        typer.Option(min=1, help="Ask them for so many counters only, chosen at random."),
    ] = None,
    against_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that one answer of theirs may take.")
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
        _show(summary, console)
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


def _show(summary: dict[str, Any], console: Console) -> None:
    console.print(f"[bold]{escape(summary['city'])}[/bold]")
    console.print(_table(summary))
    if summary["affluence"]:
        console.print(_busy_hours(summary["affluence"]))
    if summary["new_counters"]:
        console.print(new_counters_table(summary["new_counters"]))
    for found in summary["outside"]:
        console.print(comparison_table(found))
    if summary.get("within_day"):
        console.print(within_day_table(summary["within_day"]))
    console.print(f"From the file to these scores: {summary['seconds']:,.0f} s")


def _write(report: Path, made: BacktestResult, summary: dict[str, Any], console: Console) -> None:
    from velocast_cli.backtesting import report as backtest_report

    try:
        report.write_text(backtest_report.render_report(made, summary), encoding="utf-8")
    except FAILURES as exc:
        console.print(f"[red]report not written:[/red] {escape(str(exc))}")
        raise typer.Exit(1) from exc
    console.print(f"Report: {escape(str(report))}")


def _table(summary: dict[str, Any]) -> Table:
    from velocast_cli.backtesting.report import SHORT_SCORES, format_number, format_scores

    weather = {"none": "without weather", "observed": "observed weather: an upper bound"}
    table = _scores(
        f"{summary['rows']:,} forecasts from {summary['origins']} origins, lead days 0 to 2, "
        f"{weather.get(summary['weather'], 'weather with realistic forecast errors')}",
        ("model", *SHORT_SCORES, "fit s", "fit MB"),
    )
    for model in summary["models"]:
        table.add_row(
            model["name"],
            *format_scores(model, SHORT_SCORES),
            format_number(model["fit_seconds"], ".1f"),
            format_number(model["fit_peak_mb"], ","),
        )
    return table


def _busy_hours(found: dict[str, Any]) -> str:
    """Return two lines on how well busy hours were classified."""
    from velocast_cli.backtesting.report import format_number

    return (
        f"Busy hours (affluence): balanced accuracy {format_number(found['balanced_accuracy'], '.3f')} "
        f"(similar days {format_number(found['similar_days_balanced_accuracy'], '.3f')}),\n"
        f"Brier score {format_number(found['brier_relative'], '.2f')} of that of the base rate; "
        f"{found['base_rate']:.1%} of {found['rows']:,} hours were busy\n"
    )


def new_counters_table(found: dict[str, Any]) -> Table:
    """Return the scores of forecasts for counters without history, beside those of the city's typical week.

    found: `new_counters` of `scores.summarize`.
    """
    from velocast_cli.backtesting.report import NEW_COUNTERS, SHORT_SCORES, format_scores

    table = _scores(
        f"what a new counter would get: {found['rows']:,} forecasts of {found['counters']} counters, "
        "history hidden",
        ("forecast", *SHORT_SCORES),
    )
    for model in found["models"]:
        table.add_row(NEW_COUNTERS[model["name"]], *format_scores(model, SHORT_SCORES))
    return table


def within_day_table(found: list[dict[str, Any]]) -> Table:
    """Return the scores of the rest of the day, forecast at midnight (0 h) and with the counts until an hour.

    The column "days" counts the days with an update; "2 h late" is the gain on the hours from two hours later on.
    found: what `backtest_within_day` returns.
    """
    from velocast_cli.backtesting.apart.within_day import LATE_HOURS
    from velocast_cli.backtesting.report import format_number

    table = _scores(
        f"the rest of {found[0]['days']} days, forecast at 0 h and with the counts until an hour",
        (
            "until",
            "hours",
            "days",
            "R2 0 h",
            "R2",
            "gain",
            f"{LATE_HOURS} h late",
            "covered",
            "width",
            "0 h",
        ),
    )
    for row in found:
        table.add_row(
            f"{row['known_until']} h",
            f"{row['rows']:,}",
            str(row["days_updated"]),
            format_number(row["r2"], ".3f"),
            format_number(row["r2_within_day"], ".3f"),
            format_number(row["gain"], "+.3f"),
            format_number(row["late_gain"], "+.3f"),
            format_number(row["coverage_within_day"], ".1%"),
            format_number(row["width_within_day"], ".1f"),
            format_number(row["width"], ".1f"),
        )
    return table


def comparison_table(found: dict[str, Any]) -> Table:
    """Return the scores of an outside forecaster beside those of all models on the rows that all have.

    found: what `compare_outside` returns.
    """
    from velocast_cli.backtesting.outside.described import (
        COMPARED,
        describe_comparison,
        format_comparison,
    )

    told = describe_comparison(found)
    table = _scores(told.title, ("model", *COMPARED))
    table.caption, table.caption_justify = told.text, "left"
    for model in found["models"]:
        table.add_row(model["name"], *format_comparison(model))
    return table


def _scores(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for name in columns:
        right = name != columns[0]
        table.add_column(name, justify="right" if right else "left", no_wrap=right)
    return table
