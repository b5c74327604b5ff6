"""The decision to deploy a challenger: pure rules over thresholds; the first rule that matches decides."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.decisions.numbers import REFERENCES, short
from velocast.model.evaluation.references import ReferenceGain


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
    reference: ReferenceGain | Unknown,
    thresholds: Thresholds,
    test_mode: bool,
    measure: str = "R2",
) -> DeploymentDecision:
    """Decide about a challenger by R2 on the same rows of test_baseline and test_current.

    old_*: scores of the champion, None when there is no champion, Unknown when it could not be scored. NaN counts as
    unknown. reference: how challenger and champion compare with the better reference on test_current; what does not
    beat it within noise is rejected. measure: name of the score, if another score with the optimum 1 replaces R2.
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
    champion = old_baseline is not None or old_current is not None
    if isinstance(reference, Unknown):
        return DeploymentDecision(
            decision="SKIP",
            reason="The challenger cannot be compared with similar days and the value a week earlier on test_current: "
            f"{reference.reason}.",
            gain=_number(gain),
        )
    if loses := _loses(reference, thresholds, measure):
        serves = "The champion stays." if champion else "Similar days go on serving."
        return DeploymentDecision(decision="REJECT", reason=f"{loses} {serves}", gain=_number(gain))
    if not champion:
        return DeploymentDecision(
            decision="DEPLOY",
            reason=f"There is no champion. The challenger's {measure} is {short(current)} on test_current and "
            f"{short(baseline)} on test_baseline. Its {_gain_over(reference, measure)}.",
            gain=None,
        )
    return _against_champion(old, current, gain, reference, old_current, thresholds, measure)


def _loses(reference: ReferenceGain, thresholds: Thresholds, measure: str) -> str | None:
    """Say by how much a challenger fails to beat the better reference; None when it beats it within noise."""
    least, low = thresholds.min_reference_gain, thresholds.min_reference_gain_low
    if reference.mean > least and reference.low >= low:
        return None
    unit = _unit(measure)
    return (
        f"The challenger does not beat {_named(reference)} on test_current: its {_gain_over(reference, measure)}; "
        f"a gain above {_percent(least)} {unit} and a lower end of at least {_percent(low)} {unit} are needed."
    )


def _gain_over(reference: ReferenceGain, measure: str) -> str:
    of = "RMSE" if measure == "R2" else measure
    unit = _unit(measure)
    return (
        f"gain in {of} over {_named(reference)} is {_percent(reference.mean)} {unit} "
        f"(90 % interval {_percent(reference.low)} to {_percent(reference.high)} {unit}, {reference.days} days)"
    )


def _unit(measure: str) -> str:
    return "%" if measure == "R2" else "points"


def _named(reference: ReferenceGain) -> str:
    return REFERENCES.get(reference.reference, reference.reference)


def _percent(share: float) -> str:
    return short(100 * share, decimals=1)


def _against_champion(
    old: float | None,
    new: float,
    gain: Fraction | None,
    reference: ReferenceGain,
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
    needed, condition = _needed_gain(reference, thresholds)
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


def _needed_gain(reference: ReferenceGain, thresholds: Thresholds) -> tuple[Fraction, str]:
    """Return what the gain must exceed, and the reason that states it."""
    old_skill = reference.champion_skill
    if old_skill is not None and old_skill < 0:
        return Fraction(0), (
            f"any improvement is enough, because the champion is less accurate than {_named(reference)} "
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
