"""The classifier of busy hours in a backtest: trained at the same cuts and evaluated from the same origins."""

from __future__ import annotations

from typing import Any

import pandas as pd

from velocast.core.datetimes import SCORED_LEAD_DAYS
from velocast.model.evaluation import classification_metrics
from velocast.model.learning import busy_classifier
from velocast.model.learning.busy_classifier import BusyModel
from velocast.model.learning.models import SEED
from velocast_cli.backtesting.plan import BusyHourForecasts

KEPT = ["counter_id", "origin_at", "target_at", "lead_day", "bike_count", "busy_threshold"]


def fit_classifier(known: pd.DataFrame) -> BusyModel:
    """Train like the train job. known: rows whose hours were counted before the cut. Raises TooLittleHistory."""
    return busy_classifier.fit_busy_classifier(known, seed=SEED)


def add_forecasts(found: BusyHourForecasts, model: BusyModel, week: pd.DataFrame) -> None:
    """Add the classifier's forecasts of a week. week: feature frame of its origins."""
    rows = classification_metrics.labelled_rows(week[week["lead_day"] < SCORED_LEAD_DAYS])
    said = rows[KEPT].join(model.predict(rows))
    usual = rows["similar_day_mean"] > rows["busy_threshold"]
    found.parts.append(said.assign(usual=usual))
    found.thresholds.append(model.threshold)


def busy_hour_scores(found: BusyHourForecasts) -> dict[str, Any] | None:
    """Return the scores of the classifier and of similar days over lead days 0 to 2; None without forecasts."""
    if not found.parts:
        return None
    rows = pd.concat(found.parts, ignore_index=True)
    scores = classification_metrics.score_busy_hours(rows)
    usual = classification_metrics.score_busy_hours(
        rows.assign(busy=rows["usual"], busy_probability=rows["usual"] * 1.0)
    )
    return {
        **scores.model_dump(),
        "thresholds": found.thresholds,
        "similar_days_balanced_accuracy": usual.balanced_accuracy,
        "fit_seconds": None if found.fit is None else round(found.fit.seconds, 2),
        "fit_peak_mb": None if found.fit is None else round(found.fit.peak_mb),
    }
