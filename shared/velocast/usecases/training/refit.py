"""Fits an evaluated challenger again on everything known, and checks that it still forecasts alike."""

from __future__ import annotations

import numpy as np
import pandas as pd

from velocast.core import kinds
from velocast.core.errors import PromotionRefused
from velocast.core.settings import JobSettings
from velocast.model.evaluation import classification_metrics
from velocast.model.learning import models
from velocast.usecases.context import Run
from velocast.usecases.training.datasets import frames, frozen_counts, frozen_weather
from velocast.usecases.training.datasets.frames import FeatureSource
from velocast.usecases.training.datasets.frozen_counts import FrozenCounts
from velocast.usecases.training.datasets.frozen_weather import FrozenWeather
from velocast.usecases.training.datasets.windows import calibration_start
from velocast.usecases.training.stored import kept_rows, model_io, run_store
from velocast.usecases.training.stored.records import Training
from velocast.usecases.training.stored.run_store import RunStore


def refit_model(
    run: Run[JobSettings],
    store: RunStore,
    training: Training,
    counts: FrozenCounts,
    weather: FrozenWeather,
) -> tuple[models.Model, bytes]:
    """Fit the same kind with the same seed on everything known; return the model and its bytes.

    A retry returns the model of the first try.
    """
    data = store.find_bytes(run_store.REFITTED)
    if data is None:
        known = counts.known(run)
        tables = frozen_counts.counts_table(run, counts), frozen_weather.weather_table(run, weather)
        source = FeatureSource(
            run,
            tables[0],
            counts.rows_a_day(run),
            weather_table=tables[1],
            calendar=training.calendar,
        )
        rows, held_out = frames.learning_frames(
            source, [known], calibration_start([known]), kind=training.kind
        )
        model = models.fit_model(training.kind, rows, held_out, seed=training.seed)
        data = store.save_bytes_once(run_store.REFITTED, model.to_bytes(), model_io.MODEL_TYPE)
    return models.from_bytes(data), data


def checked_difference(
    run: Run[JobSettings], store: RunStore, training: Training, refitted: models.Model
) -> float:
    """Return how far the refit's forecasts of test_current are from the evaluated model's, relative to their size.

    Raises PromotionRefused above `refit_tolerance`, or above the evaluated model's error where that is larger: the
    refit has learned these very hours, and in a young city its forecasts move towards the counts by that much.
    """
    evaluated = model_io.load_model(store.objects, training.artifact)
    frame = kept_rows.rows_of_test_current(run, store, training)
    forecasts = models.primary_output(evaluated, frame)
    difference = relative_difference(forecasts, models.primary_output(refitted, frame))
    actual = frame["bike_count"].astype("float64")
    if evaluated.task == kinds.AFFLUENCE:
        actual = classification_metrics.is_busy(frame).astype("float64")
    error = relative_difference(forecasts, actual)
    tolerance = max(run.settings.thresholds.refit_tolerance, error)
    if difference > tolerance:
        raise PromotionRefused(
            f"version {training.version}, fitted again on everything known, forecasts test_current {difference:.0%} "
            f"away from the model that was evaluated; at most {tolerance:.0%} is allowed (refit_tolerance, or the "
            "evaluated model's error if larger); train and evaluate anew"
        )
    return difference


def relative_difference(first: pd.Series[float], second: pd.Series[float]) -> float:
    """Return the RMS of the difference over the RMS of the first; 0 for equal forecasts."""
    old, new = first.to_numpy(dtype="float64"), second.to_numpy(dtype="float64")
    apart = float(np.sqrt(np.mean((new - old) ** 2)))
    return 0.0 if apart == 0 else apart / float(np.sqrt(np.mean(old**2)))
