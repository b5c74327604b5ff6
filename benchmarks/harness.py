"""Shared by the benchmarks: a BigQuery emulator with counts, steps in their own processes, and tables in documents."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from gcp_emulators.bigquery.emulator import BigQueryEmulator, create_tables
from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.google_clients import bigquery_client
from velocast.core import schemas
from velocast.core.city import City
from velocast_cli.backtesting import city_tables
from velocast_cli.city_file import read_city_files

PROJECT, LOCATION = "velocast-bench", "europe-west1"
RAW_COUNTS = f"{schemas.RAW}.bench_raw"
EMULATOR_PID = "BENCH_EMULATOR_PID"  # environment variable by which a step finds the emulator
ROOT = Path(__file__).parents[1]
# Settings that a job needs. No benchmark step uses Cloud Storage, Pub/Sub or MLflow.
SETTINGS = {
    "GOOGLE_CLOUD_PROJECT": PROJECT,
    "VELOCAST_LOCATION": LOCATION,
    "VELOCAST_ENVIRONMENT": "dev",
    "VELOCAST_MODELS_BUCKET": f"{PROJECT}-models",
    "VELOCAST_DATASETS_BUCKET": f"{PROJECT}-datasets",
    "VELOCAST_SITE_BUCKET": f"{PROJECT}-site",
    "VELOCAST_ALERTS_TOPIC": "velocast-alerts",
    "VELOCAST_FORECAST_WORKFLOW": "velocast-forecast",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    "OTEL_METRICS_EXPORTER": "none",
}


@dataclass(frozen=True)
class Step:
    """Seconds and peak memory (VmHWM, MB) of a step's process; figures: what the step reports about its stages."""

    seconds: float
    peak_mb: float
    figures: dict[str, Any] = field(default_factory=dict)


@contextmanager
def warehouse(city_name: str) -> Iterator[tuple[Warehouse, BigQueryEmulator]]:
    """Start an emulator with the system's empty tables, and connect Google's clients and the settings to it."""
    with tempfile.TemporaryDirectory(prefix="velocast-bench-") as folder:
        emulator = BigQueryEmulator(Path(folder), PROJECT)
        with emulator:
            os.environ.update(SETTINGS | {"VELOCAST_CITY": city_name})
            os.environ[EMULATOR_PID] = str(emulator.pid)
            os.environ["BIGQUERY_EMULATOR_HOST"] = emulator.url
            os.environ["BIGQUERY_STORAGE_EMULATOR_HOST"] = emulator.storage_host
            create_tables(bigquery_client(PROJECT, LOCATION), schemas.documents(), LOCATION)
            yield Warehouse(PROJECT, LOCATION), emulator


def read_counts(file: Path, city: City) -> pd.DataFrame:
    """Read counter_id, counted_at (UTC), bike_count and quality from a city's file. Raises ValueError."""
    return read_city_files(city, [file]).counts


def load_counts(counts: pd.DataFrame) -> None:
    """Load marked counts into the system's counts table by one load job."""
    from google.cloud import bigquery

    file = io.BytesIO()
    pq.write_table(
        city_tables.arrow_counts(counts),
        file,
        coerce_timestamps="us",
        allow_truncated_timestamps=True,
    )
    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
    )
    client = bigquery_client(PROJECT, LOCATION)
    client.load_table_from_file(
        file, f"{PROJECT}.{schemas.COUNTS}", rewind=True, job_config=config
    ).result()


def run_isolated(step: str, *, limit: float | None = None, **arguments: Any) -> Step | None:
    """Run a function of `benchmarks.steps` in its own process; None when it takes more than `limit` seconds.

    Raises RuntimeError with the end of its standard error when it fails.
    """
    command = [sys.executable, "-m", "benchmarks.steps", step, json.dumps(arguments, default=str)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise RuntimeError(
            f"step {step} ended with exit code {done.returncode}:\n{done.stderr[-3000:]}"
        )
    return Step(**json.loads(done.stdout.splitlines()[-1]))


def peak_mb(pid: int | None = None) -> float:
    """Return the peak resident memory of a process, in MB; 0 on systems other than Linux."""
    status = Path(f"/proc/{pid or 'self'}/status")
    if not status.exists():
        return 0.0
    line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def emulator_cpu_seconds() -> float:
    """Return the CPU seconds that the emulator has used so far; 0 without one, and on systems other than Linux."""
    status = Path(f"/proc/{os.environ.get(EMULATOR_PID, 'none')}/stat")
    if not status.exists():
        return 0.0
    # proc(5): after the name in brackets, user and system time are the 12th and 13th
    fields = status.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write(figures: dict[str, Any], file: Path | None) -> None:
    """Write figures as JSON to `file`, if one is given."""
    if file:
        file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _marks(name: str) -> tuple[str, str]:
    return (
        f"<!-- {name}: figures from benchmarks/figures/{name}.json -->",
        f"<!-- {name}: end -->",
    )


def write_between_marks(name: str, lines: list[str], file: Path) -> None:
    """Put a benchmark's lines between its marks in a document."""
    begin, end = _marks(name)
    text = file.read_text(encoding="utf-8")
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    file.write_text(before + "\n".join([begin, "", *lines, "", end]) + after, encoding="utf-8")


def lines_between_marks(name: str, file: Path) -> list[str]:
    """Return the lines between a benchmark's marks in a document."""
    begin, end = _marks(name)
    text = file.read_text(encoding="utf-8")
    return text.partition(begin)[2].partition(end)[0].strip("\n").split("\n")
