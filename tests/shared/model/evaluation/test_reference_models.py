"""The mean of similar days as a reference model (`reference_models.forecast_similar_days`)."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from tests.shared.model.feature_rows import feature_rows, without_history
from velocast.model.evaluation import reference_models


def test_the_forecast_is_the_mean_of_similar_days() -> None:
    frame = feature_rows(date(2021, 3, 1))
    calibration = reference_models.calibrate_similar_days(frame)
    found = reference_models.forecast_similar_days(frame, calibration)
    pd.testing.assert_series_equal(
        found["predicted_count"], frame["similar_day_mean"], check_names=False
    )
    inside = frame["bike_count"].between(found["lower"], found["upper"])
    assert inside.mean() == pytest.approx(0.9, abs=0.02)


def test_a_counter_without_history_gets_the_city_s_profile_and_a_wider_interval() -> None:
    whole = feature_rows(date(2021, 3, 1))
    frame = without_history(whole, "c1")
    calibration = reference_models.calibrate_similar_days(whole)
    found = reference_models.forecast_similar_days(frame, calibration)
    bare = frame["counter_id"] == "c1"
    others = frame[~bare].groupby(["origin_at", "local_hour"])["similar_day_mean"].mean()
    expected = frame[bare].join(others.rename("mean"), on=["origin_at", "local_hour"])["mean"]
    pd.testing.assert_series_equal(found.loc[bare, "predicted_count"], expected, check_names=False)
    usual = reference_models.forecast_similar_days(whole, calibration)

    def relative(rows: pd.DataFrame) -> float:
        return float((rows["upper"] - rows["lower"]).sum() / rows["predicted_count"].sum())

    assert relative(found[bare]) > 1.5 * relative(usual[bare])


def test_without_any_history_the_forecast_is_zero_with_an_interval() -> None:
    frame = without_history(feature_rows(date(2021, 3, 1), counters=1), "c0")
    found = reference_models.forecast_similar_days(
        frame, reference_models.calibrate_similar_days(frame)
    )
    assert (found["predicted_count"] == 0).all()
    assert (found["upper"] > 0).all()
