"""The steps of a forecast in tasks (workflows/forecast.yaml), each measured in a process of its own."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.steps.stages import Stages, stage
from benchmarks.steps.tiled_city import RecordingWarehouse, TiledWarehouse
from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.gcs import Objects, read_address
from velocast.core.requests import PredictRequest
from velocast.core.settings import ForecastJobSettings
from velocast.model.features import definition
from velocast.model.learning.forecaster import TrainedModel, library_versions
from velocast.usecases.context import Run, Runtime
from velocast.usecases.forecasting import daily_forecast
from velocast.usecases.forecasting.in_tasks import steps
from velocast.usecases.forecasting.in_tasks.plan import ForecastFolder, ForecastJobRun
from velocast.usecases.site.publication import make_site
from velocast.usecases.snapshot_format import Snapshot

NAME = "bench"
ARTIFACT = "models/bench.skops"
AnyWarehouse = RecordingWarehouse | TiledWarehouse


def plan(warehouse: AnyWarehouse, as_of: str, model: str) -> dict[str, Any]:
    """Publish the model as the champion, and plan; without a model file, forecast with similar days."""
    run, stages = _run(warehouse, as_of), Stages()
    if Path(model).exists():
        _make_champion(run, Path(model).read_bytes())
    with stage(stages, "plan"):
        steps.plan_forecast(PredictRequest(), run, name=NAME, of_the_day=False)
    plan = ForecastFolder(run, NAME).read_plan()
    return {"stages": stages, "tasks": plan.tasks, "blocks": len(plan.blocks)}


def parts(warehouse: AnyWarehouse, as_of: str) -> dict[str, Any]:
    """Make the parts of the first task; copy them, without measuring, for the other tasks."""
    run, stages = _run(warehouse, as_of), Stages()
    folder = ForecastFolder(run, NAME)
    plan = folder.read_plan()
    settings = run.settings.model_copy(update={"task_count": plan.tasks})
    run.runtime.settings = settings
    with stage(stages, "parts"):
        steps.make_parts(run, name=NAME)
    made = [n for n in range(len(plan.blocks)) if n not in set(folder.missing_parts(plan))]
    counters = sum(len(plan.blocks[n]) for n in made)
    for number in folder.missing_parts(plan):
        block = plan.blocks[number]
        rows = folder.read_part(made[number % len(made)])
        size = len(rows) // rows["counter_id"].nunique()
        rows = rows.head(len(block) * size)
        folder.write_part(number, rows.assign(counter_id=[c for c in block for _ in range(size)]))
    return {"stages": stages, "counters": counters}


def publish(warehouse: AnyWarehouse, as_of: str) -> dict[str, Any]:
    """Publish; the files of the site are made, but not uploaded."""
    run, stages = _run(warehouse, as_of), Stages()
    files = 0

    def make_files(_objects: Objects, snapshot: Snapshot) -> str:
        nonlocal files
        files = len(list(make_site(snapshot)))
        return f"{files} files made"

    with patch.object(daily_forecast, "publish_site", make_files), stage(stages, "publish"):
        steps.publish_parts(run, name=NAME, last=True)
    objects = ForecastFolder(run, NAME).objects
    size = objects.versions("serving/snapshot")[0].size
    return {"stages": stages, "files": files, "snapshot_mb": size / 1e6}


def _run(warehouse: AnyWarehouse, as_of: str) -> ForecastJobRun:
    runtime = Runtime(ForecastJobSettings.load(read_address), component="predict")
    runtime.__dict__["warehouse"] = warehouse  # in place of the cached property
    return Run(runtime, datetime.fromisoformat(as_of), NAME)


def _make_champion(run: ForecastJobRun, data: bytes) -> None:
    objects = Objects(run.settings.project, run.settings.models_bucket)
    objects.write_once(ARTIFACT, data, "application/octet-stream")
    model, then = TrainedModel.from_bytes(data), run.as_of.isoformat()
    champion = Champion(
        version=1,
        run_id=NAME,
        task="forecast",
        kind=model.kind,
        artifact_uri=objects.uri(ARTIFACT),
        sha256=hashlib.sha256(data).hexdigest(),
        feature_definition=definition.FEATURE_DEFINITION,
        library_versions=library_versions(),
        metrics={},
        trained_from=then,
        trained_until=then,
        published_at=then,
        baseline="",
        judged_run_id=NAME,
        judged_sha256="",
    )
    _, generation = champion_manifest.read_champion(objects)
    if generation == 0:
        champion_manifest.publish_champion(objects, champion, if_generation=0)
