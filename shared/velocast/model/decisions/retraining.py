"""When to retrain: pure rules over thresholds; the first rule that matches decides.

What is unknown neither triggers nor prevents a retraining by itself; the reason says that it was unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.evaluation.metrics import Validation

if TYPE_CHECKING:  # the jobs judge without Evidently, which drift needs
    from velocast.model.drift.detection import DriftResult
from velocast.model.decisions.numbers import short as _n

Retrain = Literal["FORCE", "FIRST", "REACTIVE", "PROACTIVE", "REFRESH", "WAIT", "ALL_GOOD"]
TRAINING_DECISIONS: frozenset[Retrain] = frozenset(
    ("FORCE", "FIRST", "REACTIVE", "PROACTIVE", "REFRESH")
)


class RetrainDecision(BaseModel):
    """What to do about the champion, and why, in a sentence."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    decision: Retrain
    reason: str

    @property
    def trains(self) -> bool:
        """Whether the retraining workflow is to be started."""
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
    """Decide about a retraining; rules 0 to 5, first match wins.

    champion: whether one serves. history_days: days of counts. trained_until_age_days: days since the end of the
    champion's training data, None when that is not known.
    """
    if forced:
        return RetrainDecision(decision="FORCE", reason="The event asks for a retraining.")
    if not champion:
        return _without_champion(history_days, thresholds)
    if found := _reactive(validation, thresholds):
        return found
    if found := _proactive(validation, drift, thresholds):
        return found
    if trained_until_age_days is not None and trained_until_age_days > thresholds.refresh_days:
        return RetrainDecision(
            decision="REFRESH",
            reason=f"The champion's training data end {_n(trained_until_age_days)} days ago, more than "
            f"{thresholds.refresh_days}.",
        )
    return _wait_or_good(validation, drift, thresholds)


def _without_champion(history_days: float, thresholds: Thresholds) -> RetrainDecision:
    needed = thresholds.min_history_days
    if history_days >= needed:
        return RetrainDecision(
            decision="FIRST",
            reason=f"There is no champion yet and {_n(history_days)} days of counts, {needed} are enough.",
        )
    return RetrainDecision(
        decision="WAIT",
        reason=f"There is no champion yet and {_n(history_days)} days of counts: "
        f"{_n(needed - history_days)} of {needed} days are missing.",
    )


def _reactive(validation: Validation | Unknown, thresholds: Thresholds) -> RetrainDecision | None:
    if isinstance(validation, Unknown):
        return None
    faults = []
    if validation.r2 is not None and validation.r2 < thresholds.r2_critical:
        faults.append(f"R2 {_n(validation.r2)} is below {_n(thresholds.r2_critical)}")
    if validation.rmse > thresholds.rmse_threshold:
        faults.append(f"RMSE {_n(validation.rmse)} is above {_n(thresholds.rmse_threshold)}")
    if validation.skill is not None and validation.skill < 0:
        faults.append(f"skill {_n(validation.skill)} is below 0, last week's value does better")
    if not faults:
        return None
    return RetrainDecision(
        decision="REACTIVE", reason=f"The champion's {' and its '.join(faults)}."
    )


def _proactive(
    validation: Validation | Unknown, drift: DriftResult | Unknown, thresholds: Thresholds
) -> RetrainDecision | None:
    if isinstance(validation, Unknown) or isinstance(drift, Unknown):
        return None
    if validation.r2 is None or validation.r2 >= thresholds.r2_warning:
        return None
    if drift.share < thresholds.drift_critical:
        return None
    return RetrainDecision(
        decision="PROACTIVE",
        reason=f"The drift share {_n(drift.share)} reaches {_n(thresholds.drift_critical)} and the champion's R2 "
        f"{_n(validation.r2)} is below {_n(thresholds.r2_warning)}.",
    )


def _wait_or_good(
    validation: Validation | Unknown, drift: DriftResult | Unknown, thresholds: Thresholds
) -> RetrainDecision:
    concerns, facts = [], []
    if isinstance(validation, Unknown):
        facts.append(f"accuracy unknown ({validation.reason})")
    elif validation.r2 is None:
        facts.append("R2 unknown (the counts of the week do not vary)")
    elif validation.r2 < thresholds.r2_warning:
        concerns.append(
            f"the champion's R2 {_n(validation.r2)} is below {_n(thresholds.r2_warning)}"
        )
    else:
        facts.append(f"R2 {_n(validation.r2)}")
    if isinstance(drift, Unknown):
        facts.append(f"drift unknown ({drift.reason})")
    elif drift.share >= thresholds.drift_warning:
        concerns.append(f"the drift share {_n(drift.share)} reaches {_n(thresholds.drift_warning)}")
    else:
        facts.append(f"drift share {_n(drift.share)}")
    if not concerns:
        return RetrainDecision(
            decision="ALL_GOOD", reason=f"Nothing asks for a retraining: {', '.join(facts)}."
        )
    beside = f" ({', '.join(facts)})" if facts else ""
    return RetrainDecision(
        decision="WAIT", reason=f"Watched, not retrained: {' and '.join(concerns)}{beside}."
    )
