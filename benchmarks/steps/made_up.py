"""What reads many rows, with answers of a made-up city: freezing, gaps, monitoring, reading itself."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks import harness
from benchmarks.steps.made_up_city import MadeUpCounts, MadeUpForecasts
from benchmarks.steps.stages import Stages, stage
from velocast.adapters.bigquery.frames import FrameBuilder
from velocast.adapters.gcs import Objects, read_address
from velocast.core.datetimes import origin_of
from velocast.core.settings import FetchSettings, JobSettings, MonitorSettings
from velocast.usecases.context import Run, Runtime
from velocast.usecases.ingest import gaps as ingest_gaps
from velocast.usecases.ingest.faults import JUDGED_DAYS
from velocast.usecases.model_loading import LoadedChampion
from velocast.usecases.monitoring import drift_check, validation
from velocast.usecases.training.datasets import frozen_counts

REPORTS = f"{harness.PROJECT}-reports"
READ_COUNTERS = 10  # of a record batch


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
