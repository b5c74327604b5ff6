"""Measure the whole local stack, emulators included: `make bench`. Times are wall time."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import harness
from benchmarks.performance.latency import measure_latency, measure_throughput
from gcp_emulators.core.http_server import free_port
from velocast.core.datetimes import rfc3339
from velocast_local.city.replayed_counts import CityFile
from velocast_local.demo import AuditReader, Player, Progress, details_of
from velocast_local.simulation.city import simulate
from velocast_local.simulation.files import write_city
from velocast_local.stack import environment, lifecycle, status
from velocast_local.stack.state import read_state

COUNTERS, DAYS = 100, 172
JOBS = ("train", "evaluate", "promote")


class Watch:
    """Seconds of a block, and the peak resident memory of a process and its children meanwhile (MB)."""

    seconds = 0.0
    peak_mb = 0.0


@contextmanager
def watched(process: psutil.Process | None) -> Iterator[Watch]:
    watch, over = Watch(), threading.Event()

    def look() -> None:
        while process and not over.wait(0.05):
            family = [process, *process.children(recursive=True)]
            watch.peak_mb = max(watch.peak_mb, sum(p.memory_info().rss for p in family) / 2**20)

    thread = threading.Thread(target=look)
    thread.start()
    began = time.monotonic()
    yield watch
    watch.seconds = time.monotonic() - began
    over.set()
    thread.join()


def part(home: Path, name: str) -> psutil.Process:
    return psutil.Process(status.stack_status(home)["parts"][name]["pid"])


def bench_ingestion(
    home: Path, player: Player, audit: AuditReader, table: Table, day: datetime
) -> None:
    fetch = part(home, "fetch")
    player.set_clock(day, back=True)
    with watched(fetch) as watch:
        player.publish("velocast-fetch")
    rows = details_of(audit.latest("INGESTION"))["inserted"]
    table.add_row(f"backfill of {rows:,} counts through fetch", f"{watch.seconds:.1f} s", "60 s")
    table.add_row("  memory of fetch", f"{watch.peak_mb:,.0f} MB", "1,500 MB")
    player.set_clock(day + timedelta(days=1))
    with watched(fetch) as watch:
        player.publish("velocast-fetch")
    details = details_of(audit.latest("INGESTION"))
    label = f"a day's fetch ({details['inserted']:,} new of {details['fetched']:,})"
    table.add_row(label, f"{watch.seconds:.1f} s", "5 s")


def bench_training(player: Player, table: Table) -> None:
    with watched(None) as watch:
        player.publish("velocast-monitor")
    table.add_row("first training: three jobs, one workflow", f"{watch.seconds:.1f} s", "")


def bench_retraining(table: Table, as_of: datetime) -> None:
    """Run the jobs of a retraining beside a champion, each in its own process as in its container."""
    lifted = ("MIN_GAIN", "MIN_REFERENCE_GAIN", "MIN_REFERENCE_GAIN_LOW")
    os.environ.update(
        dict.fromkeys(lifted, "-100")
    )  # no gain is needed, so that all three jobs run
    try:
        asked: dict[str, Any] = {"execution_id": "bench-retraining", "as_of": rfc3339(as_of)}
        steps = {name: harness.run_isolated("job", name=name, **asked) for name in JOBS}
    finally:
        for name in lifted:
            del os.environ[name]
    total, read = 0.0, 0
    for name, step in steps.items():
        assert step is not None  # no limit was given
        part, rows = step.figures["stages"][name], sum(step.figures["rows"].values())
        total, read = total + part["seconds"], read + rows
        label = f"  {name}: {rows:,} rows from BigQuery, {part['peak_mb']:,.0f} MB"
        table.add_row(label, f"{part['seconds']:.1f} s", "")
    table.add_row(f"a retraining: {read:,} rows from BigQuery", f"{total:.1f} s", "")


def bench_forecasts(player: Player, audit: AuditReader, table: Table) -> None:
    player.publish("velocast-predict")  # the first run of an instance loads the libraries
    with watched(None) as watch:
        player.publish("velocast-predict")
    details = details_of(audit.latest("PREDICTION"))
    label = f"{details['forecasts']:,} forecasts, {COUNTERS} counters, v{details['model_version']}"
    table.add_row(label, f"{watch.seconds:.1f} s", "5 s")


def bench_serve(home: Path, table: Table) -> None:
    state = read_state(home)
    assert state is not None
    port = free_port()
    variables = environment.process_environment(state) | {"VELOCAST_REQUESTS_PER_MINUTE": "1000000"}
    folder = harness.ROOT / "functions/serve"
    times = []
    for _ in range(5):
        with watched(None) as watch:
            subprocess.run(
                [sys.executable, "-c", "import main"], cwd=folder, env=variables, check=True
            )
        times.append(watch.seconds)
    table.add_row("serve: interpreter and imports, best of 5", f"{min(times):.2f} s", "1.5 s")
    command = [
        str(Path(sys.executable).parent / "functions-framework"),
        "--target=serve",
        f"--port={port}",
    ]
    server = subprocess.Popen(
        [*command, "--host=127.0.0.1", f"--source={folder / 'main.py'}"],
        env=variables,
        stdout=subprocess.DEVNULL,
    )
    try:
        base = f"http://127.0.0.1:{port}"
        key = (home / "secrets/api-keys").read_text().strip().partition(":")[2]
        headers = {"X-API-Key": key}
        _wait(f"{base}/readyz")
        found = httpx.get(f"{base}/v1/counters", headers=headers).raise_for_status().json()
        counters = [c["counter_id"] for c in found["counters"]]
        urls = [f"{base}/v1/counters/{c}/forecast" for c in counters]
        result = measure_latency(urls, headers, rate=50, seconds=20)
        family = psutil.Process(server.pid)
        busy = _cpu_seconds(family)
        with watched(family) as watch:
            rate = measure_throughput(urls, headers, clients=4, seconds=10)
        busy = _cpu_seconds(family) - busy
    finally:
        server.terminate()
        server.wait(10)
    label = f"serve: 50 forecasts a second, {result.requests} requests"
    table.add_row(label, f"p50 {result.p50:.1f}, p99 {result.p99:.1f} ms", "p99 20 ms")
    # The clients use the same cores, so the CPU of serve alone is shown too.
    cost = 1000 * busy / (rate * watch.seconds)
    table.add_row("serve: as many as it answers", f"{rate:,.0f}/s, {cost:.2f} ms CPU each", "600/s")
    table.add_row("  memory of serve", f"{watch.peak_mb:,.0f} MB", "256 MB")


def _cpu_seconds(process: psutil.Process) -> float:
    return sum(sum(p.cpu_times()[:2]) for p in [process, *process.children(recursive=True)])


def _wait(url: str) -> None:
    for _ in range(200):
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"{url} did not become ready in 20 s")


def run(home: Path, console: Console) -> Table:
    table = Table("step", "measured", "target", title="Velocast on this machine")
    city = home / "city.parquet"
    write_city(simulate(COUNTERS, days=DAYS, seed=3), city)
    with watched(None) as watch:
        state = lifecycle.start_stack(home, replay=city, city="demoville", say=console.print)
    table.add_row("start of the local stack", f"{watch.seconds:.1f} s", "")
    os.environ.update(lifecycle.stack_variables(home))
    audit = AuditReader(state["project"], state["location"])
    last = CityFile(city).last
    day = datetime(last.year, last.month, last.day, 2, tzinfo=UTC)
    with Player(state, Progress(console.print)) as player:
        bench_ingestion(home, player, audit, table, day)
        bench_training(player, table)
        bench_retraining(table, day + timedelta(days=1, minutes=30))
        bench_forecasts(player, audit, table)
    bench_serve(home, table)
    table.add_row(
        "memory of the whole stack", f"{status.stack_status(home)['memory_mb']:,} MB", "4,000 MB"
    )
    return table


def main(_arguments: argparse.Namespace) -> None:
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="velocast-bench-") as folder:
        home = Path(folder)
        try:
            console.print(run(home, console))
        finally:
            lifecycle.stop_stack(home)
