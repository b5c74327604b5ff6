"""The decision to retrain: pure rules over thresholds; the first rule that matches decides.

An unknown result neither triggers nor prevents a retraining by itself; the reason states that it is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.decisions.numbers import REFERENCES, short
from velocast.model.evaluation.validation import Validation

if TYPE_CHECKING:  # drift needs Evidently, which the jobs do not install
    from velocast.model.drift.detection import DriftResult

Retrain = Literal["FORCE", "FIRST", "REACTIVE", "PROACTIVE", "REFRESH", "WAIT", "ALL_GOOD"]
TRAINING_DECISIONS: frozenset[Retrain] = frozenset(
    ("FORCE", "FIRST", "REACTIVE", "PROACTIVE", "REFRESH")
)


class RefusedChallenger(BaseModel):
    """A challenger that was not deployed, and how many days ago."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    version: int
    decision: Literal["SKIP", "REJECT"]
    days_ago: float


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
    refused: RefusedChallenger | None,
    thresholds: Thresholds,
) -> RetrainDecision:
    """Decide whether to retrain; the first rule that matches decides.

    champion: whether there is one. history_days: days of counts. trained_until_age_days: days since the end of the
    champion's training data, None when unknown. refused: the newest challenger, if it was not deployed; for
    `retry_days` after it FIRST and REACTIVE wait, because another would learn nearly the same.
    """
    pause = _pause(refused, thresholds)
    if forced:
        return RetrainDecision(decision="FORCE", reason="The event requests a retraining.")
    if not champion:
        return _without_champion(history_days, pause, thresholds)
    faults = _faults(validation, thresholds)
    if faults and not pause:
        return RetrainDecision(
            decision="REACTIVE", reason=f"The champion's {'; its '.join(faults)}."
        )
    if found := _proactive(validation, drift, thresholds):
        return found
    limit = thresholds.refresh_days
    if trained_until_age_days is not None and trained_until_age_days > limit:
        age = short(trained_until_age_days, beside=limit, decimals=1)
        return RetrainDecision(
            decision="REFRESH",
            reason=f"The champion's training data ended {age} days ago; the limit is {limit} days.",
        )
    if faults and pause:
        return RetrainDecision(
            decision="WAIT",
            reason=f"No retraining yet: the champion's {'; its '.join(faults)}, but {pause}.",
        )
    return _wait_or_good(validation, drift, thresholds)


def _pause(refused: RefusedChallenger | None, thresholds: Thresholds) -> str | None:
    """Say why a new challenger is not worth a training yet; None when it is."""
    limit = thresholds.retry_days
    if refused is None or refused.days_ago >= limit:
        return None
    outcome = "rejected" if refused.decision == "REJECT" else "skipped"
    age = short(refused.days_ago, beside=limit, decimals=1)
    return (
        f"version {refused.version} was {outcome} {age} days ago; the next attempt is made after {limit} days, "
        "or when it is forced"
    )


def _without_champion(
    history_days: float, pause: str | None, thresholds: Thresholds
) -> RetrainDecision:
    needed = thresholds.min_history_days
    stored = short(history_days, beside=needed, decimals=1)
    reason = f"There is no champion yet. {stored} days of counts are stored, {needed} are needed."
    enough = history_days >= needed
    if enough and pause:
        reason += f" No retraining yet: {pause}. Similar days go on serving."
    return RetrainDecision(decision="FIRST" if enough and not pause else "WAIT", reason=reason)


def _faults(validation: Validation | Unknown, thresholds: Thresholds) -> list[str]:
    """Return what makes the champion too inaccurate, as parts of a sentence about it."""
    if isinstance(validation, Unknown):
        return []
    faults = []
    if validation.r2 is not None and validation.r2 < thresholds.r2_critical:
        faults.append(_below("R2", validation.r2, thresholds.r2_critical))
    limit = thresholds.rmse_threshold
    if limit is not None and validation.rmse > limit:
        rmse = short(validation.rmse, beside=limit, decimals=1)
        faults.append(f"RMSE is {rmse}, above {short(limit)}")
    better = validation.reference
    if better is not None and better.skill < 0:
        name = REFERENCES.get(better.reference, better.reference)
        faults.append(_below(f"skill against {name}", better.skill, 0))
    return faults


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
    found = [_accuracy(validation, thresholds.r2_warning), _drift(drift, thresholds.drift_warning)]
    if unusual := _unusual(validation, thresholds.relative_error_warning):
        found.append((True, unusual))
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


def _unusual(validation: Validation | Unknown, limit: float) -> str | None:
    """Say that the error is larger than is usual for these weeks of the year; None where it is not, or is unknown."""
    if isinstance(validation, Unknown) or isinstance(validation.relative_error, Unknown):
        return None
    error = validation.relative_error
    if error <= limit:
        return None
    times = short(error, beside=limit)
    return (
        f"the error is {times} times what is usual at this time of the year, above {short(limit)}"
    )


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
