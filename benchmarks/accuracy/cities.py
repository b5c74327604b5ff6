"""The default model against the better reference model in each city and season: `make bench ARGS="cities DIR"`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import groupby
from statistics import mean
from typing import Any

from rich.console import Console

from benchmarks import harness
from velocast.core.city import City
from velocast.core.city.loading import packaged_cities
from velocast.core.datetimes import local_date
from velocast.core.errors import VelocastError
from velocast.core.kinds import DEFAULT_KIND
from velocast_cli.backtesting import city_tables, file_backtest, scores
from velocast_cli.backtesting.file_backtest import BacktestRequest, LoadedCounts
from velocast_cli.backtesting.interval_scores import TENTHS
from velocast_cli.backtesting.references import ReferenceName
from velocast_cli.cities import city_of, read_files_of
from velocast_cli.city_file import FileCounts

ENDING = "-counts.parquet"
MONTHS = (2, 5, 8, 11)
WEEKS, SCORED_DAYS = 4, 3  # the last day's forecasts are scored for three days
LEAST_HISTORY_DAYS = 60
REFERENCES: tuple[ReferenceName, ...] = ("value_168h_before", "similar_days")
Measured = tuple[str, str]  # a city's name and the first day of a window
HEADS = ("city", "28 days from", "hours", "RMSE", "better reference", "gain", "R2", "covered")


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, soft_wrap=True)
    chosen = set(arguments.only.split(",")) if arguments.only else None
    measured = _measured(arguments)
    asked: list[Measured] = []
    for file in sorted(arguments.folder.glob(f"*{ENDING}")):
        name = file.name.removesuffix(ENDING)
        if chosen and name not in chosen:
            continue
        described = description_of(name, arguments)
        if described is None:
            console.print(f"{name}: no description; give --city {name}=FILE")
            continue
        city, read = read_files_of(city_of(described), [file], console.print)
        days = windows(city, read)[-arguments.windows :]
        asked += [(city.name, str(day)) for day in days]
        missing = [day for day in days if (city.name, str(day)) not in measured]
        if not missing:
            continue
        with file_backtest.loaded(city, read, console.print) as held:
            for window in missing:
                console.print(f"{name}, 28 days from {window}")
                try:
                    row = measure(city, held, window, arguments.retrain_days)
                except (VelocastError, ValueError) as exc:
                    console.print(f"{name} {window}: {exc}")
                    continue
                measured[city.name, str(window)] = row
                harness.write({"windows": list(measured.values())}, arguments.json)
    found = [measured[key] for key in asked if key in measured]
    console.print("\n".join([*markdown(found), "", *tenths(found), "", *summary(found)]))


def _measured(arguments: argparse.Namespace) -> dict[Measured, dict[str, Any]]:
    """Return the windows that an earlier run measured in the same way and left in the JSON file."""
    if arguments.json is None or not arguments.json.is_file():
        return {}
    alike = {"kind": DEFAULT_KIND, "retrain_days": arguments.retrain_days}
    rows = json.loads(arguments.json.read_text(encoding="utf-8"))["windows"]
    return {(row["city"], row["window"]): row for row in rows if alike.items() <= row.items()}


def description_of(name: str, arguments: argparse.Namespace) -> str | None:
    """Return what `city_of` takes: a given file, one beside the counts, or a packaged city's name; None for none."""
    given = {asked: file for asked, _, file in (text.partition("=") for text in arguments.city)}
    beside = arguments.folder / f"{name}.yaml"
    if name in given:
        return str(given[name])
    if beside.is_file():
        return str(beside)
    return name if name in packaged_cities() else None


def windows(city: City, read: FileCounts) -> list[date]:
    """Return the first days of the windows that the counts cover, with enough history before them."""
    first, end = (local_date(at, city.zone) for at in city_tables.span(read.counts))
    length = timedelta(days=7 * WEEKS + SCORED_DAYS - 1)
    return [
        day
        for day in _quarters(first.year, end.year)
        if day >= first + timedelta(days=LEAST_HISTORY_DAYS) and day + length <= end
    ]


def _quarters(first_year: int, last_year: int) -> Iterator[date]:
    for year in range(first_year, last_year + 1):
        yield from (date(year, month, 1) for month in MONTHS)


def measure(city: City, held: LoadedCounts, window: date, retrain_days: int) -> dict[str, Any]:
    """Return the scores of one window."""
    asked = BacktestRequest(
        (),
        None,
        "observed",
        WEEKS,
        window + timedelta(days=7 * WEEKS + SCORED_DAYS - 2),
        (DEFAULT_KIND,),
        REFERENCES,
        new_counters=False,
        retrain_days=retrain_days,
    )
    made = file_backtest.backtest_loaded(asked, city, held, lambda _: None)
    summary = scores.summarize(made)
    models = {model["name"]: model for model in summary["models"]}
    own, better = (
        models[DEFAULT_KIND],
        min((models[n] for n in REFERENCES), key=lambda m: m["rmse"]),
    )
    return {
        "city": city.name,
        "window": window.isoformat(),
        "kind": DEFAULT_KIND,
        "retrain_days": retrain_days,
        "rows": summary["rows"],
        "counters": summary["counters"],
        "rmse": own["rmse"],
        "r2": own["r2"],
        "coverage": own["coverage"],
        "coverage_by_tenth": own["coverage_by_tenth"],
        "reference": better["name"],
        "reference_rmse": better["rmse"],
        "gain": 1 - own["rmse"] / better["rmse"],
    }


def markdown(found: list[dict[str, Any]]) -> list[str]:
    """Return the table for benchmarks/README.md."""
    lines = [f"| {' | '.join(HEADS)} |", "|" + "---|" * len(HEADS)]
    for row in found:
        reference = f"{row['reference_rmse']:.1f} ({row['reference']})"
        cells = (
            row["city"],
            row["window"],
            f"{row['rows']:,}",
            f"{row['rmse']:.1f}",
            reference,
            f"{row['gain']:+.1%}",
            "–" if row["r2"] is None else f"{row['r2']:.3f}",
            f"{row['coverage']:.1%}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def tenths(found: list[dict[str, Any]]) -> list[str]:
    """Return a table of each city's coverage by tenths of the forecast, as the mean of its windows."""
    heads = ("covered in the tenth of the forecasts", *range(1, TENTHS + 1))
    lines = [f"| {' | '.join(map(str, heads))} |", "|" + "---|" * len(heads)]
    for city, rows in groupby(found, key=lambda row: row["city"]):
        shares = zip(*(row["coverage_by_tenth"] for row in rows), strict=True)
        lines.append(f"| {city} | {' | '.join(f'{mean(share):.1%}' for share in shares)} |")
    return lines


def summary(found: list[dict[str, Any]]) -> list[str]:
    """Return a line for each city, and one for all: how many windows lose, and the mean RMSE ratio to the reference."""
    groups = [(city, list(rows)) for city, rows in groupby(found, key=lambda row: row["city"])]
    return [
        f"{name}: {sum(row['gain'] < 0 for row in rows)} of {len(rows)} windows lose; "
        f"mean RMSE ratio {mean(1 - row['gain'] for row in rows):.3f}"
        for name, rows in [*groups, ("all", found)]
        if rows
    ]
