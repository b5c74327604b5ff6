"""Compare fitting the default model, as the train job does, with fitting the reference forest on the same file."""

from __future__ import annotations

import argparse
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import harness
from benchmarks.harness import Step
from velocast.core.city import City, load_city
from velocast.core.datetimes import local_date, rfc3339, start_of_local_day
from velocast.core.kinds import DEFAULT_KIND
from velocast_cli.backtesting import city_tables
from velocast_cli.cities import city_of
from velocast_local.simulation.city import simulate, write_city

COUNTERS = 100
DAYS = (
    60  # of the city of 100 counters: what five days' features look back to, and some to learn from
)


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, width=80)
    city = city_of(arguments.city)
    with tempfile.TemporaryDirectory(prefix="velocast-bench-") as name:
        folder = Path(name)
        learned, forest, emulator_mb = fit_both(folder, arguments, city)
        forecast = five_days(folder, arguments.city, city)
    figures = {
        DEFAULT_KIND: vars(learned),
        "forest": vars(forest),
        "emulator_peak_mb": emulator_mb,
        "ratio": seconds(learned) / seconds(forest),
        "five_days": vars(forecast),
    }
    harness.write(figures, arguments.json)
    console.print(table(figures, learned, forest, forecast))


def fit_both(folder: Path, arguments: argparse.Namespace, city: City) -> tuple[Step, Step, float]:
    """Fit both, each in its own process; return both steps and the emulator's peak memory, MB."""
    with harness.warehouse(arguments.city) as (store, emulator):
        counts = city_tables.counts_with_quality(
            store, city, harness.read_counts(arguments.file, city), harness.RAW_COUNTS
        )
        harness.load_counts(counts)
        learned = harness.run_isolated(
            "learn", **forecast_task(counts, city), model=folder / "model"
        )
        emulator_mb = harness.peak_mb(emulator.pid)
    counts.to_parquet(folder / "counts.parquet", index=False)
    forest = harness.run_isolated("forest", counts=folder / "counts.parquet", zone=city.time_zone)
    assert learned is not None
    assert forest is not None
    return learned, forest, emulator_mb


def five_days(folder: Path, city_name: str, city: City) -> Step:
    """Measure five days of forecasts for a city of COUNTERS counters."""
    file = folder / "city.parquet"
    write_city(simulate(COUNTERS, days=DAYS, seed=3), file)
    with harness.warehouse(city_name):
        counts = harness.read_counts(file, load_city("demoville"))
        harness.load_counts(counts)
        asked = forecast_task(counts, city)
        harness.run_isolated("learn", **asked, model=folder / "small")
        made = harness.run_isolated("forecast", as_of=asked["as_of"], model=folder / "small")
    assert made is not None
    return made


def forecast_task(counts: pd.DataFrame, city: City) -> dict[str, Any]:
    """Return as_of, first_day and rows_a_day of whole local days of counts."""
    first, until = city_tables.span(counts)
    origin: date = local_date(until, city.zone)
    day = local_date(first, city.zone) + timedelta(days=1)
    return {
        # some hours into the local day after the last counts
        "as_of": rfc3339(start_of_local_day(origin, city.zone) + timedelta(hours=4)),
        "first_day": day.isoformat(),
        "rows_a_day": len(counts) / (origin - day).days,
    }


def seconds(step: Step) -> float:
    """Return the seconds of features and fit together."""
    return float(sum(part["seconds"] for part in step.figures["stages"].values()))


def table(figures: dict[str, Any], learned: Step, forest: Step, forecast: Step) -> Table:
    made = Table(box=box.SIMPLE, width=80)
    for name in ("step", "seconds", "MB", "target"):
        made.add_column(name, justify="left" if name == "step" else "right")
    parts, rows = learned.figures["stages"], learned.figures["rows"]
    made.add_row(
        f"default model, {rows:,} rows read",
        f"{seconds(learned):.1f}",
        f"{learned.peak_mb:,.0f}",
        "600 MB",
    )
    made.add_row("  of which features", f"{parts['features']['seconds']:.1f}", "", "")
    made.add_row(
        f"reference forest, {forest.figures['rows']:,} rows",
        f"{seconds(forest):.1f}",
        f"{forest.peak_mb:,.0f}",
        "",
    )
    made.add_row("default model / forest", f"{figures['ratio']:.3f}", "", "0.125")
    days = forecast.figures["stages"]
    for name, label in (("five_days", ""), ("first", ", with loading of libraries")):
        made.add_row(
            f"five days, {forecast.figures['counters']} counters{label}",
            f"{days[name]['seconds']:.2f}",
            f"{days[name]['peak_mb']:,.0f}",
            "1 s",
        )
    made.add_row("  of which features", f"{days['five_days']['features']:.2f}", "", "")
    return made
