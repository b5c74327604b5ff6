"""A challenger, the champion and what needs no model, scored on the same rows."""

from __future__ import annotations

import pandas as pd

from velocast.core import kinds
from velocast.model.evaluation import (
    classification_metrics,
    metrics,
    reference_models,
)
from velocast.model.evaluation.classification_metrics import BusyScores
from velocast.model.evaluation.metrics import Scores
from velocast.model.intervals.conformal import Calibration
from velocast.model.learning import models
from velocast.usecases.training.records import BusyTrial, Trial

BOOTSTRAP_SEED = 7


def trial(
    frame: pd.DataFrame,
    challenger: models.Model,
    champion: models.Model | None,
    calibration: Calibration,
) -> Trial | BusyTrial:
    """Score everybody on the rows of one test set; calibration: how far similar days miss."""
    if challenger.task == kinds.AFFLUENCE:
        return _busy_trial(frame, challenger, champion, calibration)
    return _forecast_trial(frame, challenger, champion, calibration)


def _forecast_trial(
    frame: pd.DataFrame,
    challenger: models.Model,
    champion: models.Model | None,
    calibration: Calibration,
) -> Trial:
    new = challenger.predict(frame)
    old = champion.predict(frame) if champion else None
    bootstrap = None
    if old is not None:
        both = frame[["bike_count", "local_date"]].assign(
            predicted_new=new["predicted_count"].to_numpy(),
            predicted_old=old["predicted_count"].to_numpy(),
        )
        bootstrap = metrics.paired_bootstrap(both, seed=BOOTSTRAP_SEED)
    return Trial(
        new=_scored(frame, new),
        old=_scored(frame, old) if old is not None else None,
        similar_days=_scored(frame, reference_models.forecast_similar_days(frame, calibration)),
        lag_168h=_scored_lag(frame),
        bootstrap=bootstrap,
    )


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


def _busy_trial(
    frame: pd.DataFrame,
    challenger: models.Model,
    champion: models.Model | None,
    calibration: Calibration,
) -> BusyTrial:
    usual = reference_models.forecast_similar_days(frame, calibration)
    usual["busy"] = usual["predicted_count"] > frame["busy_threshold"]
    return BusyTrial(
        new=_scored_busy(frame, challenger.predict(frame)),
        old=_scored_busy(frame, champion.predict(frame)) if champion else None,
        similar_days=_scored_busy(frame, usual),
    )


def _scored_busy(frame: pd.DataFrame, said: pd.DataFrame) -> BusyScores:
    names = ("busy_probability", "busy")
    return classification_metrics.score_busy_hours(
        frame.assign(**{name: said[name].to_numpy() for name in names})
    )
