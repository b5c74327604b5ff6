"""The decision to retrain: pure rules over thresholds; the first rule that matches decides.

An unknown result neither triggers nor prevents a retraining by itself; the reason states that it is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.decisions.numbers import short
from velocast.model.evaluation.metrics import Validation

if TYPE_CHECKING:  # drift needs Evidently, which the jobs do not install
    from velocast.model.drift.detection import DriftResult

Retrain = Literal["FORCE", "FIRST", "REACTIVE", "PROACTIVE", "REFRESH", "WAIT", "ALL_GOOD"]
TRAINING_DECISIONS: frozenset[Retrain] = frozenset(
    ("FORCE", "FIRST", "REACTIVE", "PROACTIVE", "REFRESH")
)


class RetrainDecision(BaseModel):
    """Whether to retrain, and the reason in plain sentences."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    decision: Retrain
    reason: str

    @property
    def trains(self) -> bool:
        """Whether to start the retraining workflow."""
        return self.decision in TRAINING_DECISIONS


def decide_retraining(
    *,
    forced: bool,
    champion: bool,
    history_days: float,
    validation: Validation | Unknown,
    drift: DriftResult | Unknown,
    trained_until_age_days: float | None,
    thresholds: Thresholds,
) -> RetrainDecision:
    """Decide whether to retrain; the first rule that matches decides.

    champion: whether there is one. history_days: days of counts. trained_until_age_days: days since the end of the
    champion's training data, None when unknown.
    """
    if forced:
        return RetrainDecision(decision="FORCE", reason="The event requests a retraining.")
    if not champion:
        return _without_champion(history_days, thresholds)
    if found := _reactive(validation, thresholds):
        return found
    if found := _proactive(validation, drift, thresholds):
        return found
    limit = thresholds.refresh_days
    if trained_until_age_days is not None and trained_until_age_days > limit:
        age = short(trained_until_age_days, beside=limit, decimals=1)
        return RetrainDecision(
            decision="REFRESH",
            reason=f"The champion's training data ended {age} days ago; the limit is {limit} days.",
        )
    return _wait_or_good(validation, drift, thresholds)


def _without_champion(history_days: float, thresholds: Thresholds) -> RetrainDecision:
    needed = thresholds.min_history_days
    stored = short(history_days, beside=needed, decimals=1)
    return RetrainDecision(
        decision="FIRST" if history_days >= needed else "WAIT",
        reason=f"There is no champion yet. {stored} days of counts are stored, {needed} are needed.",
    )


def _reactive(validation: Validation | Unknown, thresholds: Thresholds) -> RetrainDecision | None:
    if isinstance(validation, Unknown):
        return None
    faults = []
    if validation.r2 is not None and validation.r2 < thresholds.r2_critical:
        faults.append(_below("R2", validation.r2, thresholds.r2_critical))
    if validation.rmse > (limit := thresholds.rmse_threshold):
        rmse = short(validation.rmse, beside=limit, decimals=1)
        faults.append(f"RMSE is {rmse}, above {short(limit)}")
    if validation.skill is not None and validation.skill < 0:
        faults.append(
            _below("skill", validation.skill, 0) + " (the value a week earlier is more accurate)"
        )
    if not faults:
        return None
    return RetrainDecision(decision="REACTIVE", reason=f"The champion's {'; its '.join(faults)}.")


def _proactive(
    validation: Validation | Unknown, drift: DriftResult | Unknown, thresholds: Thresholds
) -> RetrainDecision | None:
    if isinstance(validation, Unknown) or isinstance(drift, Unknown):
        return None
    if validation.r2 is None or validation.r2 >= thresholds.r2_warning:
        return None
    if drift.share < thresholds.drift_critical:
        return None
    r2 = _below("R2", validation.r2, thresholds.r2_warning)
    return RetrainDecision(
        decision="PROACTIVE",
        reason=f"The {_drifted(drift.share, thresholds.drift_critical)}, and the champion's {r2}.",
    )


def _wait_or_good(
    validation: Validation | Unknown, drift: DriftResult | Unknown, thresholds: Thresholds
) -> RetrainDecision:
    found = (_accuracy(validation, thresholds.r2_warning), _drift(drift, thresholds.drift_warning))
    concerns = [text for concern, text in found if concern]
    facts = [text for concern, text in found if not concern]
    if not concerns:
        return RetrainDecision(
            decision="ALL_GOOD", reason=f"Nothing calls for a retraining: {' and '.join(facts)}."
        )
    besides = "".join(f" {fact[0].upper()}{fact[1:]}." for fact in facts)
    return RetrainDecision(
        decision="WAIT", reason=f"No retraining yet: {', and '.join(concerns)}.{besides}"
    )


def _accuracy(validation: Validation | Unknown, limit: float) -> tuple[bool, str]:
    """Return whether accuracy is a concern, and what is known of it."""
    if isinstance(validation, Unknown):
        return False, f"accuracy is unknown ({validation.reason})"
    if validation.r2 is None:
        return False, "R2 is unknown (the counts of the week do not vary)"
    if validation.r2 < limit:
        return True, f"the champion's {_below('R2', validation.r2, limit)}"
    return False, f"R2 is {short(validation.r2, beside=limit)}"


def _drift(drift: DriftResult | Unknown, limit: float) -> tuple[bool, str]:
    """Return whether drift is a concern, and what is known of it."""
    if isinstance(drift, Unknown):
        return False, f"drift is unknown ({drift.reason})"
    if drift.share >= limit:
        return True, f"the {_drifted(drift.share, limit)}"
    return False, f"the drift share is {short(drift.share, beside=limit)}"


def _below(name: str, value: float, limit: float) -> str:
    return f"{name} is {short(value, beside=limit)}, below {short(limit)}"


def _drifted(share: float, limit: float) -> str:
    return f"drift share is {short(share, beside=limit)}, at or above {short(limit)}"
