"""Time, memory and cost for cities of 50 to 10,000 counters.

Synthetic cities of up to `--emulate` counters are loaded into the BigQuery emulator. For larger ones BigQuery's results
are copies of those for the largest emulated city (`steps/tiled_city.py`), so the time of BigQuery itself is not
measured.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import harness
from benchmarks.performance import bigquery_cost
from benchmarks.performance.fit import forecast_task
from gcp_emulators.core.http_server import HttpServer, free_ports
from gcp_emulators.storage.api import storage_routes
from gcp_emulators.storage.store import ObjectStore
from velocast.core.city import City, load_city
from velocast_cli.cities import city_of
from velocast_local.simulation.city import simulate
from velocast_local.simulation.files import write_city

NOT_MEASURED = "not measured"
MODELS = f"{harness.PROJECT}-models"
COLUMNS = (
    ("features", "learn", "features"),
    ("fit", "learn", "fit"),
    ("five days", "forecast", "five_days"),
    ("snapshot", "forecast", "snapshot"),
)


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, width=80)
    sizes = sorted({int(size) for size in arguments.counters.split(",")})
    with (
        tempfile.TemporaryDirectory(prefix="velocast-bench-") as folder,
        _storage(Path(folder)) as store,
    ):
        cities = measure_cities(Path(folder), arguments, sizes, console, store)
    costs = [bigquery_cost.monthly_cost(counters) for counters in sizes]
    harness.write({"cities": cities, "bigquery": costs}, arguments.json)
    console.print(speed_table(cities))
    console.print(tasks_table(cities))
    console.print(cost_table(costs))


def measure_cities(
    folder: Path,
    arguments: argparse.Namespace,
    sizes: list[int],
    console: Console,
    store: ObjectStore,
) -> list[dict[str, Any]]:
    """Measure each city; those too large for the emulator consist of copies of the largest emulated one."""
    city, made = city_of(arguments.city), []
    emulated = [size for size in sizes if size <= arguments.emulate] or [arguments.emulate]
    base = emulated[-1]
    asked: dict[str, Any] = {}
    for counters in emulated:
        console.print(f"{counters:,} counters, {arguments.days} days, in the emulator")
        store.empty_bucket(MODELS)
        recording = folder / f"{counters}.answers" if counters == base else None
        figures, asked = in_emulator(folder, arguments, city, counters, recording)
        made.append(figures)
    for counters in [size for size in sizes if size > base]:
        tiles = -(-counters // base)
        console.print(f"{tiles * base:,} counters: {tiles} copies of the city of {base}")
        store.empty_bucket(MODELS)
        named = asked | {"rows_a_day": asked["rows_a_day"] * tiles}
        steps = train_and_forecast(folder, arguments, named, folder / f"{base}.answers", tiles)
        made.append({"counters": tiles * base, "emulated": False, **steps})
        harness.write({"cities": made}, arguments.json)  # after each city
    return made


def in_emulator(
    folder: Path, arguments: argparse.Namespace, city: City, counters: int, recording: Path | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure a city in an emulator; return the figures and the arguments of the steps."""
    file = folder / "city.parquet"
    write_city(simulate(counters, days=arguments.days, seed=3), file)
    with harness.warehouse(arguments.city) as (_, emulator):
        counts = harness.read_counts(file, load_city("demoville"))
        harness.load_counts(counts)
        asked = forecast_task(counts, city)
        steps = train_and_forecast(folder, arguments, asked, recording, 0)
        peak = harness.peak_mb(emulator.pid)
    return {"counters": counters, "emulated": True, "emulator_peak_mb": peak, **steps}, asked


def train_and_forecast(
    folder: Path,
    arguments: argparse.Namespace,
    asked: dict[str, Any],
    recording: Path | None,
    tiles: int,
) -> dict[str, Any]:
    """Train, then forecast; None for a step that exceeded the time limit, its own or that of a BigQuery job."""
    named = {"model": folder / "model", "recording": recording, "tiles": tiles}
    named |= {"limit": arguments.limit}
    wanted, then = arguments.parts.split(","), asked["as_of"]
    # without a model, tasks forecast with similar days
    learned = _step("learn", **asked, **named) if "process" in wanted else None
    made = _step("forecast", as_of=then, **named) if learned and "process" in wanted else None
    in_tasks = {
        f"task_{name}": _step("tasks", part=name, as_of=then, **named)
        if "tasks" in wanted
        else None
        for name in ("plan", "parts", "publish")
    }
    return {"learn": learned, "forecast": made, **in_tasks}


def _step(name: str, **asked: Any) -> dict[str, Any] | None:
    try:
        step = harness.run_isolated(name, **asked)
    except RuntimeError as exc:
        # the emulator exceeded the time limit of a BigQuery job
        if "WarehouseError" not in str(exc):
            raise
        return None
    return vars(step) if step else None


@contextmanager
def _storage(folder: Path) -> Iterator[ObjectStore]:
    """Serve Cloud Storage with the models bucket."""
    store = ObjectStore(folder / "objects")
    store.ensure_bucket(MODELS, versioning=False)
    with HttpServer(storage_routes(store), free_ports(1)[0]) as server:
        os.environ["STORAGE_EMULATOR_HOST"] = server.url
        yield store
    store.close()


def tasks_table(cities: list[dict[str, Any]]) -> Table:
    """Return time and memory of the job that forecasts in tasks."""
    made = Table(
        title="in tasks: CPU ms a counter / peak memory of the process in MB",
        caption="* without the time of BigQuery. The site's files are made, not uploaded",
        box=box.SIMPLE,
        width=80,
    )
    for name in ("counters", "tasks", "plan", "a task", "publish", "snapshot MB"):
        made.add_column(name, justify="right", no_wrap=True)
    for city in cities:
        plan, parts, publish = (city[f"task_{name}"] for name in ("plan", "parts", "publish"))
        star = "" if city["emulated"] else "*"
        counters = city["counters"]
        made.add_row(
            f"{counters:,}{star}",
            str(plan["figures"]["tasks"]) if plan else NOT_MEASURED,
            _task_cell(plan, "plan", counters),
            _task_cell(parts, "parts", parts["figures"]["counters"] if parts else 0),
            _task_cell(publish, "publish", counters),
            f"{publish['figures']['snapshot_mb']:.1f}" if publish else NOT_MEASURED,
        )
    return made


def _task_cell(step: dict[str, Any] | None, part: str, counters: int) -> str:
    if step is None:
        return NOT_MEASURED
    stage = step["figures"]["stages"][part]
    return f"{1000 * stage['cpu_seconds'] / counters:.1f} / {stage['peak_mb']:,.0f}"


def speed_table(cities: list[dict[str, Any]]) -> Table:
    made = Table(
        title="seconds / peak memory of the process in MB",
        caption="* without the time of BigQuery: its results are copies of a smaller city's",
        box=box.SIMPLE,
        width=80,
    )
    for name in ("counters", *(name for name, _, _ in COLUMNS), "emulator\nMB"):
        made.add_column(name, justify="right", no_wrap=True)
    for city in cities:
        star = "" if city["emulated"] else "*"
        cells = [_cell(city[step], part) for _, step, part in COLUMNS]
        emulator = f"{city['emulator_peak_mb']:,.0f}" if city["emulated"] else ""
        made.add_row(f"{city['counters']:,}{star}", *cells, emulator)
    return made


def _cell(step: dict[str, Any] | None, part: str) -> str:
    if step is None:
        return NOT_MEASURED
    stage = step["figures"]["stages"][part]
    return f"{stage['seconds']:.1f} / {stage['peak_mb']:,.0f}"


def cost_table(costs: list[dict[str, Any]]) -> Table:
    made = Table(
        title="BigQuery, computed: GB billed and USD at list price for a year of counts",
        caption="month: daily predict, weekly retraining; free tier: without the first TiB queried and"
        " 300 TiB read a month",
        box=box.SIMPLE,
        width=80,
    )
    for name in ("counters", "predict GB", "USD", "retrain GB", "USD", "month USD", "free"):
        made.add_column(name, justify="right")
    for cost in costs:
        made.add_row(
            f"{cost['counters']:,}",
            f"{cost['predict_query_gb']:.2f}",
            f"{cost['predict_usd']:.4f}",
            f"{cost['retrain_query_gb']:.2f}",
            f"{cost['retrain_usd']:.4f}",
            f"{cost['month_usd']:.2f}",
            f"{cost['month_usd_free_tier']:.2f}",
        )
    return made
