"""The ridge regression, held to scikit-learn's, and what it makes of gaps."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from tests.shared.model.feature_rows import feature_rows, without_history
from velocast.model.features.definition import WEATHER
from velocast.model.features.preprocessing import base_and_level
from velocast.model.learning import ridge

ROWS = feature_rows(date(2021, 2, 1), origins=8)


def design(fitted: dict[str, np.ndarray], frame: pd.DataFrame) -> np.ndarray:
    base, level = base_and_level(frame)
    return ridge._design(frame, base, level, fitted["weather_mean"], fitted["weather_scale"])


def test_without_neighbours_each_hour_is_a_ridge_regression_of_its_own() -> None:
    fitted = ridge.fit_ridge(ridge.HYPERPARAMETERS | {"neighbours": 0.0}, ROWS, seed=1)
    base, level = base_and_level(ROWS)
    weight = level**2 / np.mean(level**2)
    x = design(fitted, ROWS)
    scale = np.sqrt(np.average(x**2, axis=0, weights=weight))
    scale[scale == 0] = 1.0
    target = ((ROWS["bike_count"] - base) / level).clip(*ridge.RESIDUALS)
    for hour in (0, 8, 23):
        own = (ROWS["local_hour"] == hour).to_numpy()
        oracle = Ridge(alpha=ridge.HYPERPARAMETERS["penalty"], fit_intercept=False)
        oracle.fit(x[own] / scale, target[own], sample_weight=weight[own])
        np.testing.assert_allclose(
            fitted["coefficients"][hour], oracle.coef_ / scale, rtol=1e-7, atol=1e-10
        )


def test_hours_learn_from_the_hours_beside_them() -> None:
    """Counts rise by half at 8 o'clock only: the hours beside learn part of it, the others nothing."""
    raised = ROWS["similar_day_mean"] * np.where(ROWS["local_hour"] == 8, 1.5, 1.0)
    fitted = ridge.fit_ridge(ridge.HYPERPARAMETERS, ROWS.assign(bike_count=raised), seed=1)
    forecast = pd.Series(ridge.predict_ridge(fitted, ROWS), index=ROWS.index)
    by_hour = ROWS["local_hour"]
    ratio = forecast.groupby(by_hour).sum() / ROWS["similar_day_mean"].groupby(by_hour).sum()
    assert ratio[8] > max(ratio[7], ratio[9]) > 1.05
    # at 2 o'clock nothing is expected
    assert ratio.drop([2, 7, 8, 9]).between(0.99, 1.01).all()


@pytest.mark.parametrize("factor", [0.0, 50.0])
def test_forecasts_stay_within_what_was_ever_counted(factor: float) -> None:
    grown = ROWS.assign(bike_count=ROWS["similar_day_mean"] * factor)
    fitted = ridge.fit_ridge(ridge.HYPERPARAMETERS, grown, seed=1)
    far = ROWS.assign(share_1d=100.0, share_3d=0.0, week_1=1e6)
    base, level = base_and_level(far)
    found = ridge.predict_ridge(fitted, far)
    assert ((found >= 0) & (found <= base + ridge.RESIDUALS[1] * level)).all()


def test_unknown_weather_and_history_change_nothing_that_is_known() -> None:
    unknown = ROWS.assign(**dict.fromkeys(WEATHER, np.nan))
    fitted = ridge.fit_ridge(ridge.HYPERPARAMETERS, unknown, seed=1)
    np.testing.assert_allclose(
        ridge.predict_ridge(fitted, ROWS), ridge.predict_ridge(fitted, unknown)
    )
    found = ridge.predict_ridge(fitted, without_history(ROWS, "c1"))
    assert np.isfinite(found).all()
    others = (ROWS["counter_id"] != "c1").to_numpy()
    np.testing.assert_allclose(found[others], ridge.predict_ridge(fitted, ROWS)[others])


def test_any_number_of_rows_is_forecast_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = ridge.fit_ridge(ridge.HYPERPARAMETERS, ROWS, seed=1)
    whole = ridge.predict_ridge(fitted, ROWS)
    monkeypatch.setattr(ridge, "BLOCK", 1000)
    np.testing.assert_allclose(ridge.predict_ridge(fitted, ROWS), whole)
    assert len(ridge.predict_ridge(fitted, ROWS.head(0))) == 0


def test_weather_is_learned() -> None:
    wet = (ROWS["target_at"].dt.dayofyear % 2 == 0).to_numpy()
    rain = ROWS.assign(
        day_rain=np.where(wet, 10.0, 0.0),
        bike_count=ROWS["similar_day_mean"] * np.where(wet, 0.5, 1.1),
    )
    fitted = ridge.fit_ridge(ridge.HYPERPARAMETERS, rain, seed=1)
    found = ridge.predict_ridge(fitted, rain)
    assert found[wet].sum() < 0.75 * found[~wet].sum() * wet.sum() / (~wet).sum()
