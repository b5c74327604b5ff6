"""The steps that `harness.run_isolated` runs in their own processes: `python -m benchmarks.steps NAME ARGUMENTS`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks import fault_steps, forecast_tasks, harness
from benchmarks.made_up_city import MadeUpCounts, MadeUpForecasts
from benchmarks.tiled_city import RecordingWarehouse, TiledWarehouse
from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.frames import FrameBuilder
from velocast.adapters.gcs import Objects, read_address
from velocast.core import schemas
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import local_date, origin_of
from velocast.core.kinds import DEFAULT_KIND
from velocast.core.settings import FetchSettings, JobSettings, MonitorSettings
from velocast.model.learning import models
from velocast.model.learning.forecaster import TrainedModel
from velocast.usecases import feature_store, snapshot_format
from velocast.usecases.context import Run, Runtime, perform
from velocast.usecases.forecasting import forecast_rows, snapshot
from velocast.usecases.forecasting.busy_hours import BusyChampion
from velocast.usecases.forecasting.forecast_rows import ForecastInputs
from velocast.usecases.forecasting.snapshot import Published
from velocast.usecases.ingest import gaps as ingest_gaps
from velocast.usecases.ingest.faults import JUDGED_DAYS
from velocast.usecases.model_loading import LoadedChampion
from velocast.usecases.monitoring import drift_check, validation
from velocast.usecases.training.datasets import frozen_counts
from velocast.usecases.training.datasets.frames import Source, learning_frames
from velocast.usecases.training.datasets.windows import DayRange, calibration_start
from velocast.usecases.training.evaluate import EvaluateRequest, evaluate
from velocast.usecases.training.promote import PromoteRequest, promote
from velocast.usecases.training.train import TrainRequest, train
from velocast_cli.backtesting import reference_forest

REPORTS = f"{harness.PROJECT}-reports"
READ_COUNTERS = 10  # of a record batch
CLEAR_PEAK = "5"  # proc(5): resets VmHWM to the current resident memory

Stages = dict[str, dict[str, float]]


@contextmanager
def stage(stages: Stages, name: str) -> Iterator[None]:
    """Record seconds, CPU seconds of this process and of the emulator, and this one's peak resident memory, MB.

    Other load hardly affects CPU seconds.
    """
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        forget.write_text(CLEAR_PEAK)
    began, worked = time.monotonic(), time.process_time()
    emulated = harness.emulator_cpu_seconds()
    yield
    stages[name] = {
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - worked,
        "emulator_cpu_seconds": harness.emulator_cpu_seconds() - emulated,
        "peak_mb": harness.peak_mb(),
    }


@contextmanager
def clocked(owner: Any, name: str) -> Iterator[list[float]]:
    """Record the seconds of each call of a function while the block runs."""
    seconds: list[float] = []
    call: Callable[..., Any] = getattr(owner, name)

    def timed(*args: Any, **named: Any) -> Any:
        began = time.monotonic()
        try:
            return call(*args, **named)
        finally:
            seconds.append(time.monotonic() - began)

    with patch.object(owner, name, timed):
        yield seconds


def learn(
    as_of: str,
    first_day: str,
    rows_a_day: float,
    model: str,
    recording: str | None = None,
    tiles: int = 0,
) -> dict[str, Any]:
    """Read features and fit the default model on all counts, like the train job; write it to `model`."""
    run, warehouse = _run(as_of, recording, tiles)
    stages: Stages = {}
    until = local_date(run.as_of, run.settings.city.zone)
    known = DayRange(first=date.fromisoformat(first_day), until=until)
    source = Source(run, schemas.COUNTS, rows_a_day, weather_table=schemas.WEATHER)
    with stage(stages, "features"):
        rows, held_out = learning_frames(
            source, [known], calibration_start([known]), kind=DEFAULT_KIND
        )
    with stage(stages, "fit"):
        fitted = models.fit_model(DEFAULT_KIND, rows, held_out, seed=models.SEED)
        Path(model).write_bytes(fitted.to_bytes())
    _keep(warehouse, recording)
    return {"stages": stages, "rows": len(rows) + len(held_out)}


def forecast(
    as_of: str, model: str, recording: str | None = None, tiles: int = 0
) -> dict[str, Any]:
    """Load the model, forecast five days for every counter twice, and build the serving snapshot."""
    run, warehouse = _run(as_of, recording, tiles)
    stages: Stages = {}
    with stage(stages, "history"):
        origin = origin_of(run.as_of, run.settings.city.zone)
        history = snapshot.read_history(
            run.warehouse, run.settings.city, origin_at=origin, as_of=run.as_of
        )
    # the first time loads scikit-learn; the second is like that of a warm instance
    for name in ("first", "five_days"):
        if name == "first" and tiles:
            continue
        with clocked(feature_store, "read_features") as read, stage(stages, name):
            trained = TrainedModel.from_bytes(Path(model).read_bytes())
            loaded = LoadedChampion(trained, version=1, kind=trained.kind, run_id="bench")
            weather = forecast_rows.read_weather(run, loaded)
            inputs = ForecastInputs(
                origin, Published(), False, {}, history, loaded, BusyChampion(), weather
            )
            blocks = forecast_rows.forecast_blocks(history)
            rows = list(forecast_rows.make_forecast_rows(run, inputs, blocks))
        stages[name]["features"] = sum(read)
        warehouse.stop_recording()
    with stage(stages, "snapshot"):
        made = snapshot.build_snapshot(
            run.settings.city,
            history,
            rows,
            origin_at=origin,
            as_of=run.as_of,
            champion=None,
            busy=BusyChampion(),
            generated_by="a benchmark",
        )
        data = snapshot_format.dumps(made)
    _keep(warehouse, recording)
    made_rows = pd.concat(rows, ignore_index=True)
    return {
        "stages": stages,
        "counters": int(made_rows["counter_id"].nunique()),
        "rows": len(made_rows),
        "basis": {str(k): int(v) for k, v in made_rows["basis"].value_counts().items()},
        "snapshot_kb": len(data) // 1024,
    }


def tasks(
    part: str, as_of: str, model: str, recording: str | None = None, tiles: int = 0
) -> dict[str, Any]:
    """Do one step of a forecast in tasks: plan, parts or publish."""
    _, warehouse = _run(as_of, recording, tiles)
    if part == "plan":
        made = forecast_tasks.plan(stage, warehouse, as_of, model)
    elif part == "parts":
        made = forecast_tasks.parts(stage, warehouse, as_of)
    else:
        made = forecast_tasks.publish(stage, warehouse, as_of)
    _keep(warehouse, recording)
    return made


def freeze(as_of: str, counters: int = 0, days: int = 0) -> dict[str, Any]:
    """Freeze all counts and cut them in time, like a first training. counters: of a made-up city; 0: the emulator's."""
    runtime = Runtime(JobSettings.load(read_address), component="bench")
    run = Run(runtime, datetime.fromisoformat(as_of), "bench")
    if counters:
        origin = origin_of(run.as_of, run.settings.city.zone)
        runtime.__dict__["warehouse"] = MadeUpCounts(counters, days, origin)
    stages: Stages = {}
    with stage(stages, "freeze"):
        frozen = frozen_counts.freeze_counts(run)
    objects = Objects(run.settings.project, run.settings.datasets_bucket)
    size = sum(version.size for version in objects.versions("counts/"))
    return {"stages": stages, "rows": frozen.rows, "object_mb": size / 1e6}


def gaps(as_of: str, counters: int) -> dict[str, Any]:
    """Estimate the hours of an outage of two days at every counter of a made-up city, as each run of fetch does."""
    runtime = Runtime(JobSettings.load(read_address), component="bench")
    run = Run(runtime, datetime.fromisoformat(as_of), "bench")
    days = ingest_gaps.AROUND.days + JUDGED_DAYS
    origin = origin_of(run.as_of, run.settings.city.zone)
    runtime.__dict__["warehouse"] = MadeUpCounts(counters, days, origin, outage=48)
    stages: Stages = {}
    with stage(stages, "gaps"):
        rebuilt = ingest_gaps.rebuild_recent_gaps(cast("Run[FetchSettings]", run))
    return {"stages": stages, "rows": rebuilt.hours}


def reader(counters: int) -> dict[str, Any]:
    """Convert made-up record batches, 1,000 rows of thirty columns a counter, as results of BigQuery are read."""
    stages: Stages = {}
    names = [f"feature_{number}" for number in range(29)]
    with stage(stages, "reader"):
        builder = None
        for first in range(0, counters, READ_COUNTERS):
            size = 1000 * min(READ_COUNTERS, counters - first)
            ids = [f"{first + row // 1000:09}" for row in range(size)]
            columns = {"counter_id": pa.array(ids)} | {
                name: pa.array(np.random.default_rng(first).normal(size=size)) for name in names
            }
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, pa.table(columns).schema) as writer:
                writer.write_batch(pa.table(columns).to_batches()[0])
            batch = pa.ipc.open_stream(sink.getvalue()).read_next_batch()
            builder = builder or FrameBuilder(batch.schema)
            builder.add(batch)
            del batch, columns, sink, writer
        frame = builder.build() if builder else pd.DataFrame()
    return {"stages": stages, "rows": len(frame), "frame_mb": frame.memory_usage().sum() / 1e6}


def monitor(as_of: str, counters: int) -> dict[str, Any]:
    """Validate and check for drift, as monitor does, in a made-up city."""
    environment = {
        "VELOCAST_REPORTS_BUCKET": REPORTS,
        "VELOCAST_WORKFLOW": "velocast-retrain",
        "VELOCAST_SITE_URL": "",
    }
    with patch.dict(os.environ, environment):
        runtime = Runtime(MonitorSettings.load(read_address), component="bench")
    run = Run(runtime, datetime.fromisoformat(as_of), "bench")
    settings = run.settings
    warehouse = MadeUpForecasts(counters, settings.thresholds.skill_days)
    runtime.__dict__["warehouse"] = warehouse
    stages: Stages = {}
    with stage(stages, "validate"):
        checked = validation.validate_champion(
            run.warehouse,
            settings.city,
            settings.thresholds,
            serving=LoadedChampion(),
            as_of=run.as_of,
            counters=counters,
        )
        pairs = len(checked.pairs)
        del checked
    with stage(stages, "drift"):
        first = run.as_of - timedelta(days=800)
        drift_check.check_drift(run, first_count_at=first, counters=counters)
    return {"stages": stages, "rows": pairs}


def forest(counts: str, zone: str) -> dict[str, Any]:
    """Fit the reference forest on every usable count in a Parquet file."""
    rows = pd.read_parquet(counts)
    stages: Stages = {}
    rows = rows[rows["quality"].isna()]
    local = rows["counted_at"].dt.tz_convert(zone).dt.tz_localize(None)
    rows = rows.assign(local_date=local.dt.normalize(), local_hour=local.dt.hour)
    with stage(stages, "fit"):
        reference_forest.ReferenceForest.fit(rows, seed=models.SEED)
    return {"stages": stages, "rows": len(rows)}


class CountingWarehouse(Warehouse):
    """The warehouse; `rows` counts what it returned, by SQL file or table."""

    def __init__(self, project: str, location: str) -> None:
        super().__init__(project, location)
        self.rows: Counter[str] = Counter()

    def query(self, sql: str, /, **named: Any) -> pd.DataFrame:
        """Query as the warehouse does."""
        return self._count(sql, super().query(sql, **named))

    def query_large(self, sql: str, /, **named: Any) -> pd.DataFrame:
        """Query as the warehouse does."""
        return self._count(sql, super().query_large(sql, **named))

    def read(self, table: str, **named: Any) -> pa.Table:
        """Read as the warehouse does."""
        rows = super().read(table, **named)
        self.rows[table] += rows.num_rows
        return rows

    def _count(self, sql: str, frame: pd.DataFrame) -> pd.DataFrame:
        self.rows[sql] += len(frame)
        return frame


def job(name: str, execution_id: str, as_of: str) -> dict[str, Any]:
    """Run one job of a retraining against the stack that the environment names.

    name: train, evaluate or promote, in this order for one execution_id. Figures: the rows read from BigQuery.
    """
    runtime = Runtime(JobSettings.load(read_address), component=name)
    warehouse = CountingWarehouse(runtime.settings.project, runtime.settings.location)
    runtime.__dict__["warehouse"] = warehouse  # in place of the cached property's own
    run = Run(runtime, datetime.fromisoformat(as_of), execution_id)
    stages: Stages = {}
    with stage(stages, name):
        perform(run, lambda: JOBS[name](run))
    return {"stages": stages, "rows": warehouse.rows}


def _trained_version(run: Run[JobSettings]) -> int:
    objects = Objects(run.settings.project, run.settings.models_bucket)
    return int(objects.read_json(f"runs/{run.execution_id}/train.json")[0]["version"])


JOBS: dict[str, Callable[[Run[JobSettings]], list[AuditRow]]] = {
    "train": lambda run: train(TrainRequest(force=True, reason="a benchmark"), run),
    "evaluate": lambda run: evaluate(EvaluateRequest(version=_trained_version(run)), run),
    "promote": lambda run: promote(PromoteRequest(version=_trained_version(run)), run),
}


def _run(
    as_of: str, recording: str | None, tiles: int
) -> tuple[Run[JobSettings], RecordingWarehouse | TiledWarehouse]:
    runtime = Runtime(JobSettings.load(read_address), component="bench")
    warehouse: RecordingWarehouse | TiledWarehouse = (
        TiledWarehouse(Path(recording), tiles)
        if recording and tiles
        else RecordingWarehouse(harness.PROJECT, harness.LOCATION, keep=bool(recording))
    )
    runtime.__dict__["warehouse"] = warehouse  # in place of the cached property
    return Run(runtime, datetime.fromisoformat(as_of), "bench"), warehouse


def _keep(warehouse: RecordingWarehouse | TiledWarehouse, recording: str | None) -> None:
    if recording and isinstance(warehouse, RecordingWarehouse):
        warehouse.save(Path(recording))


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "faults": partial(fault_steps.faults, stage),
    "learn": learn,
    "forecast": forecast,
    "forest": forest,
    "freeze": freeze,
    "gaps": gaps,
    "monitor": monitor,
    "reader": reader,
    "tasks": tasks,
    "job": job,
}


def main() -> None:
    began = time.monotonic()
    figures = STEPS[sys.argv[1]](**json.loads(sys.argv[2]))
    peaks = [part["peak_mb"] for part in figures["stages"].values()]
    print(
        json.dumps(
            {
                "seconds": time.monotonic() - began,
                "peak_mb": max(harness.peak_mb(), *peaks),
                "figures": figures,
            }
        )
    )


if __name__ == "__main__":
    main()
