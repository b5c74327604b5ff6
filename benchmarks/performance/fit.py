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
from velocast_local.simulation.city import simulate
from velocast_local.simulation.files import write_city

COUNTERS = 100
STAGE_FIGURES = ("seconds", "cpu_seconds", "emulator_cpu_seconds")
DAYS = (
    60  # of the city of 100 counters: what five days' features look back to, and some to learn from
)


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, width=96)
    city = city_of(arguments.city)
    with tempfile.TemporaryDirectory(prefix="velocast-bench-") as name:
        folder = Path(name)
        learned, forest, emulator_mb = fit_both(folder, arguments, city)
        forecast = five_days(folder, arguments.city, city)
    figures = {
        DEFAULT_KIND: vars(learned),
        "forest": vars(forest),
        "emulator_peak_mb": emulator_mb,
        "ratios": ratios(learned, forest),
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


def total(step: Step, figure: str) -> float:
    """Return a figure of all stages of a step together, such as features and fit."""
    return float(sum(part[figure] for part in step.figures["stages"].values()))


def ratios(learned: Step, forest: Step) -> dict[str, float]:
    """Return what the default model takes, relative to the forest.

    seconds: features and fit, in wall time; cpu: the same in CPU seconds of all processes; without_emulator: without
    those of the emulator, whose work BigQuery does in production.
    """
    own, of_forest = total(learned, "cpu_seconds"), total(forest, "cpu_seconds")
    emulated = total(learned, "emulator_cpu_seconds")
    return {
        "seconds": total(learned, "seconds") / total(forest, "seconds"),
        "cpu": (own + emulated) / of_forest,
        "without_emulator": own / of_forest,
    }


def table(figures: dict[str, Any], learned: Step, forest: Step, forecast: Step) -> Table:
    made = Table(box=box.SIMPLE, width=96)
    for name in ("step", "seconds", "CPU s", "emulator's CPU s", "MB", "target"):
        made.add_column(name, justify="left" if name == "step" else "right")
    parts, rows = learned.figures["stages"], learned.figures["rows"]
    made.add_row(f"default model, {rows:,} rows read", *_sums(learned), "600 MB")
    made.add_row("  of which features", *_stage(parts["features"]), "")
    made.add_row(f"reference forest, {forest.figures['rows']:,} rows", *_sums(forest), "")
    for name, label in (
        ("seconds", "default model / forest"),
        ("cpu", "  in CPU seconds"),
        ("without_emulator", "  in CPU seconds, without the emulator's"),
    ):
        aim = "0.125" if name == "seconds" else ""
        made.add_row(label, f"{figures['ratios'][name]:.3f}", "", "", "", aim)
    days = forecast.figures["stages"]
    for name, label in (("five_days", ""), ("first", ", with loading of libraries")):
        counters = forecast.figures["counters"]
        made.add_row(f"five days, {counters} counters{label}", *_stage(days[name]), "1 s")
    waited = days["five_days"]["features"]
    made.add_row("  of which features", f"{waited:.2f}", "", "", "", "")
    return made


def _sums(step: Step) -> tuple[str, ...]:
    figures = {name: total(step, name) for name in STAGE_FIGURES}
    return _stage(figures | {"peak_mb": step.peak_mb})


def _stage(figures: dict[str, float]) -> tuple[str, ...]:
    return (*(f"{figures[name]:.2f}" for name in STAGE_FIGURES), f"{figures['peak_mb']:,.0f}")
