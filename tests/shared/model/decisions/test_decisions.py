from __future__ import annotations

from typing import Any

import pytest

from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.decisions import deployment, retraining
from velocast.model.drift.detection import DriftResult
from velocast.model.evaluation.metrics import Scores, Validation

LIMITS = Thresholds(
    min_history_days=21,
    r2_critical=0.65,
    r2_warning=0.70,
    rmse_threshold=60.0,
    drift_critical=0.5,
    drift_warning=0.3,
    refresh_days=28,
    r2_floor=0.60,
    min_gain=0.02,
)
UNKNOWN = Unknown(reason="12 pairs, 500 are needed")


def validation(r2: float | None = 0.9, rmse: float = 30.0, skill: float | None = 0.2) -> Validation:
    scores = Scores(
        rows=1000, counters=10, r2=r2, rmse=rmse, mae=1, wape=0.2, bias=0, coverage=0.9, width=60,
        skill=skill, lead_days=[],
    )  # fmt: skip
    return Validation(scores=scores, skill=skill)


def drift(share: float = 0.0) -> DriftResult:
    return DriftResult(share, [], {}, [], "the 28 days before", b"", "{}")


def retrain(**given: Any) -> tuple[str, str]:
    usual = {
        "forced": False,
        "champion": True,
        "history_days": 300,
        "validation": validation(),
        "drift": drift(),
        "trained_until_age_days": 7.0,
    }
    made = retraining.decide_retraining(**(usual | given), thresholds=LIMITS)
    return made.decision, made.reason


@pytest.mark.parametrize(
    ("given", "decision", "reason"),
    [
        ({"forced": True}, "FORCE", "The event asks for a retraining."),
        (
            {"forced": True, "champion": False, "history_days": 1},
            "FORCE",
            "The event asks for a retraining.",
        ),
        (
            {"champion": False, "history_days": 21},
            "FIRST",
            "There is no champion yet and 21 days of counts, 21 are enough.",
        ),
        (
            {"champion": False, "history_days": 20.5, "validation": UNKNOWN, "drift": UNKNOWN},
            "WAIT",
            "There is no champion yet and 20.5 days of counts: 0.5 of 21 days are missing.",
        ),
        (
            {"validation": validation(r2=0.6499)},
            "REACTIVE",
            "The champion's R2 0.6499 is below 0.65.",
        ),
        (
            {"validation": validation(rmse=60.01)},
            "REACTIVE",
            "The champion's RMSE 60.01 is above 60.",
        ),
        (
            {"validation": validation(skill=-0.001)},
            "REACTIVE",
            "The champion's skill -0.001 is below 0, last week's value does better.",
        ),
        (
            {"validation": validation(r2=0.5, rmse=70.0)},
            "REACTIVE",
            "The champion's R2 0.5 is below 0.65 and its RMSE 70 is above 60.",
        ),
        (
            {"validation": validation(r2=0.65, rmse=60.0, skill=0.0), "drift": drift(0.5)},
            "PROACTIVE",
            "The drift share 0.5 reaches 0.5 and the champion's R2 0.65 is below 0.7.",
        ),
        (
            {"validation": validation(r2=0.65), "drift": drift(0.375)},
            "WAIT",
            "Watched, not retrained: the champion's R2 0.65 is below 0.7 and the drift share 0.375 reaches 0.3.",
        ),
        (
            {"validation": validation(r2=0.69), "drift": UNKNOWN},
            "WAIT",
            "Watched, not retrained: the champion's R2 0.69 is below 0.7 "
            "(drift unknown (12 pairs, 500 are needed)).",
        ),
        (
            {"validation": validation(r2=0.70), "drift": drift(1.0)},
            "WAIT",
            "Watched, not retrained: the drift share 1 reaches 0.3 (R2 0.7).",
        ),
        (
            {"trained_until_age_days": 28.5},
            "REFRESH",
            "The champion's training data end 28.5 days ago, more than 28.",
        ),
        (
            {"trained_until_age_days": 29, "validation": UNKNOWN, "drift": UNKNOWN},
            "REFRESH",
            "The champion's training data end 29 days ago, more than 28.",
        ),
        (
            {"trained_until_age_days": 28.0, "drift": drift(3 / 10)},
            "WAIT",
            "Watched, not retrained: the drift share 0.3 reaches 0.3 (R2 0.9).",
        ),
        (
            {"drift": drift(2 / 7)},
            "ALL_GOOD",
            "Nothing asks for a retraining: R2 0.9, drift share 0.2857.",
        ),
        (
            {"validation": UNKNOWN, "drift": drift(0.5)},
            "WAIT",
            "Watched, not retrained: the drift share 0.5 reaches 0.3 "
            "(accuracy unknown (12 pairs, 500 are needed)).",
        ),
        (
            {"validation": UNKNOWN, "drift": UNKNOWN, "trained_until_age_days": None},
            "ALL_GOOD",
            "Nothing asks for a retraining: accuracy unknown (12 pairs, 500 are needed), "
            "drift unknown (12 pairs, 500 are needed).",
        ),
        (
            {"validation": validation(r2=None, skill=None), "drift": drift(0.9)},
            "WAIT",
            "Watched, not retrained: the drift share 0.9 reaches 0.3 "
            "(R2 unknown (the counts of the week do not vary)).",
        ),
    ],
)
def test_retrain(given: dict[str, Any], decision: str, reason: str) -> None:
    assert retrain(**given) == (decision, reason)


def test_which_decisions_train() -> None:
    made = {d: retraining.RetrainDecision(decision=d, reason="").trains for d in (
        "FORCE", "FIRST", "REACTIVE", "PROACTIVE", "REFRESH", "WAIT", "ALL_GOOD")}  # fmt: skip
    assert [d for d, trains in made.items() if not trains] == ["WAIT", "ALL_GOOD"]


def deploy(**given: Any) -> deployment.DeploymentDecision:
    usual = {
        "old_baseline": 0.8,
        "new_baseline": 0.85,
        "old_current": 0.9,
        "new_current": 0.91,
        "old_skill": 0.2,
        "test_mode": False,
    }
    return deployment.decide_deployment(**(usual | given), thresholds=LIMITS)


NO_CHAMPION = {"old_baseline": None, "old_current": None, "old_skill": None}


@pytest.mark.parametrize(
    ("given", "decision", "reason"),
    [
        (
            {"new_baseline": 0.5999},
            "REJECT",
            "The challenger's R2 on test_baseline is 0.5999, below 0.6.",
        ),
        (
            {"new_baseline": 0.59} | NO_CHAMPION,
            "REJECT",
            "The challenger's R2 on test_baseline is 0.59",
        ),
        ({"new_baseline": 0.59, "test_mode": True}, "REJECT", "test_baseline is 0.59, below 0.6."),
        ({"test_mode": True}, "SKIP", "A model trained in test mode is never deployed."),
        (
            {"test_mode": True} | NO_CHAMPION,
            "SKIP",
            "A model trained in test mode is never deployed.",
        ),
        (
            {"new_baseline": 0.60} | NO_CHAMPION,
            "DEPLOY",
            "There is no champion and the challenger's R2 is 0.91 on test_current, 0.6 on test_baseline.",
        ),
        (
            {},
            "DEPLOY",
            "R2 on test_current 0.91 against the champion's 0.9 removes 10 % of what it leaves unexplained, "
            "more than 2 %.",
        ),
        (
            {"new_current": 0.902},
            "SKIP",
            "R2 on test_current 0.902 against the champion's 0.9 removes 2 % of what it leaves unexplained, "
            "no more than 2 %.",
        ),
        ({"new_current": 0.90200001}, "DEPLOY", "more than 2 %."),
        ({"old_current": 0.7, "new_current": 0.706}, "SKIP", "removes 2 %"),
        ({"old_current": -1.0, "new_current": -0.96}, "SKIP", "removes 2 %"),
        (
            {"new_current": 0.88},
            "SKIP",
            "removes -20 % of what it leaves unexplained, no more than 2 %.",
        ),
        (
            {"new_current": 0.9001, "old_skill": -0.01},
            "DEPLOY",
            "The champion loses to last week's value (skill -0.01), so any improvement will do: "
            "R2 on test_current 0.9001 against the champion's 0.9 removes 0.1 %",
        ),
        ({"new_current": 0.9, "old_skill": -0.01}, "SKIP", "removes 0 %.*no more than 0 %."),
        ({"new_current": 0.9001, "old_skill": 0.0}, "SKIP", "no more than 2 %."),
        ({"new_current": 0.9001, "old_skill": None}, "SKIP", "no more than 2 %."),
        (
            {"old_current": UNKNOWN},
            "SKIP",
            r"The champion's R2 on test_current is unknown \(12 pairs, 500 are needed\), so no gain can be shown.",
        ),
        ({"old_current": None}, "SKIP", r"unknown \(it has no R2 there\)"),
        ({"old_current": float("nan")}, "SKIP", r"unknown \(it has no R2 there\)"),
        (
            {"new_baseline": UNKNOWN, "new_current": float("nan")},
            "SKIP",
            r"The challenger's R2 on test_baseline is unknown \(12 pairs, 500 are needed\) and its R2 on "
            r"test_current is unknown \(not a number\).",
        ),
        (
            {"old_current": 1.0, "new_current": 1.0},
            "SKIP",
            "The champion leaves nothing unexplained",
        ),
    ],
)
def test_deploy(given: dict[str, Any], decision: str, reason: str) -> None:
    import re

    made = deploy(**given)
    assert made.decision == decision
    assert re.search(reason, made.reason) or reason in made.reason


def test_gain_is_the_share_removed_of_what_the_champion_leaves_unexplained() -> None:
    assert deploy().gain == 0.1
    assert deploy(new_current=0.902).gain == 0.02
    assert deploy(test_mode=True).gain == 0.1
    assert deploy(**NO_CHAMPION).gain is None
