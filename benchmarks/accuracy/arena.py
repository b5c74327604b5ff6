"""Velocast and other forecasters on the same rows and origins, in several cities: `make bench ARGS="arena DIR..."`.

Every part (a city's own backtest, a forecaster in a city) is kept under build/arena, so an interrupted run continues.
Parts that an earlier version of this measured, or that cover other origins or counters, are measured again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from benchmarks import harness
from benchmarks.accuracy import arena_tables
from benchmarks.accuracy.cities import ENDING, description_of
from velocast.core.city import City
from velocast.core.datetimes import local_date
from velocast.core.kinds import DEFAULT_KIND
from velocast_cli.backtesting import file_backtest, scores
from velocast_cli.backtesting.file_backtest import BacktestRequest
from velocast_cli.backtesting.outside.comparison import compare_outside
from velocast_cli.backtesting.outside.forecasts import OutsideForecasts, chosen, forecast_outside
from velocast_cli.backtesting.outside.process import ForecasterCost
from velocast_cli.backtesting.outside.request import OutsideForecaster, OutsideRequest
from velocast_cli.backtesting.plan import RETRAIN_DAYS, Spent
from velocast_cli.backtesting.references import REFERENCES
from velocast_cli.cities import city_of

KEPT_PARTS = harness.ROOT / "build/arena"
NAME = "arena"
FIGURES = harness.ROOT / "benchmarks/figures/arena.json"
WITH_WEATHER = "with weather"
# Raise it when a part's figures change their meaning. 2: CPU seconds of fits, forecasts and features.
PART_FORMAT = 2


@dataclass(frozen=True)
class Opponent:
    """A shipped forecaster: its environment, its command, and whether it is too slow for all origins and counters."""

    environment: str
    command: str
    slow: bool = False

    def forecaster(self, name: str) -> OutsideForecaster:
        """Return it as `velocast backtest --against` takes it."""
        python = harness.ROOT / ".venv/bench" / self.environment / "bin/python"
        return OutsideForecaster(name, f"{python} -m benchmarks.forecasters.{self.command}")


OPPONENTS = {
    "mlforecast": Opponent("mlforecast", "mlforecast_lightgbm"),
    "mstl": Opponent("statsforecast", "statsforecast_models MSTL", slow=True),
    "autoets": Opponent("statsforecast", "statsforecast_models AutoETS", slow=True),
    "prophet": Opponent("prophet", "prophet_model", slow=True),
}


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, width=80)
    if arguments.folders:
        measure(arguments, console)
    figures = json.loads(arguments.json.read_text())
    for table in arena_tables.screen_tables(figures):
        console.print(table)
    if arguments.write:
        for file, lines in arena_tables.documents(figures).items():
            harness.write_between_marks(NAME, lines, harness.ROOT / file)


def measure(arguments: argparse.Namespace, console: Console) -> None:
    """Measure what is not kept yet, city by city, and write the figures after every part."""
    names = [name for name in arguments.forecasters.split(",") if name]
    if unknown := [name for name in names if name not in OPPONENTS]:
        raise SystemExit(f"--forecasters {unknown}: choose from {', '.join(OPPONENTS)}")
    figures: dict[str, Any] = {"cities": []}
    for name in arguments.cities.split(","):
        found: dict[str, Any] = {"city": name}
        figures["cities"].append(found)
        for _ in _parts(name, names, arguments, console, found):
            harness.write(figures, arguments.json)


def _parts(
    name: str,
    names: list[str],
    arguments: argparse.Namespace,
    console: Console,
    found: dict[str, Any],
) -> Iterator[None]:
    """Fill in a city's figures part by part."""
    described = description_of(name, arguments)
    if described is None:
        raise SystemExit(f"{name}: no description; give --city {name}=FILE")
    city = city_of(described)
    folder = KEPT_PARTS / f"{name}-{arguments.weeks}-weeks"
    folder.mkdir(parents=True, exist_ok=True)
    own = own_backtest(city, counts_file(name, arguments.folders), None, folder, arguments, console)
    rows = pd.read_parquet(folder / "rows.parquet")
    found |= {"name": city.name} | own | {"outside": []}
    yield
    for opponent in names:
        made = outside_part(opponent, city, rows, folder, arguments, console)
        compared = compare_outside(rows, made) | {"command": "", "cpu_origins": len(made.origins)}
        found["outside"].append(compared)
        yield
    weather = dict(text.split("=", 1) for text in arguments.weather).get(name)
    if weather:
        file = counts_file(name, arguments.folders)
        known = own_backtest(city, file, Path(weather), folder, arguments, console)
        model = next(model for model in known["models"] if model["name"] == DEFAULT_KIND)
        found[WITH_WEATHER] = model | {"features": known["features"]}
        yield


def counts_file(name: str, folders: list[Path]) -> Path:
    """Return a city's file of counts. Raises SystemExit when no folder has it."""
    for folder in folders:
        if (file := folder / f"{name}{ENDING}").is_file():
            return file
    raise SystemExit(f"{name}{ENDING} is in none of {', '.join(map(str, folders))}")


def own_backtest(
    city: City,
    file: Path,
    weather: Path | None,
    folder: Path,
    arguments: argparse.Namespace,
    console: Console,
) -> dict[str, Any]:
    """Return the figures of a city's own backtest; its rows and usable counts are kept in the folder."""
    kept = folder / ("own.json" if weather is None else "weather.json")
    references = REFERENCES if arguments.forest and weather is None else REFERENCES[:3]
    identity = {"references": list(references), "weather": weather and weather.name}
    if (figures := kept_part(kept, identity, console)) is not None:
        return figures
    console.print(f"{city.name}: backtest of {arguments.weeks} weeks")
    asked = BacktestRequest(
        (file,),
        weather,
        "perturbed",
        arguments.weeks,
        None,
        (DEFAULT_KIND,),
        references,
        new_counters=False,
    )
    made = file_backtest.backtest_file(asked, city, console.print)
    summary = scores.summarize(made)
    figures = {
        key: summary[key]
        for key in ("rows", "origins", "counters", "first_origin_at", "last_origin_at")
    }
    figures |= {
        "weeks": arguments.weeks,
        "models": [],
        "features": spent_in(made.features_spent, arguments),
    }
    for model in summary["models"]:
        spent = made.spent.get(model["name"])
        model |= {"spent": None if spent is None else spent_in(spent, arguments)}
        figures["models"].append({key: model[key] for key in model if key != "lead_days"})
    if weather is None:
        made.rows.to_parquet(folder / "rows.parquet")
        made.usable.to_parquet(folder / "counts.parquet")
    keep_part(figures, identity, kept)
    return figures


def spent_in(spent: Spent, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what fits and forecasts took, and of how many fits and weeks."""
    return {"weeks": arguments.weeks, **asdict(spent)}


def kept_part(file: Path, asked: dict[str, Any], console: Console) -> dict[str, Any] | None:
    """Return a kept part's figures, or None; report a part that is older or of other rows or models.

    asked: what identifies the rows and models, as `keep_part` got it.
    """
    if not file.is_file():
        return None
    part = json.loads(file.read_text())
    if part.get("format") != PART_FORMAT or part["asked"] != asked:
        console.print(f"{file.parent.name}/{file.name} is of another measurement; measuring again")
        return None
    figures: dict[str, Any] = part["figures"]
    return figures


def keep_part(figures: dict[str, Any], asked: dict[str, Any], file: Path) -> None:
    """Keep a part's figures for `kept_part`."""
    harness.write({"format": PART_FORMAT, "asked": asked, "figures": figures}, file)


def outside_part(
    name: str,
    city: City,
    rows: pd.DataFrame,
    folder: Path,
    arguments: argparse.Namespace,
    console: Console,
) -> OutsideForecasts:
    """Return a forecaster's forecasts in a city, kept or made now."""
    opponent = OPPONENTS[name]
    forecaster = opponent.forecaster(name)
    request = OutsideRequest(
        (forecaster,),
        arguments.every if opponent.slow else 1,
        arguments.counters if opponent.slow else None,
        arguments.timeout,
    )
    stem = f"{name}-{request.every}-{request.counters}"
    kept, about = folder / f"{stem}.parquet", folder / f"{stem}.json"
    origins, counters = chosen(request, rows)
    asked = {"origins": [at.isoformat() for at in origins], "counters": counters}
    if (said := kept_part(about, asked, console)) is not None:
        cost = ForecasterCost(**said["cost"])
        made = pd.read_parquet(kept)
        return OutsideForecasts(forecaster, origins, counters, made, cost, said["error"])
    console.print(f"{city.name}: {name}, {len(origins)} origins, {len(counters)} counters")
    days = [local_date(at, city.zone) for at in sorted(rows["origin_at"].unique())]
    counts = pd.read_parquet(folder / "counts.parquet")
    found = forecast_outside(
        forecaster, request, rows, counts, city, days[::RETRAIN_DAYS], console.print
    )
    found.rows.to_parquet(kept)
    if found.error is None:  # what failed is tried again
        keep_part({"cost": asdict(found.cost), "error": found.error}, asked, about)
    return found
