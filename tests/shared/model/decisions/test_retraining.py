"""The decision to retrain: every rule at its limit, with the sentence that people read."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.decisions import retraining
from velocast.model.decisions.retraining import RefusedChallenger
from velocast.model.drift.detection import DriftResult
from velocast.model.evaluation.metrics import Scores
from velocast.model.evaluation.references import ReferenceSkill
from velocast.model.evaluation.validation import Validation

LIMITS = Thresholds(
    min_history_days=21,
    r2_critical=0.65,
    r2_warning=0.70,
    drift_critical=0.5,
    drift_warning=0.3,
    refresh_days=28,
)
UNKNOWN = Unknown(reason="12 pairs, 500 are needed")


def validation(
    r2: float | None = 0.9,
    rmse: float = 30.0,
    skill: float | None = 0.2,
    better: float | None = 0.1,
    relative_error: float | Unknown = UNKNOWN,
) -> Validation:
    scores = Scores(
        rows=1000, counters=10, r2=r2, rmse=rmse, mae=1, wape=0.2, bias=0, coverage=0.9, width=60,
        skill=skill, lead_days=[],
    )  # fmt: skip
    reference = None if better is None else ReferenceSkill(reference="similar_days", skill=better)
    return Validation(
        scores=scores, skill=skill, reference=reference, relative_error=relative_error
    )


def drift(share: float = 0.0) -> DriftResult:
    return DriftResult(share, [], {}, [], "the 28 days before", b"", "{}")


def refused(days_ago: float, decision: Literal["SKIP", "REJECT"] = "REJECT") -> RefusedChallenger:
    return RefusedChallenger(version=4, decision=decision, days_ago=days_ago)


def retrain(limits: Thresholds = LIMITS, **given: Any) -> tuple[str, str]:
    usual: dict[str, Any] = {
        "forced": False,
        "champion": True,
        "history_days": 300,
        "validation": validation(),
        "drift": drift(),
        "trained_until_age_days": 7.0,
        "refused": None,
    }
    made = retraining.decide_retraining(**(usual | given), thresholds=limits)
    return made.decision, made.reason


@pytest.mark.parametrize(
    ("given", "decision", "reason"),
    [
        ({"forced": True}, "FORCE", "The event requests a retraining."),
        (
            {"forced": True, "champion": False, "history_days": 1},
            "FORCE",
            "The event requests a retraining.",
        ),
        (
            {"champion": False, "history_days": 21},
            "FIRST",
            "There is no champion yet. 21 days of counts are stored, 21 are needed.",
        ),
        (
            {"champion": False, "history_days": 20.5, "validation": UNKNOWN, "drift": UNKNOWN},
            "WAIT",
            "There is no champion yet. 20.5 days of counts are stored, 21 are needed.",
        ),
        (
            {"validation": validation(r2=0.6499)},
            "REACTIVE",
            "The champion's R2 is 0.6499, below 0.65.",
        ),
        (
            {"validation": validation(better=-0.001)},
            "REACTIVE",
            "The champion's skill against similar days is -0.001, below 0.",
        ),
        (
            {"validation": validation(r2=0.5, better=-0.5)},
            "REACTIVE",
            "The champion's R2 is 0.5, below 0.65; its skill against similar days is -0.5, below 0.",
        ),
        (  # what is much in one city is little in another
            {"validation": validation(rmse=6000.0, skill=-0.1)},
            "ALL_GOOD",
            "Nothing calls for a retraining: R2 is 0.9 and the drift share is 0.",
        ),
        (
            {"validation": validation(relative_error=1.51)},
            "WAIT",
            "No retraining yet: the error is 1.51 times what is usual at this time of the year, above 1.5. "
            "R2 is 0.9. The drift share is 0.",
        ),
        (
            {"validation": validation(relative_error=1.5)},
            "ALL_GOOD",
            "Nothing calls for a retraining: R2 is 0.9 and the drift share is 0.",
        ),
        (
            {"champion": False, "refused": refused(27.9)},
            "WAIT",
            "There is no champion yet. 300 days of counts are stored, 21 are needed. No retraining yet: "
            "version 4 was rejected 27.9 days ago; the next attempt is made after 28 days, or when it is forced. "
            "Similar days go on serving.",
        ),
        (
            {"champion": False, "refused": refused(28.0)},
            "FIRST",
            "There is no champion yet. 300 days of counts are stored, 21 are needed.",
        ),
        (
            {"champion": False, "refused": refused(1.0), "forced": True},
            "FORCE",
            "The event requests a retraining.",
        ),
        (
            {"validation": validation(r2=0.6), "refused": refused(7.0, "SKIP")},
            "WAIT",
            "No retraining yet: the champion's R2 is 0.6, below 0.65, but version 4 was skipped 7 days ago; "
            "the next attempt is made after 28 days, or when it is forced.",
        ),
        (
            {"validation": validation(r2=0.6), "refused": refused(28.0)},
            "REACTIVE",
            "The champion's R2 is 0.6, below 0.65.",
        ),
        (
            {
                "validation": validation(r2=0.6),
                "refused": refused(7.0),
                "trained_until_age_days": 30,
            },
            "REFRESH",
            "The champion's training data ended 30 days ago; the limit is 28 days.",
        ),
        (
            {"refused": refused(7.0)},
            "ALL_GOOD",
            "Nothing calls for a retraining: R2 is 0.9 and the drift share is 0.",
        ),
        (
            {"validation": validation(r2=0.65, better=0.0), "drift": drift(0.5)},
            "PROACTIVE",
            "The drift share is 0.5, at or above 0.5, and the champion's R2 is 0.65, below 0.7.",
        ),
        (
            {"validation": validation(r2=0.65), "drift": drift(0.375)},
            "WAIT",
            "No retraining yet: the champion's R2 is 0.65, below 0.7, and the drift share is 0.375, at or above 0.3.",
        ),
        (
            {"validation": validation(r2=0.69), "drift": UNKNOWN},
            "WAIT",
            "No retraining yet: the champion's R2 is 0.69, below 0.7. "
            "Drift is unknown (12 pairs, 500 are needed).",
        ),
        (
            {"validation": validation(r2=0.70), "drift": drift(1.0)},
            "WAIT",
            "No retraining yet: the drift share is 1, at or above 0.3. R2 is 0.7.",
        ),
        (
            {"trained_until_age_days": 28.5},
            "REFRESH",
            "The champion's training data ended 28.5 days ago; the limit is 28 days.",
        ),
        (
            {"trained_until_age_days": 29, "validation": UNKNOWN, "drift": UNKNOWN},
            "REFRESH",
            "The champion's training data ended 29 days ago; the limit is 28 days.",
        ),
        (
            {"trained_until_age_days": 28.0, "drift": drift(3 / 10)},
            "WAIT",
            "No retraining yet: the drift share is 0.3, at or above 0.3. R2 is 0.9.",
        ),
        (
            {"drift": drift(2 / 7)},
            "ALL_GOOD",
            "Nothing calls for a retraining: R2 is 0.9 and the drift share is 0.286.",
        ),
        (
            {"validation": UNKNOWN, "drift": drift(0.5)},
            "WAIT",
            "No retraining yet: the drift share is 0.5, at or above 0.3. "
            "Accuracy is unknown (12 pairs, 500 are needed).",
        ),
        (
            {"validation": UNKNOWN, "drift": UNKNOWN, "trained_until_age_days": None},
            "ALL_GOOD",
            "Nothing calls for a retraining: accuracy is unknown (12 pairs, 500 are needed) and "
            "drift is unknown (12 pairs, 500 are needed).",
        ),
        (
            {"validation": validation(r2=None, skill=None), "drift": drift(0.9)},
            "WAIT",
            "No retraining yet: the drift share is 0.9, at or above 0.3. "
            "R2 is unknown (the counts of the week do not vary).",
        ),
    ],
)
def test_each_rule_decides_and_says_why(given: dict[str, Any], decision: str, reason: str) -> None:
    assert retrain(**given) == (decision, reason)


def test_a_city_may_set_a_limit_in_its_own_bikes() -> None:
    limited = LIMITS.model_copy(update={"rmse_threshold": 60.0})
    assert retrain(limited, validation=validation(rmse=60.0))[0] == "ALL_GOOD"
    assert retrain(limited, validation=validation(rmse=60.01)) == (
        "REACTIVE",
        "The champion's RMSE is 60.01, above 60.",
    )


def test_which_decisions_train() -> None:
    made = {d: retraining.RetrainDecision(decision=d, reason="").trains for d in (
        "FORCE", "FIRST", "REACTIVE", "PROACTIVE", "REFRESH", "WAIT", "ALL_GOOD")}  # fmt: skip
    assert [d for d, trains in made.items() if not trains] == ["WAIT", "ALL_GOOD"]
