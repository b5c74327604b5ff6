"""`python -m benchmarks NAME`: one benchmark.

`--help` has all of them and their arguments; benchmarks/README.md describes them.
"""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path
from typing import Any

# gRPC would print warnings between the results.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
FIGURES = Path(__file__).parent / "figures"  # those in the documentation


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks", description="Measure accuracy, speed, memory and cost."
    )
    parser.set_defaults(module="performance.system")
    commands = parser.add_subparsers()
    system = commands.add_parser("system", help="the whole local stack (the default)")
    system.set_defaults(module="performance.system")
    fit = commands.add_parser(
        "fit", help="compare fitting the default model with fitting the reference forest"
    )
    fit.set_defaults(module="performance.fit")
    fit.add_argument("file", type=Path, help="counts (.parquet or .csv)")
    scale = commands.add_parser(
        "scale", help="time, memory and cost for cities of 50 to 20,000 counters"
    )
    scale.set_defaults(module="performance.scale")
    scale.add_argument(
        "--counters",
        default="50,500",
        help="numbers of counters, separated by commas (default 50,500)",
    )
    scale.add_argument(
        "--parts",
        default="process,tasks",
        help="what to measure: forecasts in one process, forecasts in tasks (default process,tasks)",
    )
    scale.add_argument("--days", type=int, default=90, help="local days of counts (default 90)")
    scale.add_argument(
        "--emulate",
        type=int,
        default=500,
        help="largest city to load into the emulator (default 500 counters)",
    )
    scale.add_argument(
        "--limit", type=int, default=600, help="time limit of a step in seconds (default 600)"
    )
    messages = commands.add_parser(
        "messages", help="messages that people get in weeks of a simulated city, on the local stack"
    )
    messages.set_defaults(module="messages")
    messages.add_argument("--weeks", type=int, default=12, help="weeks to play (default 12)")
    messages.add_argument("--counters", type=int, default=100, help="counters (default 100)")
    messages.add_argument("--seed", type=int, default=7, help="random seed of the city (default 7)")
    messages.add_argument("--json", type=Path, help="file to write the figures to as JSON")
    bounds = commands.add_parser(
        "bounds", help="time and memory of the parts that read all counts, for cities of any size"
    )
    bounds.set_defaults(module="performance.bounds")
    bounds.add_argument(
        "--counters",
        default="500,5000,20000",
        help="numbers of counters, separated by commas (default 500,5000,20000)",
    )
    bounds.add_argument(
        "--parts",
        default="freeze,monitor,gaps,faults",
        help="what to measure (default freeze,monitor,gaps,faults; also sweep, reader)",
    )
    bounds.add_argument("--days", type=int, default=1095, help="days of counts (default 1095)")
    bounds.add_argument(
        "--emulate",
        type=int,
        default=500,
        help="largest city to load into the emulator (default 500 counters)",
    )
    bounds.add_argument(
        "--limit", type=int, default=3600, help="time limit of a step in seconds (default 3600)"
    )
    page = commands.add_parser("page", help="seconds until the page of a running site is drawn")
    page.set_defaults(module="performance.page")
    page.add_argument("url", help="address of the city's page or of a counter's")
    page.add_argument("--key", default="", help="an API key, if the page asks for one")
    page.add_argument("--rounds", type=int, default=5, help="the median of so many (default 5)")
    page.add_argument("--json", type=Path, help="file to write the figures to as JSON")
    cities = commands.add_parser(
        "cities", help="the default model against the better reference, in each city and season"
    )
    cities.set_defaults(module="accuracy.cities")
    cities.add_argument("folder", type=Path, help="folder of <city>-counts.parquet files")
    cities.add_argument(
        "--city",
        action="append",
        default=[],
        metavar="CITY=FILE",
        help="a city's own description; default: <city>.yaml in the folder, else the packaged city",
    )
    cities.add_argument(
        "--windows", type=int, default=0, help="the last so many windows of each city (default all)"
    )
    cities.add_argument(
        "--retrain-days", type=int, default=7, help="days from one training to the next (default 7)"
    )
    cities.add_argument("--only", help="cities, separated by commas (default all)")
    cities.add_argument("--json", type=Path, help="file to write the figures to as JSON")
    faults = commands.add_parser(
        "faults", help="faults put into real counts: found, in time, and falsely called"
    )
    faults.set_defaults(module="counts.faults")
    faults.add_argument(
        "files", type=Path, nargs="+", help="<city>-counts.parquet files, or folders of them"
    )
    faults.add_argument(
        "--rounds", type=int, default=5, help="times that faults are put into a city (default 5)"
    )
    faults.add_argument("--seed", type=int, default=1, help="of the first round (default 1)")
    faults.add_argument(
        "--days", type=int, default=500, help="the last so many days of each city (default 500)"
    )
    faults.add_argument("--json", type=Path, help="file to write the figures to as JSON")
    growth = commands.add_parser(
        "growth", help="growth and effects of measures in simulated cities where they are known"
    )
    growth.set_defaults(module="counts.growth")
    growth.add_argument("--cities", type=int, default=100, help="simulated cities (default 100)")
    growth.add_argument("--seed", type=int, default=1, help="of the first city (default 1)")
    growth.add_argument("--json", type=Path, help="file to write the figures to as JSON")
    gaps = commands.add_parser(
        "gaps", help="hidden hours of real counts estimated, beside the typical week"
    )
    gaps.set_defaults(module="counts.gaps")
    gaps.add_argument("files", type=Path, nargs="+", help="<city>-counts.parquet files")
    gaps.add_argument(
        "--rounds", type=int, default=3, help="times that gaps are hidden in a city (default 3)"
    )
    gaps.add_argument("--seed", type=int, default=1001, help="of the first round (default 1001)")
    gaps.add_argument(
        "--days", type=int, default=420, help="the last so many days of each city (default 420)"
    )
    gaps.add_argument("--json", type=Path, help="file to write the figures to as JSON")
    _add_continuations(commands)
    _add_arena(commands)
    weather = commands.add_parser(
        "weather", help="the default model without weather, with forecasts, with observations"
    )
    weather.set_defaults(module="accuracy.weather")
    weather.add_argument(
        "file", type=Path, nargs="?", help="counts (.parquet or .csv); none: print the kept figures"
    )
    weather.add_argument(
        "weather",
        nargs="*",
        type=Path,
        help="observed weather (.parquet or .csv) of the city, then of other places on the same days",
    )
    weather.add_argument("--weeks", type=int, default=12)
    weather.add_argument(
        "--earlier",
        type=int,
        action="append",
        default=[],
        metavar="DAYS",
        help="the city's own weather of so many days earlier, where no other place's is at hand",
    )
    weather.add_argument("--write", action="store_true", help="write the table into its README")
    calendar = commands.add_parser(
        "calendar", help="the default model with and without school holidays and events"
    )
    calendar.set_defaults(module="accuracy.calendar_gain")
    calendar.add_argument(
        "file", type=Path, nargs="?", help="counts; none: a simulated city with known events"
    )
    calendar.add_argument("--weeks", type=int, default=12)
    calendar.add_argument(
        "--retrain-days", type=int, default=28, help="days from one training to the next"
    )
    for command in (fit, scale, bounds, weather, calendar):
        command.add_argument(
            "--city",
            default="paris",
            help="city whose time zone and holidays apply (default paris)",
        )
        command.add_argument("--json", type=Path, help="file to write the figures to as JSON")
    weather.set_defaults(json=FIGURES / "weather.json")
    return parser.parse_args()


def _add_continuations(commands: Any) -> None:
    continuations = commands.add_parser(
        "continuations", help="counters of real counts split in two, and proposed as one again"
    )
    continuations.set_defaults(module="counts.continuations")
    continuations.add_argument("files", type=Path, nargs="+", help="<city>-counts.parquet files")
    continuations.add_argument(
        "--rounds", type=int, default=10, help="times that counters are split (default 10)"
    )
    continuations.add_argument("--seed", type=int, default=1, help="of the first round (default 1)")
    continuations.add_argument("--json", type=Path, help="file to write the figures to as JSON")


def _add_arena(commands: Any) -> None:
    arena = commands.add_parser(
        "arena", help="Velocast and other forecasters on the same rows, in several cities"
    )
    arena.set_defaults(module="accuracy.arena", folder=Path())
    arena.add_argument(
        "folders",
        nargs="*",
        type=Path,
        help="folders of <city>-counts.parquet files; none: print the kept figures",
    )
    arena.add_argument("--cities", default="paris,muenster,seattle", help="separated by commas")
    arena.add_argument(
        "--forecasters",
        default="mlforecast,mstl,autoets,prophet",
        help="separated by commas; empty: only Velocast and the references",
    )
    arena.add_argument("--weeks", type=int, default=12, help="the last of each file (default 12)")
    arena.add_argument(
        "--city", action="append", default=[], metavar="CITY=FILE", help="a city's own description"
    )
    arena.add_argument(
        "--weather",
        action="append",
        default=[],
        metavar="CITY=FILE",
        help="observed weather: score the default model with it, made uncertain, too",
    )
    arena.add_argument(
        "--every", type=int, default=3, help="ask the slow ones at each n-th origin (default 3)"
    )
    arena.add_argument(
        "--counters", type=int, default=20, help="ask them for so many counters (default 20)"
    )
    arena.add_argument("--timeout", type=float, default=3600, help="seconds for one answer")
    arena.add_argument("--forest", action="store_true", help="score the predecessor's forest too")
    arena.add_argument(
        "--json",
        type=Path,
        default=FIGURES / "arena.json",
        help="file of the figures (default benchmarks/figures/arena.json)",
    )
    arena.add_argument("--write", action="store_true", help="write the tables into the READMEs")


def main() -> None:
    arguments = _arguments()
    importlib.import_module(f"benchmarks.{arguments.module}").main(arguments)


if __name__ == "__main__":
    main()
