"""Fit the default model, and the reference forest."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.steps.recorded_run import keep_answers, recorded_run
from benchmarks.steps.stages import Stages, stage
from velocast.core import schemas
from velocast.core.datetimes import local_date
from velocast.core.kinds import DEFAULT_KIND
from velocast.model.learning import models
from velocast.usecases.training.datasets.frames import FeatureSource, learning_frames
from velocast.usecases.training.datasets.windows import DayRange, calibration_start
from velocast_cli.backtesting import reference_forest


def learn(
    as_of: str,
    first_day: str,
    rows_a_day: float,
    model: str,
    recording: str | None = None,
    tiles: int = 0,
) -> dict[str, Any]:
    """Read features and fit the default model on all counts, like the train job; write it to `model`."""
    run, warehouse = recorded_run(as_of, recording, tiles)
    stages: Stages = {}
    until = local_date(run.as_of, run.settings.city.zone)
    known = DayRange(first=date.fromisoformat(first_day), until=until)
    source = FeatureSource(run, schemas.COUNTS, rows_a_day, weather_table=schemas.WEATHER)
    with stage(stages, "features"):
        rows, held_out = learning_frames(
            source, [known], calibration_start([known]), kind=DEFAULT_KIND
        )
    with stage(stages, "fit"):
        fitted = models.fit_model(DEFAULT_KIND, rows, held_out, seed=models.SEED)
        Path(model).write_bytes(fitted.to_bytes())
    keep_answers(warehouse, recording)
    return {"stages": stages, "rows": len(rows) + len(held_out)}


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
