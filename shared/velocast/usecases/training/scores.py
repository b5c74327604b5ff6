"""What is reported of scores: metrics by name, the score that decides, the columns of an audit row."""

from __future__ import annotations

from typing import Any, Literal

from velocast.model.evaluation.classification_metrics import BusyScores
from velocast.model.evaluation.metrics import Scores
from velocast.usecases.training.stored.records import BusyTestScores, Decision


def named_scores(
    test: Literal["baseline", "current"], scores: Scores | BusyScores
) -> dict[str, float]:
    """Return the scores as `<test>_r2`, `<test>_rmse`, ...; unknown scores are left out."""
    values = scores.model_dump(exclude={"counters", "lead_days"})
    return {f"{test}_{name}": float(v) for name, v in values.items() if v is not None}


def challenger_metrics(decision: Decision) -> dict[str, float]:
    """Return the challenger's scores on both tests as the manifest, the summary and MLflow name them."""
    current = named_scores("current", decision.current.new)
    return current | named_scores("baseline", decision.baseline.new)


def deciding_score(scores: Scores | BusyScores) -> float | None:
    """Return the score that a decision compares: R2, or a classifier's balanced accuracy; None when it is unknown."""
    return scores.balanced_accuracy if isinstance(scores, BusyScores) else scores.r2


def improvement_of(decision: Decision) -> float | None:
    """Return the challenger's deciding score on test_current minus the champion's; None when either is unknown."""
    new = deciding_score(decision.current.new)
    old = deciding_score(decision.current.old) if decision.current.old else None
    return None if old is None or new is None else new - old


def audit_columns(decision: Decision) -> dict[str, Any]:
    """Return the columns of an audit row that compare two models.

    The R2 columns are left out for classifiers, which have none; their scores are in the row's details.
    """
    names = {
        "old_champion_run_id": decision.champion.run_id if decision.champion else None,
        "new_champion_run_id": decision.run_id,
    }
    base, current = decision.baseline, decision.current
    if isinstance(base, BusyTestScores) or isinstance(current, BusyTestScores):
        return names
    new, old = current.new, current.old
    return names | {
        "old_r2_score": old.r2 if old else None,
        "new_r2_score": new.r2,
        "old_r2_baseline": base.old.r2 if base.old else None,
        "new_r2_baseline": base.new.r2,
        "model_improvement": improvement_of(decision),
    }
