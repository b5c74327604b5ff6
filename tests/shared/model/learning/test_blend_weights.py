"""The weights of a blend: when they leave the usual ones, and that they know nothing of what comes after an origin."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import product

import numpy as np
import pandas as pd
import pytest

from tests.shared.model.feature_rows import feature_rows
from velocast.model.arrays import Floats
from velocast.model.learning import blend_weights
from velocast.model.learning.blend_weights import (
    CANDIDATES,
    PENALTY_DAYS,
    RECENT_DAYS,
    DailyErrors,
    choose_weights,
    weights_of_origins,
)

USUAL = CANDIDATES[0]
HELD_OUT = feature_rows(date(2021, 3, 1), origins=RECENT_DAYS + 3, seed=1)
NOTHING = DailyErrors(np.empty(0, dtype=np.int64), np.empty((0, 4, 4)))
LONG_AGO = datetime.fromisoformat("2020-01-01T00:00:00+00:00")


def voices(frame: pd.DataFrame, errors: tuple[float, ...], seed: int = 3) -> Floats:
    """Voices that err independently, each by so many bikes."""
    random = np.random.default_rng(seed)
    actual = frame[["bike_count"]].to_numpy(dtype="float64")
    return np.asarray(actual + random.normal(size=(len(frame), len(errors))) * np.array(errors))


def test_every_candidate_adds_up_to_one() -> None:
    assert np.sum(CANDIDATES, axis=1) == pytest.approx(1.0)
    assert np.sum(blend_weights._grid(4), axis=1) == pytest.approx(1.0)
    assert len(blend_weights._grid(4)) == 286
    assert blend_weights.named(USUAL) == {
        "boosters": 0.25,
        "ridge": 0.55,
        "similar_days": 0.1,
        "same_weekday": 0.1,
    }


def test_what_is_not_clearly_better_is_not_chosen() -> None:
    assert choose_weights(voices(HELD_OUT, (9.0, 6.0, 9.0, 9.0)), HELD_OUT, seed=7) == USUAL
    # ridge and similar days alone would have gained 7 %
    assert choose_weights(voices(HELD_OUT, (10.0, 6.0, 6.4, 10.0)), HELD_OUT, seed=7) == USUAL
    assert choose_weights(voices(HELD_OUT, (9.0, 9.0, 0.1, 9.0)), HELD_OUT, seed=7) == CANDIDATES[3]


def test_a_candidate_is_chosen_from_any_counts() -> None:
    zeros = HELD_OUT.assign(bike_count=0.0)
    assert choose_weights(voices(HELD_OUT, (1.0, 1.0, 1.0, 1.0)), zeros, seed=7) in CANDIDATES
    assert choose_weights(np.empty((0, 4)), HELD_OUT.head(0), seed=7) == USUAL


def test_the_weights_of_an_origin_are_the_cheapest_by_the_errors_of_the_days_before() -> None:
    """Compared with a search over all weights that forms the blended errors themselves."""
    made = voices(HELD_OUT, (2.0, 30.0, 9.0, 30.0))
    found = weights_of_origins(HELD_OUT, made, USUAL, NOTHING, LONG_AGO)
    origin = HELD_OUT["origin_at"].max()
    recent = (
        (HELD_OUT["lead_day"] == 0)
        & (HELD_OUT["origin_at"] < origin)
        & (HELD_OUT["origin_at"] >= origin - timedelta(days=RECENT_DAYS))
    ).to_numpy()
    actual = HELD_OUT["bike_count"].to_numpy()[recent]
    usual = np.sum((made[recent] @ USUAL - actual) ** 2)
    tenths = [
        (a / 10, b / 10, c / 10, (10 - a - b - c) / 10)
        for a, b, c in product(range(11), repeat=3)
        if a + b + c <= 10
    ]

    def price(weights: tuple[float, ...]) -> float:
        error = np.sum((made[recent] @ weights - actual) ** 2) / usual * RECENT_DAYS
        return float(
            error + PENALTY_DAYS * sum((w - u) ** 2 for w, u in zip(weights, USUAL, strict=True))
        )

    best = min(tenths, key=price)
    of_origin = np.unique(found[(HELD_OUT["origin_at"] == origin).to_numpy()], axis=0)
    np.testing.assert_allclose(of_origin, [best])
    assert best[0] > 0.4
    assert best != USUAL


def test_no_count_from_an_origin_on_moves_its_weights() -> None:
    made = voices(HELD_OUT, (2.0, 30.0, 9.0, 30.0))
    before = weights_of_origins(HELD_OUT, made, USUAL, NOTHING, LONG_AGO)
    origin = HELD_OUT["origin_at"].unique()[8]
    later = HELD_OUT["target_at"] >= origin
    changed = HELD_OUT.assign(bike_count=HELD_OUT["bike_count"].where(~later, 7777.0))
    after = weights_of_origins(changed, made, USUAL, NOTHING, LONG_AGO)
    known = (HELD_OUT["origin_at"] <= origin).to_numpy()
    np.testing.assert_array_equal(before[known], after[known])
    assert not np.array_equal(before[~known], after[~known])


def test_days_that_were_held_out_in_training_count_only_where_they_lie_before_the_origin() -> None:
    errors = DailyErrors.of(voices(HELD_OUT, (2.0, 30.0, 9.0, 30.0)), HELD_OUT)
    own = voices(HELD_OUT, (5.0, 5.0, 5.0, 5.0))
    early = feature_rows(date(2021, 2, 20), origins=3)
    unmoved = weights_of_origins(early, voices(early, (5.0, 5.0, 5.0, 5.0)), USUAL, errors, None)
    np.testing.assert_array_equal(unmoved, np.tile(USUAL, (len(early), 1)))
    moved = weights_of_origins(HELD_OUT, own, USUAL, errors, None)
    first, last = (
        (HELD_OUT["origin_at"] == at).to_numpy()
        for at in (HELD_OUT["origin_at"].min(), HELD_OUT["origin_at"].max())
    )
    np.testing.assert_array_equal(moved[first][0], USUAL)
    assert moved[last][0, 0] > 0.4


def test_what_the_voices_were_fitted_to_moves_no_weight() -> None:
    made = voices(HELD_OUT, (0.1, 30.0, 30.0, 30.0))
    end = HELD_OUT["target_at"].max() + timedelta(hours=1)
    found = weights_of_origins(HELD_OUT, made, USUAL, NOTHING, end.to_pydatetime())
    np.testing.assert_array_equal(found, np.tile(USUAL, (len(HELD_OUT), 1)))


def test_an_earlier_model_and_a_city_without_errors_keep_their_weights() -> None:
    made = voices(HELD_OUT, (2.0, 30.0, 9.0, 30.0))
    for known, counted in ((None, made), (NOTHING, np.repeat(HELD_OUT[["bike_count"]], 4, axis=1))):
        found = weights_of_origins(HELD_OUT, np.asarray(counted), USUAL, known, LONG_AGO)
        np.testing.assert_array_equal(found, np.tile(USUAL, (len(HELD_OUT), 1)))
