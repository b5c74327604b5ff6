"""The champion's recent accuracy: its published forecasts against the counts, the references, and what is usual."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from pydantic import BaseModel, ConfigDict

from velocast.core.datetimes import SCORED_LEAD_DAYS
from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.evaluation.metrics import Scores, score_forecasts, skill
from velocast.model.evaluation.references import ReferenceSkill, skill_against_better

NO_USUAL_ERROR = Unknown(reason="no usual error was given")


class Validation(BaseModel):
    """The champion's recent accuracy: scores of the last `validation_days`, skills over the last `skill_days`.

    reference: the better of similar days and the value a week earlier, and the skill against it; None when it is not
    known. relative_error: WAPE of the last `validation_days` / usual WAPE of these weeks of the year.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    scores: Scores
    skill: float | None
    reference: ReferenceSkill | None = None
    relative_error: float | Unknown = NO_USUAL_ERROR

    @property
    def skill_reference(self) -> float | None:
        """Skill against the better reference over the last `skill_days`; None when it is not known."""
        return None if self.reference is None else self.reference.skill

    @property
    def r2(self) -> float | None:
        """Pooled R2 of the last `validation_days`."""
        return self.scores.r2

    @property
    def rmse(self) -> float:
        """Pooled RMSE of the last `validation_days`, in bikes per hour."""
        return self.scores.rmse


def validate(
    week: pd.DataFrame,
    month: pd.DataFrame,
    *,
    counters: int,
    thresholds: Thresholds,
    usual_wape: float | Unknown = NO_USUAL_ERROR,
) -> Validation | Unknown:
    """Score the champion's recent forecasts, lead days 0 to 2.

    week: rows of the last `validation_days`; month: rows of the last `skill_days`; both as for `score_forecasts` and
    `skill_against_better`. counters: number of counters to forecast. usual_wape: the WAPE with which the week's is
    compared. Returns Unknown when the week has fewer than min_pairs pairs or less than min_counter_share of the
    counters. Raises as `score_forecasts`.
    """
    scored = week[week["lead_day"] < SCORED_LEAD_DAYS]
    pairs = scored[scored["bike_count"].notna()]
    if len(pairs) < max(1, thresholds.min_pairs):
        return Unknown(
            reason=f"{len(pairs)} forecasts of the last {thresholds.validation_days} days have a count, "
            f"{thresholds.min_pairs} are needed"
        )
    seen = pairs["counter_id"].nunique()
    if counters and seen / counters < thresholds.min_counter_share:
        return Unknown(
            reason=f"{seen} of {counters} counters have a count in the last {thresholds.validation_days} days, "
            f"{thresholds.min_counter_share:.0%} are needed"
        )
    scores, scored_month = score_forecasts(scored), month[month["lead_day"] < SCORED_LEAD_DAYS]
    return Validation(
        scores=scores,
        skill=skill(scored_month),
        reference=skill_against_better(scored_month),
        relative_error=_relative(scores.wape, usual_wape),
    )


def _relative(wape: float | None, usual: float | Unknown) -> float | Unknown:
    if isinstance(usual, Unknown):
        return usual
    if wape is None:
        return Unknown(reason="no bikes were counted in these days")
    return wape / usual if usual > 0 else Unknown(reason="the usual error is 0")
