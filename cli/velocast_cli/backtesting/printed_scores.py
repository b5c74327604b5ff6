"""The scores of a backtest as tables for the terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from velocast_cli.backtesting.apart.within_day import LATE_HOURS
from velocast_cli.backtesting.outside.described import (
    COMPARED,
    describe_comparison,
    format_comparison,
)
from velocast_cli.backtesting.report import (
    NEW_COUNTERS,
    SHORT_SCORES,
    format_number,
    format_scores,
)


def print_scores(summary: dict[str, Any], console: Console) -> None:
    """Print the summary of `velocast backtest`: a table for each kind of score."""
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


def _table(summary: dict[str, Any]) -> Table:
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
