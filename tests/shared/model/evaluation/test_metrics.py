from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from tests.shared.model.evaluation.scored_rows import scored_rows
from velocast.model.evaluation import metrics
from velocast.model.evaluation.metrics import RowsMismatch


def test_scores_follow_their_definitions() -> None:
    rows = scored_rows()
    found = metrics.score_forecasts(rows)
    actual, predicted = rows["bike_count"], rows["predicted_count"]
    naive = root_mean_squared_error(actual, rows["lag_168h"])
    expected = {
        "rows": len(rows),
        "counters": 3,
        "r2": r2_score(actual, predicted),
        "rmse": root_mean_squared_error(actual, predicted),
        "mae": mean_absolute_error(actual, predicted),
        "wape": (actual - predicted).abs().sum() / actual.sum(),
        "bias": (predicted - actual).mean(),
        "coverage": actual.between(rows["lower"], rows["upper"]).mean(),
        "width": (rows["upper"] - rows["lower"]).mean(),
        "skill": 1 - root_mean_squared_error(actual, predicted) / naive,
    }
    assert found.model_dump(exclude={"lead_days"}) == pytest.approx(expected)
    assert [lead.lead_day for lead in found.lead_days] == [0, 1, 2, 3, 4]
    second = rows[rows["lead_day"] == 1]
    assert found.lead_days[1].r2 == pytest.approx(
        r2_score(second["bike_count"], second["predicted_count"])
    )
    assert sum(lead.rows for lead in found.lead_days) == len(rows)


def test_an_hour_without_a_count_is_left_out_not_read_as_zero() -> None:
    rows = scored_rows()
    gaps = rows.assign(bike_count=rows["bike_count"].where(rows.index % 3 > 0))
    assert metrics.score_forecasts(gaps) == metrics.score_forecasts(rows[rows.index % 3 > 0])


def test_skill_uses_only_rows_with_a_value_a_week_earlier() -> None:
    rows = scored_rows()
    half = rows.assign(lag_168h=rows["lag_168h"].where(rows.index % 2 == 0))
    assert metrics.skill(half) == metrics.skill(rows[rows.index % 2 == 0])
    assert metrics.skill(rows.assign(lag_168h=np.nan)) is None
    assert metrics.skill(rows.drop(columns="lag_168h")) is None
    assert metrics.skill(rows.assign(lag_168h=rows["bike_count"])) is None


def test_undefined_scores_are_none() -> None:
    rows = scored_rows().assign(bike_count=0.0).drop(columns=["lower", "upper"])
    found = metrics.score_forecasts(rows)
    assert (found.r2, found.wape, found.coverage, found.width) == (None, None, None, None)
    without = metrics.score_forecasts(rows.assign(lower=np.nan, upper=np.nan))
    assert (without.coverage, without.width) == (None, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: pd.concat([r, r.head(2)]), "2 of 2162 rows repeat"),
        (
            lambda r: r.assign(predicted_count=r["predicted_count"].where(r.index > 4)),
            "5 of 2160 counted rows have no forecast",
        ),
        (lambda r: r.assign(bike_count=np.nan), "none of 2160 rows has a count"),
    ],
)
def test_rows_that_do_not_match_are_refused(
    change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    with pytest.raises(RowsMismatch, match=message):
        metrics.score_forecasts(change(scored_rows()))
