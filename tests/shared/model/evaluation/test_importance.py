"""Grouped permutation importance, against models whose inputs are known."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from tests.shared.model.feature_rows import feature_rows
from velocast.model.evaluation import importance
from velocast.model.evaluation.importance import FAMILIES, family_importances
from velocast.model.features.definition import FEATURES
from velocast.model.learning import forecaster

ROWS = feature_rows(date(2021, 3, 1), origins=16, seed=1)
ACTUAL = ROWS["bike_count"]


def growths(model: str) -> dict[str, float]:
    """The importances for a model that forecasts one column."""
    found = family_importances(lambda frame: frame[model], ROWS, ACTUAL, seed=7)
    assert [each.growth for each in found] == sorted((each.growth for each in found), reverse=True)
    return {each.family: each.growth for each in found}


def test_every_feature_but_the_lead_is_in_one_family() -> None:
    named = [column for columns in FAMILIES.values() for column in columns]
    assert sorted(named) == sorted(set(FEATURES) - {"lead_day"})


def test_only_the_family_that_a_model_uses_matters() -> None:
    found = growths("similar_day_mean")
    assert found.pop("Similar days") > 1
    assert set(found.values()) == {0.0}


def test_a_value_comes_from_another_hour_of_the_same_counter() -> None:
    """The level is the same in all hours of a counter, so nothing is lost by shuffling it among them."""
    assert growths("level")["Level of the last days"] == 0.0
    shuffled = importance._shuffled(ROWS, ("day_mean_1d", "level"), np.random.default_rng(0))
    pd.testing.assert_series_equal(shuffled["level"], ROWS["level"])
    pairs = [set(zip(f["counter_id"], f["day_mean_1d"], strict=True)) for f in (ROWS, shuffled)]
    assert pairs[0] == pairs[1]
    assert not shuffled["day_mean_1d"].equals(ROWS["day_mean_1d"])


def test_the_importance_of_a_blend_is_that_of_its_whole_forecast() -> None:
    """Counts that follow the similar days, so they matter most, whichever voice uses them."""
    train = feature_rows(date(2021, 2, 1), origins=8)
    model = forecaster.fit_forecaster("blend", train, ROWS.head(3000), seed=7, test_mode=True)
    asked: list[int] = []

    def predict(frame: pd.DataFrame) -> pd.Series[float]:
        asked.append(len(frame))
        return model.predict(frame)["predicted_count"]

    found = family_importances(predict, ROWS, ACTUAL, seed=7)
    assert found[0].family == "Similar days"
    assert found[0].growth > 3 * max(each.growth for each in found[1:])
    assert asked == [importance.MOST_ROWS] * (1 + importance.REPEATS * len(FAMILIES))
    assert family_importances(predict, ROWS, ACTUAL, seed=7) == found


def test_rows_are_bounded_and_those_without_a_count_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importance, "MOST_ROWS", 300)
    asked: set[int] = set()

    def predict(frame: pd.DataFrame) -> pd.Series[float]:
        asked.add(len(frame))
        assert frame["bike_count"].notna().all()
        return frame["level"]

    family_importances(predict, ROWS, ACTUAL.where(ROWS.index > 1000), seed=7)
    assert asked == {300}
    unknown = pd.Series(np.nan, index=ROWS.index)
    assert family_importances(predict, ROWS, unknown, seed=7) == []
    assert family_importances(lambda frame: frame["bike_count"], ROWS, ACTUAL, seed=7) == []
