"""The reference forest: which rows it is trained on, and that it forecasts in blocks."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from velocast_cli.backtesting.reference_forest import ReferenceForest

NUMBERS = 13  # columns before those of the counters
COSINE_OF_MONTH, DAY_OF_MONTH = 3, 5


class Forest:
    """Record the training data; forecast the day of the month."""

    learned: ClassVar[list[np.ndarray[Any, Any]]] = []

    def __init__(self, **options: Any) -> None:
        self.asked: list[np.ndarray[Any, Any]] = []

    def fit(self, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> None:
        assert len(x) == len(y)
        self.learned.append(x)
        warnings.resetwarnings()  # as threads of scikit-learn do now and then

    def predict(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        self.asked.append(x)
        warnings.resetwarnings()
        return x[:, DAY_OF_MONTH]


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray[Any, Any]]:
    monkeypatch.setattr("sklearn.ensemble.RandomForestRegressor", Forest)
    monkeypatch.setattr(Forest, "learned", [])
    return Forest.learned


def counts(counters: int, hours: int) -> pd.DataFrame:
    """Return hourly counts, ordered by hour and counter."""
    at = pd.date_range("2020-01-01", periods=hours, freq="h").repeat(counters)
    names = np.array([f"c{n:03}" for n in range(counters)])
    return pd.DataFrame(
        {
            "counter_id": np.tile(names, hours),
            "counted_at": at.tz_localize("UTC"),
            "local_date": at.normalize(),
            "local_hour": at.hour,
            "bike_count": 1.0,
        }
    )


def test_of_a_large_city_as_many_rows_of_every_counter_and_season_are_learned_from(
    learned: list[np.ndarray[Any, Any]],
) -> None:
    frame = counts(40, 24 * 730)  # 700,800 rows, two years
    for _ in range(2):
        ReferenceForest.fit(frame, seed=1)
    assert len(learned[0]) == 500_000
    np.testing.assert_array_equal(learned[0], learned[1])
    np.testing.assert_allclose(learned[0][:, NUMBERS:].sum(axis=0), 12_500, atol=1)
    summer = learned[0][:, COSINE_OF_MONTH] < -0.1  # April to August
    assert summer.mean() == pytest.approx(
        (frame["local_date"].dt.month.between(4, 8)).mean(), abs=0.001
    )


def test_the_counts_of_paris_are_all_learned_from(learned: list[np.ndarray[Any, Any]]) -> None:
    ReferenceForest.fit(counts(52, 8_020), seed=1)
    assert [len(x) for x in learned] == [417_040]


@pytest.mark.parametrize("rows", [0, 1, 120_000])
def test_forecasts_are_made_in_blocks_that_fit_into_memory(
    rows: int, learned: list[np.ndarray[Any, Any]]
) -> None:
    counters = 500
    frame = counts(counters, rows // counters + 1).head(rows)
    forest = Forest()
    made = ReferenceForest(forest, tuple(sorted(frame["counter_id"].unique()))).predict(frame)
    assert max((x.nbytes for x in forest.asked), default=0) < 150 * 2**20
    np.testing.assert_array_equal(made, frame["local_date"].dt.day.to_numpy(dtype="float64"))


def test_warning_filters_stay_as_they_were(learned: list[np.ndarray[Any, Any]]) -> None:
    before = list(warnings.filters)
    ReferenceForest.fit(counts(3, 48), seed=1).predict(counts(3, 1))
    assert before
    assert list(warnings.filters) == before


def test_a_counter_that_came_later_is_none_of_those_known() -> None:
    forest = Forest()
    ReferenceForest(forest, ("c000", "c002")).predict(counts(3, 1))
    np.testing.assert_array_equal(forest.asked[0][:, NUMBERS:], [[1, 0], [0, 0], [0, 1]])
