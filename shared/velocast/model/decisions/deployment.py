"""Whether a challenger is deployed: pure rules over thresholds; the first rule that matches decides."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.decisions.numbers import short as _n

if TYPE_CHECKING:  # the jobs judge without Evidently, which drift needs
    pass


class DeploymentDecision(BaseModel):
    """What becomes of a challenger. gain: share of the champion's unexplained variance that it removes."""

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

    old_*: the champion's, None when there is no champion, Unknown when it could not be scored. old_skill: None when
    not known. A NaN counts as unknown. measure: what the figures are where another score, 1 at best, stands for R2.
    """
    baseline, current, old = _known(new_baseline), _known(new_current), _known(old_current)
    gain = _gain(old, current)
    if baseline is not None and baseline < thresholds.r2_floor:
        return DeploymentDecision(
            decision="REJECT",
            reason=f"The challenger's {measure} on test_baseline is {_n(baseline)}, below {_n(thresholds.r2_floor)}.",
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
            reason=f"There is no champion and the challenger's {measure} is {_n(current)} on test_current, "
            f"{_n(baseline)} on test_baseline.",
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
    loses = old_skill is not None and old_skill < 0
    if old is None:
        why = (
            old_current.reason if isinstance(old_current, Unknown) else f"it has no {measure} there"
        )
        return DeploymentDecision(
            decision="SKIP",
            reason=f"The champion's {measure} on test_current is unknown ({why}), so no gain can be shown.",
            gain=None,
        )
    compared = f"{measure} on test_current {_n(new)} against the champion's {_n(old)}"
    if gain is None:
        return DeploymentDecision(
            decision="SKIP",
            reason=f"The champion leaves nothing unexplained: {compared}.",
            gain=None,
        )
    share = f"{_n(100 * float(gain))} % of what it leaves unexplained"
    if loses and gain > 0:
        return DeploymentDecision(
            decision="DEPLOY",
            reason=f"The champion loses to last week's value (skill {_n(old_skill or 0.0)}), so any improvement "
            f"will do: {compared} removes {share}.",
            gain=float(gain),
        )
    needed = f"{_n(100 * (0.0 if loses else thresholds.min_gain))} %"
    if gain > (0 if loses else _exact(thresholds.min_gain)):
        return DeploymentDecision(
            decision="DEPLOY",
            reason=f"{compared} removes {share}, more than {needed}.",
            gain=float(gain),
        )
    return DeploymentDecision(
        decision="SKIP",
        reason=f"{compared} removes {share}, no more than {needed}.",
        gain=float(gain),
    )


def _gain(old: float | None, new: float | None) -> Fraction | None:
    """(new - old) / (1 - old), exactly: 0.902 against 0.9 is a gain of 0.02 and not a hair more."""
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
