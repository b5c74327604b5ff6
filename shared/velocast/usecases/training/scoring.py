"""Scores a challenger, the champion and the reference models on the same rows."""

from __future__ import annotations

import pandas as pd

from velocast.core import kinds
from velocast.model.arrays import Floats
from velocast.model.evaluation import (
    bootstrap,
    classification_metrics,
    metrics,
    reference_models,
    references,
)
from velocast.model.evaluation.classification_metrics import BusyScores
from velocast.model.evaluation.metrics import Scores
from velocast.model.intervals.conformal import Calibration
from velocast.model.learning import models
from velocast.usecases.training.stored.records import BusyTestScores, TestScores

BOOTSTRAP_SEED = 7


def score_test(
    frame: pd.DataFrame,
    challenger: models.Model,
    champion: models.Model | None,
    similar_days: Calibration,
) -> TestScores | BusyTestScores:
    """Score all on the rows of one test set. similar_days: how far the mean of similar days misses."""
    if challenger.task == kinds.AFFLUENCE:
        return _busy_scores(frame, challenger, champion, similar_days)
    return _forecast_scores(frame, challenger, champion, similar_days)


def _forecast_scores(
    frame: pd.DataFrame,
    challenger: models.Model,
    champion: models.Model | None,
    similar_days: Calibration,
) -> TestScores:
    new = challenger.predict(frame)
    old = champion.predict(frame) if champion else None
    against_champion = None
    if old is not None:
        both = frame[["bike_count", "local_date"]].assign(
            predicted_new=new["predicted_count"].to_numpy(),
            predicted_old=old["predicted_count"].to_numpy(),
        )
        against_champion = bootstrap.paired_bootstrap(both, seed=BOOTSTRAP_SEED)
    return TestScores(
        new=_scored(frame, new),
        old=_scored(frame, old) if old is not None else None,
        similar_days=_scored(frame, reference_models.forecast_similar_days(frame, similar_days)),
        lag_168h=_scored_lag(frame),
        bootstrap=against_champion,
        reference=references.forecast_reference_gain(
            frame,
            _references(frame),
            new["predicted_count"].to_numpy(dtype="float64"),
            None if old is None else old["predicted_count"].to_numpy(dtype="float64"),
            seed=BOOTSTRAP_SEED,
        ),
    )


def _references(frame: pd.DataFrame) -> dict[str, Floats]:
    """Return the forecasts that a model must beat, each (n,), bikes per hour."""
    naive = reference_models.naive_forecasts(frame)
    return {
        name: naive[name] for name in (reference_models.SIMILAR_DAYS, reference_models.WEEK_BEFORE)
    }


def _scored(frame: pd.DataFrame, predicted: pd.DataFrame) -> Scores:
    names = ("predicted_count", "lower", "upper")
    return metrics.score_forecasts(
        frame.assign(**{name: predicted[name].to_numpy() for name in names})
    )


def _scored_lag(frame: pd.DataFrame) -> Scores | None:
    if frame["lag_168h"].isna().all():
        return None
    week_before = reference_models.naive_forecasts(frame)[reference_models.WEEK_BEFORE]
    return metrics.score_forecasts(frame.assign(predicted_count=week_before))


def _busy_scores(
    frame: pd.DataFrame,
    challenger: models.Model,
    champion: models.Model | None,
    similar_days: Calibration,
) -> BusyTestScores:
    usual = reference_models.forecast_similar_days(frame, similar_days)
    usual["busy"] = usual["predicted_count"] > frame["busy_threshold"]
    new = challenger.predict(frame)
    old = champion.predict(frame) if champion else None
    threshold = frame["busy_threshold"].to_numpy(dtype="float64")
    return BusyTestScores(
        new=_scored_busy(frame, new),
        old=None if old is None else _scored_busy(frame, old),
        similar_days=_scored_busy(frame, usual),
        reference=references.busy_reference_gain(
            frame,
            {
                name: (forecast > threshold).astype("float64")
                for name, forecast in _references(frame).items()
            },
            new["busy"].to_numpy(dtype="float64"),
            None if old is None else old["busy"].to_numpy(dtype="float64"),
            seed=BOOTSTRAP_SEED,
        ),
    )


def _scored_busy(frame: pd.DataFrame, predicted: pd.DataFrame) -> BusyScores:
    names = ("busy_probability", "busy")
    return classification_metrics.score_busy_hours(
        frame.assign(**{name: predicted[name].to_numpy() for name in names})
    )
