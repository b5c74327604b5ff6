"""The classifier of busy hours in a backtest: trained at the same cuts, asked from the same origins."""

from __future__ import annotations

from typing import Any

import pandas as pd

from velocast.core.datetimes import SCORED_LEAD_DAYS
from velocast.model.evaluation import classification_metrics
from velocast.model.learning import busy_classifier
from velocast.model.learning.busy_classifier import BusyModel
from velocast.model.learning.models import SEED
from velocast_cli.backtesting.plan import BusyHours

KEPT = ["counter_id", "origin_at", "target_at", "lead_day", "bike_count", "busy_threshold"]


def fitted(known: pd.DataFrame) -> BusyModel:
    """Train as the train job does. known: the rows whose hours were counted before. Raises TooLittleHistory."""
    return busy_classifier.fit_busy_classifier(known, seed=SEED)


def add(found: BusyHours, model: BusyModel, asked: pd.DataFrame) -> None:
    """Ask the classifier for a week. asked: feature frame of its origins."""
    rows = classification_metrics.labelled_rows(asked[asked["lead_day"] < SCORED_LEAD_DAYS])
    said = rows[KEPT].join(model.predict(rows))
    usual = rows["similar_day_mean"] > rows["busy_threshold"]
    found.parts.append(said.assign(usual=usual))
    found.thresholds.append(model.threshold)


def summary(found: BusyHours) -> dict[str, Any] | None:
    """Return the classifier's scores over lead days 0 to 2, and those of similar days; None where it was not asked."""
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
