from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from tests.shared.model.feature_rows import feature_rows
from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.evaluation import metrics
from velocast.model.evaluation.metrics import RowsMismatch, Validation

LIMITS = Thresholds(min_pairs=500, min_counter_share=0.8, validation_days=7)


def scored_rows(**options: int) -> pd.DataFrame:
    frame = feature_rows(date(2021, 3, 1), **options)
    predicted = frame["similar_day_mean"]
    return frame.assign(
        predicted_count=predicted, lower=predicted * 0.7, upper=predicted * 1.3
    ).reset_index(drop=True)


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


def test_validation_scores_the_first_three_lead_days_of_the_week_and_skill_over_the_month() -> None:
    month = scored_rows(origins=12)
    week = month[month["origin_at"] >= month["origin_at"].max() - pd.Timedelta(days=4)]
    found = metrics.validate(week, month, counters=3, thresholds=LIMITS)
    assert isinstance(found, Validation)
    assert found.scores == metrics.score_forecasts(week[week["lead_day"] < 3])
    assert found.skill == metrics.skill(month[month["lead_day"] < 3])
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
    found = metrics.validate(week, week, counters=counters, thresholds=LIMITS)
    assert found == Unknown(reason=reason)


def test_validation_is_known_at_its_limits() -> None:
    rows = scored_rows(origins=12, counters=4)
    rows = rows[(rows["lead_day"] < 3) & (rows["counter_id"] != "c3")].reset_index(drop=True)
    week = rows.assign(bike_count=rows["bike_count"].where(rows.index % (len(rows) // 500) == 0))
    limits = LIMITS.model_copy(
        update={"min_pairs": int(week["bike_count"].count()), "min_counter_share": 0.75}
    )
    found = metrics.validate(week, week, counters=4, thresholds=limits)
    assert isinstance(found, Validation)


def test_bootstrap_is_sure_of_a_clear_gain_and_repeats_itself() -> None:
    rows = scored_rows(origins=12)
    worse = rows["predicted_count"] * 1.3
    pairs = rows.assign(predicted_old=worse, predicted_new=rows["predicted_count"])
    found = metrics.paired_bootstrap(pairs, seed=1)
    assert isinstance(found, metrics.BootstrapResult)
    assert found == metrics.paired_bootstrap(pairs, seed=1)
    gain = root_mean_squared_error(rows["bike_count"], worse) - root_mean_squared_error(
        rows["bike_count"], rows["predicted_count"]
    )
    assert found.low < gain < found.high
    assert found.gain_mean == pytest.approx(gain, rel=0.05)
    assert (found.probability_better, found.days) == (1.0, 16)


def test_bootstrap_of_the_same_forecasts_is_no_gain() -> None:
    rows = scored_rows()
    same = rows.assign(predicted_old=rows["predicted_count"], predicted_new=rows["predicted_count"])
    found = metrics.paired_bootstrap(same, seed=1, resamples=50)
    assert found == metrics.BootstrapResult(
        gain_mean=0, low=0, high=0, probability_better=0, days=10
    )


def test_bootstrap_needs_days_and_both_forecasts() -> None:
    rows = scored_rows()
    pairs = rows.assign(
        predicted_old=rows["predicted_count"], predicted_new=rows["predicted_count"]
    )
    one_day = pairs[pairs["local_date"] == pairs["local_date"].min()]
    assert metrics.paired_bootstrap(one_day, seed=1) == Unknown(
        reason="1 day(s) to resample, 2 are needed"
    )
    lacking = pairs.assign(predicted_new=pairs["predicted_new"].where(pairs.index > 0))
    with pytest.raises(RowsMismatch, match="1 of 2160 counted rows lack a forecast"):
        metrics.paired_bootstrap(lacking, seed=1)
