"""The steps that `laboratory.alone` runs in a process of their own: `python -m benchmarks.steps NAME ARGUMENTS`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd

from benchmarks import laboratory
from benchmarks.tiled_city import RecordingWarehouse, TiledWarehouse
from velocast.core import schemas
from velocast.core.datetimes import local_date, origin_of
from velocast.core.settings import JobSettings
from velocast.model.learning import models
from velocast.model.learning.forecaster import TrainedModel
from velocast.usecases import feature_store, snapshot_format
from velocast.usecases.context import Run, Runtime
from velocast.usecases.forecasting import forecast_rows, snapshot
from velocast.usecases.forecasting.busy_hours import BusyChampion
from velocast.usecases.forecasting.model_loading import LoadedChampion
from velocast.usecases.training.datasets.frames import Source, learning_frames
from velocast.usecases.training.datasets.windows import Window, calibration_start
from velocast_cli.backtesting import reference_forest

CLEAR_PEAK = "5"  # proc(5): sets VmHWM back to what is resident now

Stages = dict[str, dict[str, float]]


@contextmanager
def stage(stages: Stages, name: str) -> Iterator[None]:
    """Note seconds, seconds of this process's CPU (a busy machine hardly changes them) and most resident memory, MB."""
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        forget.write_text(CLEAR_PEAK)
    began, worked = time.monotonic(), time.process_time()
    yield
    stages[name] = {
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - worked,
        "peak_mb": laboratory.peak_mb(),
    }


@contextmanager
def clocked(owner: Any, name: str) -> Iterator[list[float]]:
    """Note the seconds of each call of a function while the block runs."""
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
    """Read features and fit the default model as the train job does, on everything known; leave it in `model`."""
    run, stages = _run(as_of, recording, tiles), {}
    until = local_date(run.as_of, run.settings.city.zone)
    known = Window(first=date.fromisoformat(first_day), until=until)
    source = Source(run, schemas.COUNTS, rows_a_day, weather_table=schemas.WEATHER)
    with stage(stages, "features"):
        rows, held_out = learning_frames(source, [known], calibration_start([known]))
    with stage(stages, "fit"):
        fitted = models.fit_model("gbm", rows, held_out, seed=models.SEED)
        Path(model).write_bytes(fitted.to_bytes())
    _keep(run, recording, tiles)
    return {"stages": stages, "rows": len(rows) + len(held_out)}


def forecast(
    as_of: str, model: str, recording: str | None = None, tiles: int = 0
) -> dict[str, Any]:
    """Load the model, forecast five days for every counter, twice, and make the serving snapshot."""
    run, stages = _run(as_of, recording, tiles), {}
    with stage(stages, "history"):
        origin = origin_of(run.as_of, run.settings.city.zone)
        history = snapshot.read_history(
            run.warehouse, run.settings.city, origin_at=origin, as_of=run.as_of
        )
    # the second time as an instance that lives on does it: the first loads scikit-learn
    for name in ("first", "five_days"):
        if name == "first" and tiles:
            continue
        with clocked(feature_store, "read_features") as read, stage(stages, name):
            trained = TrainedModel.from_bytes(Path(model).read_bytes())
            loaded = LoadedChampion(trained, version=1, kind="gbm", run_id="bench")
            rows = forecast_rows.make_forecast_rows(run, loaded, BusyChampion(), history)
        stages[name]["features"] = sum(read)
        run.warehouse.asked_again()
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
    _keep(run, recording, tiles)
    return {
        "stages": stages,
        "counters": int(rows["counter_id"].nunique()),
        "rows": len(rows),
        "basis": {str(k): int(v) for k, v in rows["basis"].value_counts().items()},
        "snapshot_kb": len(data) // 1024,
    }


def forest(counts: str, zone: str) -> dict[str, Any]:
    """Fit the predecessor's forest on every usable count of a Parquet file."""
    rows, stages = pd.read_parquet(counts), {}
    rows = rows[rows["quality"].isna()]
    local = rows["counted_at"].dt.tz_convert(zone).dt.tz_localize(None)
    rows = rows.assign(local_date=local.dt.normalize(), local_hour=local.dt.hour)
    with stage(stages, "fit"):
        reference_forest.Predecessor.fit(rows, seed=models.SEED)
    return {"stages": stages, "rows": len(rows)}


def _run(as_of: str, recording: str | None, tiles: int) -> Run[JobSettings]:
    runtime = Runtime(JobSettings.load(), component="bench")
    warehouse = (
        TiledWarehouse(Path(recording), tiles)
        if recording and tiles
        else RecordingWarehouse(laboratory.PROJECT, laboratory.LOCATION, keep=bool(recording))
    )
    runtime.__dict__["warehouse"] = warehouse  # where the cached property would put its own
    return Run(runtime, datetime.fromisoformat(as_of), "bench")


def _keep(run: Run[JobSettings], recording: str | None, tiles: int) -> None:
    if recording and not tiles:
        run.warehouse.save(Path(recording))


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "learn": learn,
    "forecast": forecast,
    "forest": forest,
}


def main() -> None:
    began = time.monotonic()
    figures = STEPS[sys.argv[1]](**json.loads(sys.argv[2]))
    peaks = [part["peak_mb"] for part in figures["stages"].values()]
    print(
        json.dumps(
            {
                "seconds": time.monotonic() - began,
                "peak_mb": max(laboratory.peak_mb(), *peaks),
                "figures": figures,
            }
        )
    )


if __name__ == "__main__":
    main()
