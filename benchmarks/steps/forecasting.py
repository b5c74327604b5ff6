"""Forecast in one process, and in tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.steps import forecast_tasks
from benchmarks.steps.recorded_run import keep_answers, recorded_run
from benchmarks.steps.stages import Stages, clocked, stage
from velocast.core.datetimes import origin_of
from velocast.model.learning.forecaster import TrainedModel
from velocast.usecases import feature_store, snapshot_format
from velocast.usecases.forecasting import forecast_rows
from velocast.usecases.forecasting.busy_hours import BUSY_FROM, BusyChampion
from velocast.usecases.forecasting.inputs import ForecastInputs, read_weather
from velocast.usecases.forecasting.snapshot.building import build_snapshot
from velocast.usecases.forecasting.snapshot.counter_profiles import read_counter_profiles
from velocast.usecases.forecasting.snapshot.publication import Published
from velocast.usecases.model_loading import LoadedChampion


def forecast(
    as_of: str, model: str, recording: str | None = None, tiles: int = 0
) -> dict[str, Any]:
    """Load the model, forecast five days for every counter twice, and build the serving snapshot."""
    run, warehouse = recorded_run(as_of, recording, tiles)
    stages: Stages = {}
    with stage(stages, "history"):
        origin = origin_of(run.as_of, run.settings.city.zone)
        profiles = read_counter_profiles(
            run.warehouse, run.settings.city, origin_at=origin, as_of=run.as_of
        )
    # the first time loads scikit-learn; the second is like that of a warm instance
    for name in ("first", "five_days"):
        if name == "first" and tiles:
            continue
        with clocked(feature_store, "read_features") as read, stage(stages, name):
            trained = TrainedModel.from_bytes(Path(model).read_bytes())
            loaded = LoadedChampion(trained, version=1, kind=trained.kind, run_id="bench")
            weather = read_weather(run, loaded)
            inputs = ForecastInputs(
                origin, Published(), False, {}, profiles, loaded, BusyChampion(), weather
            )
            blocks = forecast_rows.forecast_blocks(profiles)
            rows = list(forecast_rows.make_forecast_rows(run, inputs, blocks))
        stages[name]["features"] = sum(read)
        warehouse.stop_recording()
    with stage(stages, "snapshot"):
        made = build_snapshot(
            run.settings.city,
            profiles,
            rows,
            origin_at=origin,
            as_of=run.as_of,
            champion=None,
            busy_champion=None,
            busy_from=BUSY_FROM,
            generated_by="a benchmark",
        )
        data = snapshot_format.dumps(made)
    keep_answers(warehouse, recording)
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
    _, warehouse = recorded_run(as_of, recording, tiles)
    if part == "plan":
        made = forecast_tasks.plan(warehouse, as_of, model)
    elif part == "parts":
        made = forecast_tasks.parts(warehouse, as_of)
    else:
        made = forecast_tasks.publish(warehouse, as_of)
    keep_answers(warehouse, recording)
    return made
