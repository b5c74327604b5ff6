"""Memory and time of the parts that read all counts, for cities of any size.

A city of up to `--emulate` counters is simulated and loaded into the BigQuery emulator. For larger ones BigQuery's
answers are made up (`steps/made_up_city.py`), so its own time is not measured.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import harness
from benchmarks.performance.fit import forecast_task
from gcp_emulators.core.http_server import HttpServer, free_ports
from gcp_emulators.storage.api import storage_routes
from gcp_emulators.storage.store import ObjectStore
from velocast.core.city import load_city
from velocast_cli.cities import city_of
from velocast_local.simulation.city import simulate
from velocast_local.simulation.files import write_city

AS_OF = "2026-01-05T04:00:00Z"
SWEEP_DAYS = 730  # of the longest sweep: all of them are judged when late counts are as old


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, width=80)
    made = []
    for counters in sorted({int(size) for size in arguments.counters.split(",")}):
        console.print(f"{counters:,} counters, {arguments.days} days")
        with tempfile.TemporaryDirectory(prefix="velocast-bench-") as folder:
            made.append(measure(Path(folder), arguments, counters))
        harness.write({"cities": made}, arguments.json)  # of each, as the next takes long
    console.print(table(made))


def measure(folder: Path, arguments: argparse.Namespace, counters: int) -> dict[str, Any]:
    """Measure a city; one that is too large for the emulator is made up."""
    store = ObjectStore(folder / "objects")
    for name in ("datasets", "reports"):
        store.ensure_bucket(f"{harness.PROJECT}-{name}", versioning=False)
    with HttpServer(storage_routes(store), free_ports(1)[0]) as server:
        os.environ["STORAGE_EMULATOR_HOST"] = server.url
        asked: dict[str, Any] = {"as_of": AS_OF, "counters": counters, "days": arguments.days}
        os.environ.update(harness.SETTINGS | {"VELOCAST_CITY": arguments.city})
        wanted, steps = arguments.parts.split(","), dict[str, harness.Step | None]()
        for name in ("monitor", "gaps"):
            if name in wanted:
                made_up = {"as_of": AS_OF, "counters": counters}
                steps[name] = harness.run_isolated(name, **made_up, limit=arguments.limit)
        for name, late in (("faults", 0), ("sweep", SWEEP_DAYS)):
            if name in wanted:
                made_up = {"as_of": AS_OF, "counters": counters, "days": late}
                steps[name] = harness.run_isolated("faults", **made_up, limit=arguments.limit)
        if "reader" in wanted:
            steps["reader"] = harness.run_isolated("reader", counters=counters)
        if "freeze" in wanted:
            steps["freeze"] = (
                harness.run_isolated("freeze", **asked, limit=arguments.limit)
                if counters > arguments.emulate
                else _in_emulator(folder, arguments, asked)
            )
    store.close()
    made = {name: vars(step) if step else None for name, step in steps.items()}
    return {"counters": counters, "emulated": counters <= arguments.emulate, **made}


def _in_emulator(
    folder: Path, arguments: argparse.Namespace, asked: dict[str, Any]
) -> harness.Step | None:
    file = folder / "city.parquet"
    write_city(simulate(asked["counters"], days=asked["days"], seed=3), file)
    with harness.warehouse(arguments.city):
        counts = harness.read_counts(file, load_city("demoville"))
        harness.load_counts(counts)
        as_of = forecast_task(counts, city_of(arguments.city))["as_of"]
        del counts
        return harness.run_isolated("freeze", as_of=as_of, limit=arguments.limit)


PARTS = (
    ("freeze", "freeze", "velocast-train: freeze all counts"),
    ("monitor", "validate", "monitor: validate"),
    ("monitor", "drift", "monitor: drift"),
    ("gaps", "gaps", "fetch: estimate gaps"),
    ("faults", "faults", "fetch: find faults"),
    ("sweep", "faults", "fetch: find faults, two years"),
    ("reader", "reader", "read 1,000 feature rows a counter"),
)


def table(cities: list[dict[str, Any]]) -> Table:
    made = Table(
        title="seconds, CPU ms a counter, and peak memory of the process",
        caption="* BigQuery's answers are made up, as always but for freeze",
        box=box.SIMPLE,
        width=80,
    )
    for name in ("part", "counters", "rows", "s", "ms a counter", "peak MB"):
        made.add_column(name, justify="left" if name == "part" else "right")
    for step, part, title in PARTS:
        for city in [city for city in cities if step in city]:
            star = "*" if step == "freeze" and not city["emulated"] else ""
            made.add_row(title, f"{city['counters']:,}{star}", *_cells(city, step, part))
    return made


def _cells(city: dict[str, Any], step: str, part: str) -> list[str]:
    if city[step] is None:
        return ["not measured"] * 4
    figures = city[step]["figures"]
    stage = figures["stages"][part]
    return [
        f"{figures['rows']:,}",
        f"{stage['seconds']:,.1f}",
        f"{1000 * stage['cpu_seconds'] / city['counters']:.1f}",
        f"{stage['peak_mb']:,.0f}",
    ]
