"""The rows of a training that later steps use again: kept with its execution, so that BigQuery is read once.

A version that was trained before rows were kept, or whose kept rows are gone, has them read from BigQuery again.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import pandas as pd

from velocast.core import telemetry
from velocast.core.errors import ModelUnusable
from velocast.core.settings import JobSettings
from velocast.model.evaluation import reference_models
from velocast.model.features.definition import FEATURES
from velocast.model.intervals.conformal import Calibration
from velocast.model.learning import models
from velocast.model.learning.forecaster import TrainedModel
from velocast.usecases.context import Run
from velocast.usecases.training.datasets import (
    frames,
    frozen_counts,
    frozen_weather,
    parquet_objects,
)
from velocast.usecases.training.datasets.frames import FeatureSource
from velocast.usecases.training.stored import model_io, run_store
from velocast.usecases.training.stored.records import Artifact, LearnedRows, Training
from velocast.usecases.training.stored.run_store import RunStore


def source_of(run: Run[JobSettings], training: Training) -> FeatureSource:
    """Return where a version's rows come from: the counts and the weather that were frozen for it.

    Tables that have expired are loaded again. Raises ObjectMissing, ModelUnusable, WarehouseError.
    """
    weather = training.weather
    return FeatureSource(
        run,
        frozen_counts.counts_table(run, training.counts),
        training.counts.rows_a_day(run),
        training.counter_ids,
        training.test_mode,
        frozen_weather.weather_table(run, weather) if weather else None,
        training.calendar,
    )


def keep_test_current(
    store: RunStore, read: Callable[[], pd.DataFrame]
) -> tuple[pd.DataFrame, Artifact]:
    """Return the rows of test_current of this execution and where they are kept; `read` is called by the first try.

    Every step scores the rows as they are kept, so that all of them score the same bytes.
    """
    data = store.find_bytes(run_store.TEST_CURRENT)
    if data is None:
        data = store.save_bytes_once(
            run_store.TEST_CURRENT, to_parquet(read()), parquet_objects.PARQUET_TYPE
        )
    kept = model_io.artifact_of(store.objects, store.path(run_store.TEST_CURRENT), data)
    return from_parquet(data), kept


def rows_of_test_current(
    run: Run[JobSettings], store: RunStore, training: Training
) -> pd.DataFrame:
    """Return the rows that a version is scored on, as `frames.scoring_frame`. Raises WarehouseError."""
    if training.test_current is not None:
        try:
            rows = from_parquet(model_io.read_artifact(store.objects, training.test_current))
        except ModelUnusable as exc:
            telemetry.log("WARNING", f"test_current is read from BigQuery again: {exc}")
        else:
            if set(FEATURES) <= set(rows.columns):
                return rows
            telemetry.log(
                "WARNING",
                "test_current is read from BigQuery again: it was kept before a new feature",
            )
    return frames.scoring_frame(source_of(run, training), training.windows.test_current)


def similar_days_errors(
    run: Run[JobSettings], training: Training, model: models.Model
) -> Calibration:
    """Return how far the mean of similar days misses, learned from the rows that a version's fit held out.

    A forecaster carries it; the first try of a classifier's training left it in `learned.json`. Raises WarehouseError.
    """
    if isinstance(model, TrainedModel):
        return model.similar_days
    learned = RunStore(run, training.execution_id).find(run_store.LEARNED, LearnedRows)
    if learned is not None and learned.similar_days is not None:
        return learned.similar_days
    days = training.windows
    held_out = frames.calibration_frame(
        source_of(run, training), days.learnable, days.calibrate_from
    )
    return reference_models.calibrate_similar_days(held_out)


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Return a frame's rows as Parquet, its types in the file; the index is left out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), file, compression="zstd")
    return file.getvalue()


def from_parquet(data: bytes) -> pd.DataFrame:
    """Return the frame that `to_parquet` wrote: the same values and types, the rows numbered from 0."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame: pd.DataFrame = pq.read_table(pa.BufferReader(data)).to_pandas(date_as_object=True)
    return frame
