"""The regressors: columns that are left out, weather known or missing, the mean of boosters."""

from __future__ import annotations

import warnings
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor

from tests.shared.model.feature_rows import feature_rows
from velocast.core.kinds import ForecastKind
from velocast.model.features import preprocessing
from velocast.model.features.definition import FEATURES, SIMILAR, WEATHER
from velocast.model.learning import regressors

ROWS = feature_rows(date(2021, 2, 1), origins=8)
SETTINGS = regressors.hyperparameters(test_mode=True)


def with_rain(frame: pd.DataFrame, *, share: float) -> pd.DataFrame:
    """Return the frame with rain all day on a share of the days, which halves the counts."""
    days = frame["target_at"].dt.dayofyear
    wet = (days * 7919 % 100) < 100 * share
    return frame.assign(
        day_rain=np.where(wet, 10.0, 0.0),
        bike_count=frame["similar_day_mean"] * np.where(wet, 0.5, 1.1),
    )


@pytest.mark.parametrize("kind", ["gbm", "rf", "nn"])
def test_weather_is_learned_and_may_be_missing(kind: ForecastKind) -> None:
    params = SETTINGS[kind] | ({"max_iter": 60} if kind != "rf" else {})
    train = with_rain(feature_rows(date(2021, 1, 1), origins=40), share=0.5)
    estimator = regressors.fit_regressor(kind, params, train, seed=1)
    wet, dry = ROWS.assign(day_rain=10.0), ROWS.assign(day_rain=0.0)
    ratio = (
        regressors.predict_counts(estimator, wet).sum()
        / regressors.predict_counts(estimator, dry).sum()
    )
    assert ratio < 0.75
    unknown = regressors.predict_counts(estimator, ROWS.assign(**dict.fromkeys(WEATHER, np.nan)))
    assert np.isfinite(unknown).all()
    assert 0.4 < unknown.sum() / ROWS["similar_day_mean"].sum() < 1.3


def test_a_forest_s_threads_leave_the_warning_filters_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Now and then they leave none (scikit-learn 1.9), so that all later warnings of the process are shown."""
    fit = RandomForestRegressor.fit

    def fit_and_leave_none(self: RandomForestRegressor, *data: Any, **weights: Any) -> Any:
        fitted = fit(self, *data, **weights)
        warnings.resetwarnings()
        return fitted

    monkeypatch.setattr(RandomForestRegressor, "fit", fit_and_leave_none)
    before = list(warnings.filters)
    regressors.fit_regressor("rf", SETTINGS["rf"], ROWS, seed=1)
    assert before
    assert list(warnings.filters) == before


def test_columns_without_information_are_left_out() -> None:
    train = ROWS.assign(**dict.fromkeys(WEATHER, np.nan), is_holiday=0.0)
    estimator = regressors.fit_regressor("gbm", SETTINGS["gbm"], train, seed=1)
    kept = {FEATURES[column] for part in estimator for column in part["columns"]}
    assert "similar_day_mean" in kept
    assert kept.isdisjoint({*WEATHER, "is_holiday", *SIMILAR})
    # weather that becomes known later then changes nothing
    np.testing.assert_array_equal(
        regressors.predict_counts(estimator, ROWS), regressors.predict_counts(estimator, train)
    )


def test_the_forecast_is_the_mean_of_boosters_that_differ() -> None:
    estimator = regressors.fit_regressor("gbm", SETTINGS["gbm"] | {"max_iter": 40}, ROWS, seed=1)
    assert len(estimator) == SETTINGS["gbm"]["boosters"] == 2
    base, level = preprocessing.base_and_level(ROWS)
    x = preprocessing.scale_by_level(ROWS, base, level)
    each = [base + level * part["booster"].predict(x[:, part["columns"]]) for part in estimator]
    np.testing.assert_allclose(
        regressors.predict_counts(estimator, ROWS), np.maximum((each[0] + each[1]) / 2, 0)
    )
    assert not np.allclose(*each)
