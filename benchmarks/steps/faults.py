"""Judging the faults of a made-up city, as each run of fetch does and as a sweep that finds late counts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from benchmarks.steps.made_up_city import MadeUpCounts
from benchmarks.steps.stages import Stages, stage
from velocast.adapters.gcs import read_address
from velocast.core.datetimes import origin_of
from velocast.core.settings import FetchSettings, JobSettings
from velocast.usecases.context import Run, Runtime
from velocast.usecases.ingest import quality
from velocast.usecases.ingest.faults import JUDGED_DAYS, KNOWN_DAYS

# Hours of each counter whose marks are taken back, so that every counter has rows to store.
OUTAGE = 48


def faults(as_of: str, counters: int, days: int) -> dict[str, Any]:
    """Judge the last `days` days, at least JUDGED_DAYS, of every counter, and store what changed."""
    runtime = Runtime(JobSettings.load(read_address), component="bench")
    run = Run(runtime, datetime.fromisoformat(as_of), "bench")
    origin = origin_of(run.as_of, run.settings.city.zone)
    days = max(days, JUDGED_DAYS)
    runtime.__dict__["warehouse"] = MadeUpCounts(counters, days + KNOWN_DAYS, origin, outage=OUTAGE)
    stages: Stages = {}
    with stage(stages, "faults"):
        marks = quality.mark_quality_from(
            cast("Run[FetchSettings]", run), run.as_of - timedelta(days=days - 1)
        )
    return {
        "stages": stages,
        "rows": 24 * (days + KNOWN_DAYS) * counters,
        "changed": marks.usable_again + sum(marks.marked.values()),
    }
