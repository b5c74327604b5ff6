"""The decision to deploy a challenger: every rule at its limit, with the sentence that people read."""

from __future__ import annotations

from typing import Any

import pytest

from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.decisions import deployment
from velocast.model.evaluation.references import ReferenceGain

LIMITS = Thresholds()
UNKNOWN = Unknown(reason="12 pairs, 500 are needed")


def gain(mean: float = 0.05, low: float = 0.03, old: float | None = 0.2) -> ReferenceGain:
    return ReferenceGain(
        reference="similar_days",
        skill=mean,
        champion_skill=old,
        mean=mean,
        low=low,
        high=mean + 0.02,
        days=6,
    )


NO_CHAMPION: dict[str, Any] = {
    "old_baseline": None,
    "old_current": None,
    "reference": gain(old=None),
}
TEST_MODE = "A model trained in test mode is never deployed."


def deploy(*, limits: Thresholds = LIMITS, **given: Any) -> deployment.DeploymentDecision:
    usual: dict[str, Any] = {
        "old_baseline": 0.8,
        "new_baseline": 0.85,
        "old_current": 0.9,
        "new_current": 0.91,
        "reference": gain(),
        "test_mode": False,
    }
    return deployment.decide_deployment(**(usual | given), thresholds=limits)


def too_little(new: str, old: str, percent: str) -> str:
    return (
        f"The challenger is better by too little: R2 {new} against the champion's {old} on test_current. "
        f"It removes {percent} % of the unexplained variance; more than 2 % is needed."
    )


@pytest.mark.parametrize(
    ("given", "decision", "reason"),
    [
        (
            {"new_baseline": 0.5999},
            "REJECT",
            "The challenger's R2 on test_baseline is 0.5999, below the minimum of 0.6.",
        ),
        (
            {"new_baseline": 0.59} | NO_CHAMPION,
            "REJECT",
            "The challenger's R2 on test_baseline is 0.59, below the minimum of 0.6.",
        ),
        (
            {"new_baseline": 0.59, "test_mode": True},
            "REJECT",
            "The challenger's R2 on test_baseline is 0.59, below the minimum of 0.6.",
        ),
        (
            {"new_baseline": 0.59, "measure": "balanced accuracy"},
            "REJECT",
            "The challenger's balanced accuracy on test_baseline is 0.59, below the minimum of 0.6.",
        ),
        ({"test_mode": True}, "SKIP", TEST_MODE),
        ({"test_mode": True} | NO_CHAMPION, "SKIP", TEST_MODE),
        (
            {"new_baseline": 0.60} | NO_CHAMPION,
            "DEPLOY",
            "There is no champion. The challenger's R2 is 0.91 on test_current and 0.6 on test_baseline. "
            "Its gain in RMSE over similar days is 5 % (90 % interval 3 to 7 %, 6 days).",
        ),
        (
            {},
            "DEPLOY",
            "The challenger is better: R2 0.91 against the champion's 0.9 on test_current. "
            "It removes 10 % of the unexplained variance; more than 2 % is needed.",
        ),
        (
            {"measure": "balanced accuracy"},
            "DEPLOY",
            "The challenger is better: balanced accuracy 0.91 against the champion's 0.9 on test_current. "
            "It closes 10 % of the champion's gap to a perfect score; more than 2 % is needed.",
        ),
        ({"new_current": 0.902}, "SKIP", too_little("0.902", "0.9", "2")),
        (
            {"new_current": 0.90200001},
            "DEPLOY",
            "The challenger is better: R2 0.902 against the champion's 0.9 on test_current. "
            "It removes 2.00001 % of the unexplained variance; more than 2 % is needed.",
        ),
        (
            {"old_current": 0.7, "new_current": 0.706},
            "SKIP",
            too_little("0.706", "0.7", "2"),
        ),
        (
            {"old_current": -1.0, "new_current": -0.96},
            "SKIP",
            too_little("-0.96", "-1", "2"),
        ),
        (
            {"old_current": 0.91612, "new_current": 0.8959},
            "SKIP",
            "The challenger is worse: R2 0.896 against the champion's 0.916 on test_current.",
        ),
        (
            {"new_current": 0.9},
            "SKIP",
            "The challenger is no better: R2 0.9 against the champion's 0.9 on test_current.",
        ),
        (
            {"new_current": 0.9001, "reference": gain(old=-0.01)},
            "DEPLOY",
            "The challenger is better: R2 0.9001 against the champion's 0.9 on test_current. "
            "It removes 0.1 % of the unexplained variance; any improvement is enough, because the champion is less "
            "accurate than similar days (skill -0.01).",
        ),
        (
            {"new_current": 0.9, "reference": gain(old=-0.01)},
            "SKIP",
            "The challenger is no better: R2 0.9 against the champion's 0.9 on test_current.",
        ),
        (
            {"new_current": 0.9001, "reference": gain(old=0.0)},
            "SKIP",
            too_little("0.9001", "0.9", "0.1"),
        ),
        (
            {"new_current": 0.9001, "reference": gain(old=None)},
            "SKIP",
            too_little("0.9001", "0.9", "0.1"),
        ),
        (
            {"old_current": UNKNOWN},
            "SKIP",
            "The challenger cannot be compared: the champion's R2 on test_current is unknown "
            "(12 pairs, 500 are needed).",
        ),
        (
            {"old_current": None},
            "SKIP",
            "The challenger cannot be compared: the champion's R2 on test_current is unknown "
            "(it has no R2 there).",
        ),
        (
            {"old_current": float("nan")},
            "SKIP",
            "The challenger cannot be compared: the champion's R2 on test_current is unknown "
            "(it has no R2 there).",
        ),
        (
            {"new_baseline": UNKNOWN, "new_current": float("nan")},
            "SKIP",
            "The challenger's R2 on test_baseline is unknown (12 pairs, 500 are needed) and its R2 on "
            "test_current is unknown (not a number).",
        ),
        (
            {"new_baseline": UNKNOWN},
            "SKIP",
            "The challenger's R2 on test_baseline is unknown (12 pairs, 500 are needed).",
        ),
        (
            {"old_current": 1.0, "new_current": 1.0},
            "SKIP",
            "The champion's R2 on test_current is 1 and cannot be improved.",
        ),
    ],
)
def test_each_rule_decides_and_says_why(given: dict[str, Any], decision: str, reason: str) -> None:
    made = deploy(**given)
    assert (made.decision, made.reason) == (decision, reason)


def test_a_negative_minimum_gain_deploys_a_worse_challenger_and_says_so() -> None:
    made = deploy(new_current=0.88, limits=Thresholds(min_gain=-0.5))
    assert (made.decision, made.reason) == (
        "DEPLOY",
        "The challenger is worse: R2 0.88 against the champion's 0.9 on test_current. "
        "It removes -20 % of the unexplained variance; more than -50 % is needed.",
    )


def test_gain_is_the_share_of_the_champion_s_unexplained_variance_that_is_removed() -> None:
    assert deploy().gain == 0.1
    assert deploy(new_current=0.902).gain == 0.02
    assert deploy(new_current=0.88).gain == -0.2
    assert deploy(test_mode=True).gain == 0.1
    assert deploy(**NO_CHAMPION).gain is None


def loses(mean: str, low: str, high: str, serves: str) -> str:
    return (
        f"The challenger does not beat similar days on test_current: its gain in RMSE over similar days is {mean} % "
        f"(90 % interval {low} to {high} %, 6 days); a gain above 0 % and a lower end of at least -2 % are needed. "
        f"{serves}"
    )


@pytest.mark.parametrize("champion", [True, False])
@pytest.mark.parametrize(
    ("mean", "low", "decision"),
    [
        (0.0001, -0.02, "DEPLOY"),
        (0.0, -0.01, "REJECT"),
        (-0.001, -0.01, "REJECT"),
        (0.01, -0.0201, "REJECT"),
        (-10.0, -12.0, "REJECT"),
    ],
)
def test_what_does_not_beat_the_reference_is_rejected_with_a_champion_or_without(
    mean: float, low: float, decision: str, champion: bool
) -> None:
    others = {} if champion else NO_CHAMPION
    made = deploy(**others | {"reference": gain(mean, low, 0.2 if champion else None)})
    assert made.decision == decision


@pytest.mark.parametrize(
    ("others", "serves"),
    [({}, "The champion stays."), (NO_CHAMPION, "Similar days go on serving.")],
)
def test_the_reason_says_by_how_much_it_loses_and_what_serves(
    others: dict[str, Any], serves: str
) -> None:
    made = deploy(**others | {"reference": gain(-0.031, -0.052)})
    assert made.reason == loses("-3.1", "-5.2", "-1.1", serves)


def test_a_classifier_is_compared_in_points_of_its_own_measure() -> None:
    made = deploy(measure="balanced accuracy", reference=gain(-0.031, -0.052))
    assert made.decision == "REJECT"
    assert "gain in balanced accuracy over similar days is -3.1 points" in made.reason


def test_a_comparison_that_is_unknown_promotes_nothing() -> None:
    made = deploy(
        **NO_CHAMPION | {"reference": Unknown(reason="1 day(s) to resample, 2 are needed")}
    )
    assert (made.decision, made.reason) == (
        "SKIP",
        "The challenger cannot be compared with similar days and the value a week earlier on test_current: "
        "1 day(s) to resample, 2 are needed.",
    )


def test_a_setting_lifts_the_limit() -> None:
    lifted = Thresholds(min_reference_gain=-1.0, min_reference_gain_low=-1.0)
    assert deploy(limits=lifted, reference=gain(-0.5, -0.9)).decision == "DEPLOY"
