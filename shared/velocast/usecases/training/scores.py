"""The scores of a trial as metrics and as the one number that decisions compare."""

from __future__ import annotations

from typing import Literal

from velocast.model.evaluation.classification_metrics import BusyScores
from velocast.model.evaluation.metrics import Scores


def named_scores(
    test: Literal["baseline", "current"], scores: Scores | BusyScores
) -> dict[str, float]:
    """Return the scores as `<test>_r2`, `<test>_rmse`, ...; what is not known is left out."""
    values = scores.model_dump(exclude={"counters", "lead_days"})
    return {f"{test}_{name}": float(v) for name, v in values.items() if v is not None}


def measured(scores: Scores | BusyScores) -> float | None:
    """Return what a decision compares: R2, or for classifiers the balanced accuracy; None when it is not known."""
    return scores.balanced_accuracy if isinstance(scores, BusyScores) else scores.r2
