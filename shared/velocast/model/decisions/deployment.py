"""The decision to deploy a challenger: pure rules over thresholds; the first rule that matches decides."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.decisions.numbers import short


class DeploymentDecision(BaseModel):
    """The decision about a challenger. gain: share of the champion's unexplained variance that it removes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["DEPLOY", "SKIP", "REJECT"]
    reason: str
    gain: float | None


def decide_deployment(
    *,
    old_baseline: float | Unknown | None,
    new_baseline: float | Unknown,
    old_current: float | Unknown | None,
    new_current: float | Unknown,
    old_skill: float | None,
    thresholds: Thresholds,
    test_mode: bool,
    measure: str = "R2",
) -> DeploymentDecision:
    """Decide about a challenger by R2 on the same rows of test_baseline and test_current.

    old_*: scores of the champion, None when there is no champion, Unknown when it could not be scored. old_skill: None
    when unknown. NaN counts as unknown. measure: name of the score, if another score with the optimum 1 replaces R2.
    """
    baseline, current, old = _known(new_baseline), _known(new_current), _known(old_current)
    gain = _gain(old, current)
    floor = thresholds.r2_floor
    if baseline is not None and baseline < floor:
        return DeploymentDecision(
            decision="REJECT",
            reason=f"The challenger's {measure} on test_baseline is {short(baseline, beside=floor)}, "
            f"below the minimum of {short(floor)}.",
            gain=_number(gain),
        )
    if test_mode:
        return DeploymentDecision(
            decision="SKIP",
            reason="A model trained in test mode is never deployed.",
            gain=_number(gain),
        )
    if baseline is None or current is None:
        return DeploymentDecision(
            decision="SKIP", reason=_unscored(new_baseline, new_current, measure), gain=None
        )
    if old_baseline is None and old_current is None:
        return DeploymentDecision(
            decision="DEPLOY",
            reason=f"There is no champion. The challenger's {measure} is {short(current)} on test_current and "
            f"{short(baseline)} on test_baseline.",
            gain=None,
        )
    return _against_champion(old, current, gain, old_skill, old_current, thresholds, measure)


def _against_champion(
    old: float | None,
    new: float,
    gain: Fraction | None,
    old_skill: float | None,
    old_current: float | Unknown | None,
    thresholds: Thresholds,
    measure: str,
) -> DeploymentDecision:
    if old is None:
        return DeploymentDecision(
            decision="SKIP", reason=_champion_unscored(old_current, measure), gain=None
        )
    if gain is None:
        return DeploymentDecision(
            decision="SKIP",
            reason=f"The champion's {measure} on test_current is {short(old)} and cannot be improved.",
            gain=None,
        )
    needed, condition = _needed_gain(old_skill, thresholds)
    verdict = "better" if gain > 0 else "worse" if gain < 0 else "no better"
    scores = f"{measure} {short(new, beside=old)} against the champion's {short(old, beside=new)} on test_current"
    removal = f"{_removal(gain, needed, measure)}; {condition}."
    if gain > needed:
        reason = f"The challenger is {verdict}: {scores}. {removal}"
        return DeploymentDecision(decision="DEPLOY", reason=reason, gain=float(gain))
    if gain > 0:
        reason = f"The challenger is better by too little: {scores}. {removal}"
    else:
        reason = f"The challenger is {verdict}: {scores}."
    return DeploymentDecision(decision="SKIP", reason=reason, gain=float(gain))


def _needed_gain(old_skill: float | None, thresholds: Thresholds) -> tuple[Fraction, str]:
    """Return what the gain must exceed, and the reason that states it."""
    if old_skill is not None and old_skill < 0:
        return Fraction(0), (
            "any improvement is enough, because the champion is less accurate than the value a week earlier "
            f"(skill {short(old_skill, beside=0)})"
        )
    needed = _exact(thresholds.min_gain)
    return needed, f"more than {short(100 * float(needed))} % is needed"


def _removal(gain: Fraction, needed: Fraction, measure: str) -> str:
    """Say how far the gain leads towards 1, the perfect score; for R2 that is the unexplained variance."""
    percent = short(100 * float(gain), beside=100 * float(needed), decimals=1)
    if measure == "R2":
        return f"It removes {percent} % of the unexplained variance"
    return f"It closes {percent} % of the champion's gap to a perfect score"


def _champion_unscored(old_current: float | Unknown | None, measure: str) -> str:
    why = old_current.reason if isinstance(old_current, Unknown) else f"it has no {measure} there"
    return f"The challenger cannot be compared: the champion's {measure} on test_current is unknown ({why})."


def _gain(old: float | None, new: float | None) -> Fraction | None:
    """Return (new - old) / (1 - old) without rounding errors: 0.902 against 0.9 is a gain of exactly 0.02."""
    if old is None or new is None or old >= 1:
        return None
    return (_exact(new) - _exact(old)) / (1 - _exact(old))


def _exact(value: float) -> Fraction:
    return Fraction(repr(float(value)))


def _known(value: float | Unknown | None) -> float | None:
    if value is None or isinstance(value, Unknown) or not math.isfinite(value):
        return None
    return float(value)


def _unscored(baseline: float | Unknown, current: float | Unknown, measure: str) -> str:
    parts = []
    for name, value in (("test_baseline", baseline), ("test_current", current)):
        if _known(value) is None:
            why = value.reason if isinstance(value, Unknown) else "not a number"
            parts.append(f"{measure} on {name} is unknown ({why})")
    return f"The challenger's {' and its '.join(parts)}."


def _number(gain: Fraction | None) -> float | None:
    return None if gain is None else float(gain)
