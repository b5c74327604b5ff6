"""A run against the emulator whose answers are recorded, or copied for a larger city."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from benchmarks import harness
from benchmarks.steps.tiled_city import RecordingWarehouse, TiledWarehouse
from velocast.adapters.gcs import read_address
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run, Runtime


def recorded_run(
    as_of: str, recording: str | None, tiles: int
) -> tuple[Run[JobSettings], RecordingWarehouse | TiledWarehouse]:
    """Return a run whose answers from BigQuery are recorded, or, with `tiles`, copied from the recording."""
    runtime = Runtime(JobSettings.load(read_address), component="bench")
    warehouse: RecordingWarehouse | TiledWarehouse = (
        TiledWarehouse(Path(recording), tiles)
        if recording and tiles
        else RecordingWarehouse(harness.PROJECT, harness.LOCATION, keep=bool(recording))
    )
    runtime.__dict__["warehouse"] = warehouse  # in place of the cached property
    return Run(runtime, datetime.fromisoformat(as_of), "bench"), warehouse


def keep_answers(warehouse: RecordingWarehouse | TiledWarehouse, recording: str | None) -> None:
    """Add the recorded answers to the file `recording`, if there is one."""
    if recording and isinstance(warehouse, RecordingWarehouse):
        warehouse.save(Path(recording))
