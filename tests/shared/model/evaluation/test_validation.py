"""The champion's recent accuracy: scores of the week, skills of the month, and the error that is usual."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.shared.model.evaluation.scored_rows import scored_rows
from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.evaluation import metrics
from velocast.model.evaluation.references import skill_against_better
from velocast.model.evaluation.validation import Validation, validate

LIMITS = Thresholds(min_pairs=500, min_counter_share=0.8, validation_days=7)


def test_validation_scores_the_first_three_lead_days_of_the_week_and_skill_over_the_month() -> None:
    month = scored_rows(origins=12)
    month["similar_days"] = month["same_hour_4w_mean"].fillna(0.0)
    week = month[month["origin_at"] >= month["origin_at"].max() - pd.Timedelta(days=4)]
    found = validate(week, month, counters=3, thresholds=LIMITS)
    assert isinstance(found, Validation)
    assert found.scores == metrics.score_forecasts(week[week["lead_day"] < 3])
    assert found.skill == metrics.skill(month[month["lead_day"] < 3])
    assert found.reference is not None
    assert found.reference == skill_against_better(month[month["lead_day"] < 3])
    assert found.skill_reference == found.reference.skill
    assert (found.r2, found.rmse) == (found.scores.r2, found.scores.rmse)


@pytest.mark.parametrize(
    ("pairs", "counters", "reason"),
    [
        (499, 3, "499 forecasts of the last 7 days have a count, 500 are needed"),
        (500, 4, "3 of 4 counters have a count in the last 7 days, 80% are needed"),
        (0, 3, "0 forecasts of the last 7 days have a count, 500 are needed"),
    ],
)
def test_validation_is_unknown_with_too_few_rows(pairs: int, counters: int, reason: str) -> None:
    rows = scored_rows(origins=12)
    rows = rows[rows["lead_day"] < 3].sample(frac=1.0, random_state=0)
    week = rows.assign(bike_count=rows["bike_count"].where(np.arange(len(rows)) < pairs))
    found = validate(week, week, counters=counters, thresholds=LIMITS)
    assert found == Unknown(reason=reason)


def test_validation_is_known_at_its_limits() -> None:
    rows = scored_rows(origins=12, counters=4)
    rows = rows[(rows["lead_day"] < 3) & (rows["counter_id"] != "c3")].reset_index(drop=True)
    week = rows.assign(bike_count=rows["bike_count"].where(rows.index % (len(rows) // 500) == 0))
    limits = LIMITS.model_copy(
        update={"min_pairs": int(week["bike_count"].count()), "min_counter_share": 0.75}
    )
    found = validate(week, week, counters=4, thresholds=limits)
    assert isinstance(found, Validation)


@pytest.mark.parametrize(
    ("usual", "expected"),
    [
        (0.1, "a number"),
        (0.0, Unknown(reason="the usual error is 0")),
        (Unknown(reason="too young"), Unknown(reason="too young")),
    ],
)
def test_the_error_is_compared_with_what_is_usual(
    usual: float | Unknown, expected: str | Unknown
) -> None:
    rows = scored_rows(origins=12)
    found = validate(rows, rows, counters=3, thresholds=LIMITS, usual_wape=usual)
    assert isinstance(found, Validation)
    if isinstance(expected, Unknown):
        assert found.relative_error == expected
        return
    scored = rows[rows["lead_day"] < 3]
    error = (scored["predicted_count"] - scored["bike_count"]).abs().sum()
    assert found.relative_error == pytest.approx(error / scored["bike_count"].sum() / 0.1)
