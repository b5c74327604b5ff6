"""Fits a judged challenger again on everything known, and checks that it is still the model that was judged."""

from __future__ import annotations

import numpy as np
import pandas as pd

from velocast.ground.errors import PromotionRefused
from velocast.ground.settings import JobSettings
from velocast.model import busy_scores, kinds
from velocast.usecases import datasets, training_frames, training_runs, weather_datasets
from velocast.usecases.datasets import FrozenCounts
from velocast.usecases.evaluate import source_of
from velocast.usecases.runtime import Run
from velocast.usecases.training_frames import Source
from velocast.usecases.training_runs import Records, Training
from velocast.usecases.training_windows import calibration_start
from velocast.usecases.weather_datasets import FrozenWeather


def fitted(
    run: Run[JobSettings],
    records: Records,
    training: Training,
    counts: FrozenCounts,
    weather: FrozenWeather,
) -> tuple[kinds.Model, bytes]:
    """Fit again, same kind and seed, on everything known; the first try's model when there was one."""
    data = records.find_model(training_runs.REFITTED)
    if data is None:
        known = counts.known(run)
        tables = datasets.table_of(run, counts), weather_datasets.table_of(run, weather)
        source = Source(run, tables[0], counts.rows_a_day(run), weather_table=tables[1])
        rows, held_out = training_frames.learning_frames(
            source, [known], calibration_start([known])
        )
        model = kinds.fit(training.kind, rows, held_out, seed=training.seed)
        data = records.settle_model(training_runs.REFITTED, model.to_bytes())
    return kinds.from_bytes(data), data


def checked_difference(
    run: Run[JobSettings], records: Records, training: Training, refitted: kinds.Model
) -> float:
    """Return how far the refit's forecasts of test_current are from those judged, relative to their size.

    Raises PromotionRefused above `refit_tolerance`, or above the error that was judged where that is larger: the
    refit has learned these very hours, and a young city's forecasts move towards them by that much.
    """
    judged = training_runs.load_model(records.objects, training.artifact)
    frame = training_frames.scoring_frame(source_of(run, training), training.windows.test_current)
    forecasts = kinds.compared(judged, frame)
    difference = relative_difference(forecasts, kinds.compared(refitted, frame))
    actual = frame["bike_count"].astype("float64")
    if judged.task == "affluence":
        actual = busy_scores.is_busy(frame).astype("float64")
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
