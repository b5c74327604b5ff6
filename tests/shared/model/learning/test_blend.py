"""The blend: what it adds up, and when its weights leave the usual ones."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from tests.shared.model.feature_rows import feature_rows
from velocast.model.features.preprocessing import similar_days_mean
from velocast.model.learning import blend, level_correction, regressors, ridge

PARAMS = blend.initial_hyperparameters(test_mode=True)
TRAIN = feature_rows(date(2021, 2, 1), origins=8)
HELD_OUT = feature_rows(date(2021, 3, 1), origins=16, seed=1)
FITTED = blend.fit_blend(PARAMS, TRAIN, seed=7)


def test_the_forecast_is_the_weighted_mean_of_the_corrected_voices() -> None:
    weights = {"boosters": 0.5, "ridge": 0.2, "similar_days": 0.3}
    boosted = regressors.predict_counts(FITTED["boosters"], HELD_OUT)
    linear = ridge.predict_ridge(FITTED["ridge"], HELD_OUT)
    np.testing.assert_allclose(
        blend.blended_counts(FITTED | {"weights": weights}, HELD_OUT),
        0.5 * level_correction.correct_level(HELD_OUT, boosted)
        + 0.2 * level_correction.correct_level(HELD_OUT, linear)
        + 0.3 * similar_days_mean(HELD_OUT),
    )
    assert not np.allclose(boosted, linear)


def test_every_candidate_adds_up_to_one() -> None:
    assert np.sum(blend.CANDIDATES, axis=1) == pytest.approx(1.0)
    assert PARAMS["weights"] == {"boosters": 0.3, "ridge": 0.6, "similar_days": 0.1}


def learned(frame: pd.DataFrame) -> tuple[float, ...]:
    return tuple(blend.learn_weights(FITTED, frame, seed=7).values())


def test_what_is_not_clearly_better_changes_no_weight() -> None:
    assert learned(HELD_OUT) == blend.CANDIDATES[0]


def test_a_city_where_learning_does_not_pay_gets_the_mean_of_similar_days() -> None:
    """The voices learned counts that are twice the mean of similar days; the held-out weeks are like it again."""
    doubled = TRAIN.assign(bike_count=2 * TRAIN["similar_day_mean"])
    fitted = blend.fit_blend(PARAMS, doubled, seed=7)
    usual = HELD_OUT.assign(bike_count=HELD_OUT["similar_day_mean"])
    assert blend.learn_weights(fitted, usual, seed=7)["similar_days"] == 1.0
    few_days = usual[usual["local_date"] < usual["local_date"].min() + pd.Timedelta(days=13)]
    assert blend.learn_weights(fitted, few_days, seed=7) == PARAMS["weights"]


def test_weights_are_learned_from_any_counts() -> None:
    assert learned(HELD_OUT.assign(bike_count=0.0)) in blend.CANDIDATES
    assert learned(HELD_OUT.head(0)) == blend.CANDIDATES[0]
