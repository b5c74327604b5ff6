"""Memory and time of the parts that read all counts, for cities of any size.

A city of up to `--emulate` counters is simulated and loaded into the BigQuery emulator. For larger ones BigQuery's
answers are made up (`made_up_city`), so its own time is not measured.
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
from benchmarks.fit import forecast_task
from gcp_emulators.core.http_server import HttpServer, free_ports
from gcp_emulators.storage.api import storage_routes
from gcp_emulators.storage.store import ObjectStore
from velocast.core.city import load_city
from velocast_cli.cities import city_of
from velocast_local.simulation.city import simulate, write_city

AS_OF = "2026-01-05T04:00:00Z"


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, width=80)
    made = []
    for counters in sorted({int(size) for size in arguments.counters.split(",")}):
        console.print(f"{counters:,} counters, {arguments.days} days")
        with tempfile.TemporaryDirectory(prefix="velocast-bench-") as folder:
            made.append(measure(Path(folder), arguments, counters))
    harness.write({"cities": made}, arguments.json)
    console.print(table(made))


def measure(folder: Path, arguments: argparse.Namespace, counters: int) -> dict[str, Any]:
    """Measure a city; one that is too large for the emulator is made up."""
    store = ObjectStore(folder / "objects")
    store.ensure_bucket(harness.SETTINGS["VELOCAST_DATASETS_BUCKET"], versioning=True)
    with HttpServer(storage_routes(store), free_ports(1)[0]) as server:
        os.environ["STORAGE_EMULATOR_HOST"] = server.url
        asked: dict[str, Any] = {"as_of": AS_OF, "counters": counters, "days": arguments.days}
        if counters > arguments.emulate:
            os.environ.update(harness.SETTINGS | {"VELOCAST_CITY": arguments.city})
            step = harness.run_isolated("freeze", **asked, limit=arguments.limit)
        else:
            step = _in_emulator(folder, arguments, asked)
    store.close()
    return {
        "counters": counters,
        "emulated": counters <= arguments.emulate,
        "freeze": vars(step) if step else None,
    }


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


def table(cities: list[dict[str, Any]]) -> Table:
    made = Table(
        title="freezing the counts and cutting them in time: seconds, CPU ms a counter, peak MB",
        caption="* BigQuery's answers are made up",
        box=box.SIMPLE,
        width=80,
    )
    for name in ("counters", "rows", "object MB", "s", "CPU ms a counter", "peak MB"):
        made.add_column(name, justify="right")
    for city in cities:
        star = "" if city["emulated"] else "*"
        if city["freeze"] is None:
            made.add_row(f"{city['counters']:,}{star}", *["not measured"] * 5)
            continue
        figures = city["freeze"]["figures"]
        stage = figures["stages"]["freeze"]
        made.add_row(
            f"{city['counters']:,}{star}",
            f"{figures['rows']:,}",
            f"{figures['object_mb']:,.0f}",
            f"{stage['seconds']:,.0f}",
            f"{1000 * stage['cpu_seconds'] / city['counters']:.1f}",
            f"{stage['peak_mb']:,.0f}",
        )
    return made
