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
    weather = fitted["weather_mean"], fitted["weather_scale"]
    return ridge._design(frame, base, level, *weather, fitted["calendar"])


CALENDAR = list(ridge.CALENDAR)


def with_calendar(frame: pd.DataFrame, seed: int = 5) -> pd.DataFrame:
    """Return the rows with school holidays on some days, and events at some counters and hours."""
    random = np.random.default_rng(seed)
    days = frame["local_date"].drop_duplicates()
    free = dict(zip(days, random.random(len(days)) < 0.5, strict=True))
    return frame.assign(
        is_school_holiday=frame["local_date"].map(free).astype("float64"),
        school_holiday_share_14d=(frame["lead_day"] * 2 / 14).astype("float64"),
        is_saturday=(frame["local_date"].dt.weekday == 5).astype("float64"),
        is_rest=(frame["local_date"].dt.weekday == 6).astype("float64"),
        is_event=(random.random(len(frame)) < 0.2).astype("float64"),
    )


@pytest.mark.parametrize("calendar", [[], CALENDAR])
def test_without_neighbours_each_hour_is_a_ridge_regression_of_its_own(calendar: list[str]) -> None:
    params = ridge.HYPERPARAMETERS | {"neighbours": 0.0, "calendar": calendar}
    rows = with_calendar(ROWS)
    fitted = ridge.fit_ridge(params, rows, seed=1)
    base, level = base_and_level(rows)
    weight = level**2 / np.mean(level**2)
    x = design(fitted, rows)
    assert x.shape[1] == 58 + (6 if calendar else 0)
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


def test_the_rows_of_a_fit_are_read_in_blocks_from_several_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = with_calendar(ROWS)
    params = ridge.HYPERPARAMETERS | {"calendar": CALENDAR, "max_rows": 3000}
    whole = ridge.fit_ridge(params, rows, seed=1)
    monkeypatch.setattr(ridge, "FIT_BLOCK", 700)
    apart = ridge.fit_ridge(params, [rows.iloc[:1000], rows.iloc[1000:]], seed=1)
    np.testing.assert_allclose(apart["coefficients"], whole["coefficients"], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("used", [[], ["events"], ["school_holidays"], CALENDAR])
def test_equations_without_columns_are_those_of_a_fit_without_them(used: list[str]) -> None:
    rows = with_calendar(ROWS)
    params = ridge.HYPERPARAMETERS | {"calendar": CALENDAR}
    narrowed = ridge.Equations.of(rows, params).using(used).solved()
    alone = ridge.Equations.of(rows, params | {"calendar": used}).solved()
    assert narrowed["calendar"] == used
    np.testing.assert_allclose(narrowed["coefficients"], alone["coefficients"], rtol=1e-6)


def test_weather_is_learned() -> None:
    wet = (ROWS["target_at"].dt.dayofyear % 2 == 0).to_numpy()
    rain = ROWS.assign(
        day_rain=np.where(wet, 10.0, 0.0),
        bike_count=ROWS["similar_day_mean"] * np.where(wet, 0.5, 1.1),
    )
    fitted = ridge.fit_ridge(ridge.HYPERPARAMETERS, rain, seed=1)
    found = ridge.predict_ridge(fitted, rain)
    assert found[wet].sum() < 0.75 * found[~wet].sum() * wet.sum() / (~wet).sum()


def test_school_holidays_and_events_are_learned_only_where_they_are_chosen() -> None:
    rows = with_calendar(ROWS)
    free, event = rows["is_school_holiday"] > 0, rows["is_event"] > 0
    factor = np.where(free, 0.7, 1.0) * np.where(event, 1.6, 1.0)
    rows = rows.assign(bike_count=rows["similar_day_mean"] * factor)

    def ratios(calendar: list[str]) -> list[float]:
        params = ridge.HYPERPARAMETERS | {"penalty": 1.0, "calendar": calendar}  # few rows
        fitted = ridge.fit_ridge(params, rows, seed=1)
        made = pd.Series(ridge.predict_ridge(fitted, rows), index=rows.index)
        kinds = (free & ~event, event & ~free)
        return [float(made[k].sum() / rows.loc[k, "similar_day_mean"].sum()) for k in kinds]

    both = ratios(CALENDAR)
    assert both == pytest.approx([0.7, 1.6], abs=0.12)
    neither = ratios([])
    assert neither[1] < 1.25
    assert ratios(["events"])[1] == pytest.approx(1.5, abs=0.12)


def test_a_model_that_was_stored_before_the_calendar_forecasts_as_before() -> None:
    fitted = ridge.fit_ridge(ridge.HYPERPARAMETERS, ROWS, seed=1)
    stored = {name: fitted[name] for name in ("weather_mean", "weather_scale", "coefficients")}
    rows = with_calendar(ROWS)
    np.testing.assert_array_equal(
        ridge.predict_ridge(stored, rows), ridge.predict_ridge(fitted, rows)
    )
