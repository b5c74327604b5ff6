"""Fits a judged challenger again on everything known, and checks that it is still the model that was judged."""

from __future__ import annotations

import numpy as np
import pandas as pd

from velocast.core import kinds
from velocast.core.errors import PromotionRefused
from velocast.core.settings import JobSettings
from velocast.model.evaluation import classification_metrics
from velocast.model.learning import models
from velocast.usecases.context import Run
from velocast.usecases.training import model_io, run_store
from velocast.usecases.training.datasets import frames, frozen_counts, frozen_weather
from velocast.usecases.training.datasets.frames import Source
from velocast.usecases.training.datasets.frozen_counts import FrozenCounts
from velocast.usecases.training.datasets.frozen_weather import FrozenWeather
from velocast.usecases.training.datasets.windows import calibration_start
from velocast.usecases.training.evaluate import source_of
from velocast.usecases.training.records import Training
from velocast.usecases.training.run_store import Records


def fitted(
    run: Run[JobSettings],
    records: Records,
    training: Training,
    counts: FrozenCounts,
    weather: FrozenWeather,
) -> tuple[models.Model, bytes]:
    """Fit again, same kind and seed, on everything known; the first try's model when there was one."""
    data = records.find_model(run_store.REFITTED)
    if data is None:
        known = counts.known(run)
        tables = frozen_counts.table_of(run, counts), frozen_weather.table_of(run, weather)
        source = Source(run, tables[0], counts.rows_a_day(run), weather_table=tables[1])
        rows, held_out = frames.learning_frames(source, [known], calibration_start([known]))
        model = models.fit_model(training.kind, rows, held_out, seed=training.seed)
        data = records.settle_model(run_store.REFITTED, model.to_bytes())
    return models.from_bytes(data), data


def checked_difference(
    run: Run[JobSettings], records: Records, training: Training, refitted: models.Model
) -> float:
    """Return how far the refit's forecasts of test_current are from those judged, relative to their size.

    Raises PromotionRefused above `refit_tolerance`, or above the error that was judged where that is larger: the
    refit has learned these very hours, and a young city's forecasts move towards them by that much.
    """
    judged = model_io.load_model(records.objects, training.artifact)
    frame = frames.scoring_frame(source_of(run, training), training.windows.test_current)
    forecasts = models.primary_output(judged, frame)
    difference = relative_difference(forecasts, models.primary_output(refitted, frame))
    actual = frame["bike_count"].astype("float64")
    if judged.task == kinds.AFFLUENCE:
        actual = classification_metrics.is_busy(frame).astype("float64")
    error = relative_difference(forecasts, actual)
    tolerance = max(run.settings.thresholds.refit_tolerance, error)
    if difference > tolerance:
        raise PromotionRefused(
            f"version {training.version} fitted again on everything known forecasts test_current {difference:.0%} away "
            f"from what was judged, {tolerance:.0%} are allowed (refit_tolerance, or the error judged); train and "
            "evaluate anew"
        )
    return difference


def relative_difference(judged: pd.Series[float], refitted: pd.Series[float]) -> float:
    """Return the RMS of the difference over the RMS of what was judged; 0 for the same forecasts."""
    old, new = judged.to_numpy(dtype="float64"), refitted.to_numpy(dtype="float64")
    apart = float(np.sqrt(np.mean((new - old) ** 2)))
    return 0.0 if apart == 0 else apart / float(np.sqrt(np.mean(old**2)))
