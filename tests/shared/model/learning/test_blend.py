"""The blend: what it adds up, and what it learns from the weeks that are held out."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from tests.shared.model.feature_rows import feature_rows
from velocast.model.features.preprocessing import same_weekday_mean, similar_days_mean
from velocast.model.intervals import adaptive
from velocast.model.learning import blend, forecaster, level_correction, regressors, ridge
from velocast.model.learning.blend_weights import (
    MATURE_DAYS,
    RECENT_DAYS,
    DailyErrors,
    weights_of_origins,
)

PARAMS = blend.initial_hyperparameters(test_mode=True)
TRAIN = feature_rows(date(2021, 2, 1), origins=8)
HELD_OUT = feature_rows(date(2021, 3, 1), origins=16, seed=1)
FITTED = blend.fit_blend(PARAMS, TRAIN, seed=7)


def test_the_forecast_is_the_weighted_mean_of_the_corrected_voices() -> None:
    weights = {"boosters": 0.4, "ridge": 0.2, "similar_days": 0.3, "same_weekday": 0.1}
    boosted = regressors.predict_counts(FITTED["boosters"], HELD_OUT)
    linear = ridge.predict_ridge(FITTED["ridge"], HELD_OUT)
    np.testing.assert_allclose(
        blend.blended_counts(FITTED | {"weights": weights}, HELD_OUT, None),
        0.4 * level_correction.correct_level(HELD_OUT, boosted)
        + 0.2 * level_correction.correct_level(HELD_OUT, linear)
        + 0.3 * similar_days_mean(HELD_OUT)
        + 0.1 * same_weekday_mean(HELD_OUT),
    )
    assert not np.allclose(boosted, linear)


def test_a_city_where_learning_does_not_pay_gets_the_mean_of_similar_days() -> None:
    """The voices learned counts that are twice the mean of similar days; the held-out weeks are like it again."""
    doubled = TRAIN.assign(bike_count=2 * TRAIN["similar_day_mean"])
    fitted = blend.fit_blend(PARAMS, doubled, seed=7)
    usual = HELD_OUT.assign(bike_count=HELD_OUT["similar_day_mean"])
    assert blend.learn_weights(fitted, usual, 24, seed=7)["weights"]["similar_days"] == 1.0
    few_days = usual[usual["local_date"] < usual["local_date"].min() + pd.Timedelta(days=13)]
    assert blend.learn_weights(fitted, few_days, 21, seed=7)["weights"] == PARAMS["weights"]


def test_a_young_city_keeps_the_errors_of_the_voices_on_each_held_out_day() -> None:
    assert "errors" not in blend.learn_weights(FITTED, HELD_OUT, MATURE_DAYS, seed=7)
    kept = blend.learn_weights(FITTED, HELD_OUT, MATURE_DAYS - 1, seed=7)
    errors = kept["errors"]
    boosted = level_correction.correct_level(
        HELD_OUT,
        regressors.predict_counts(FITTED["boosters"], HELD_OUT),
        level_correction.DailyRatios(**kept["levels"]["boosters"]),
    )
    squares = ((boosted - HELD_OUT["bike_count"]) ** 2).groupby(HELD_OUT["local_date"]).sum()
    epoch = pd.Timestamp("1970-01-01")
    assert errors["days"].tolist() == [(day - epoch).days for day in squares.index]
    np.testing.assert_allclose(errors["products"][:, 0, 0], squares)


def test_a_blend_remembers_how_the_level_of_its_voices_erred_on_the_held_out_days() -> None:
    doubled = HELD_OUT.assign(bike_count=2 * HELD_OUT["bike_count"])
    kept = blend.learn_weights(FITTED, doubled, MATURE_DAYS, seed=7)
    assert {"levels", "weights"} == set(kept)
    for ratios in kept["levels"].values():
        assert len(ratios["days"]) == doubled["local_date"].nunique()
        assert np.median(ratios["logs"]) > 0.3
    after = feature_rows(date(2021, 3, 21), origins=2, seed=2).drop(columns="bike_count")
    forecasts = [
        blend.blended_counts(fitted, after, doubled["target_at"].max())
        for fitted in (FITTED, FITTED | kept | {"weights": PARAMS["weights"]})
    ]
    assert 1.05 < forecasts[1].sum() / forecasts[0].sum() < 1.4


def test_a_model_from_before_forecasts_as_it_did() -> None:
    """It has three voices, and neither levels nor, in a young city, errors of a fourth."""
    weights = {"boosters": 0.3, "ridge": 0.6, "similar_days": 0.1}
    boosted, linear = (
        level_correction.correct_level(HELD_OUT, made)
        for made in (
            regressors.predict_counts(FITTED["boosters"], HELD_OUT),
            ridge.predict_ridge(FITTED["ridge"], HELD_OUT),
        )
    )
    voices = np.column_stack([boosted, linear, similar_days_mean(HELD_OUT)])
    old = FITTED | {"weights": weights}
    end = HELD_OUT["origin_at"].min()
    np.testing.assert_allclose(
        blend.blended_counts(old, HELD_OUT, end), voices @ list(weights.values())
    )
    errors = DailyErrors.of(voices, HELD_OUT)
    young = old | {"errors": {"days": errors.days, "products": errors.products}}
    moved = weights_of_origins(HELD_OUT, voices, tuple(weights.values()), errors, end)
    np.testing.assert_allclose(
        blend.blended_counts(young, HELD_OUT, end), (voices * moved).sum(axis=1)
    )
    assert moved.shape == (len(HELD_OUT), 3)


def test_only_a_model_that_moves_its_weights_looks_back_further() -> None:
    """The expected counts depend on no more days before an origin than are read with it."""
    young = forecaster.fit_forecaster("blend", TRAIN, HELD_OUT, seed=7, test_mode=True)
    forecast = {k: v for k, v in young.estimator["forecast"].items() if k != "errors"}
    mature = replace(young, estimator=young.estimator | {"forecast": forecast})
    assert (young.recent_days, mature.recent_days) == (RECENT_DAYS, adaptive.DAYS)
    days = feature_rows(date(2021, 4, 1), origins=RECENT_DAYS + 4, seed=2)
    origin = days["origin_at"].max()
    for model in (young, mature):
        early = origin - pd.Timedelta(days=model.recent_days, hours=12)
        near = days[days["origin_at"] > early]
        of_all, of_near = (model.predict(f)["predicted_count"] for f in (days, near))
        last = near.index[near["origin_at"] == origin]
        pd.testing.assert_series_equal(of_all[last], of_near[last])
