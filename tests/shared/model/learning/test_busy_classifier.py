from __future__ import annotations

import io
import json
import zipfile
from datetime import date, timedelta
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import FunctionTransformer, Pipeline

from tests.shared.model.feature_rows import feature_rows, without_history
from velocast.core import kinds
from velocast.core.errors import ModelUnusable, TooLittleHistory
from velocast.model.evaluation import classification_metrics
from velocast.model.evaluation.classification_metrics import balanced_accuracy
from velocast.model.features.definition import FEATURES
from velocast.model.learning import busy_classifier, models, serialization
from velocast.model.learning.busy_classifier import BusyModel, choose_threshold
from velocast.model.learning.forecaster import TrainedModel

TRAIN = feature_rows(date(2021, 2, 1), origins=20)
TEST = feature_rows(date(2021, 3, 1), origins=3, seed=2)


@pytest.fixture(scope="module")
def model() -> BusyModel:
    return busy_classifier.fit_busy_classifier(TRAIN, seed=7, test_mode=True)


def test_it_separates_busy_hours_from_others(model: BusyModel) -> None:
    frame = TEST.sample(frac=1.0, random_state=0)
    found = model.predict(frame)
    assert list(found.columns) == ["busy_probability", "busy"]
    assert found.index.equals(frame.index)
    assert found["busy_probability"].between(0, 1).all()
    assert (found["busy"] == (found["busy_probability"] >= model.threshold)).all()
    scores = classification_metrics.score_busy_hours(frame.join(found))
    assert scores.balanced_accuracy is not None
    assert scores.balanced_accuracy > 0.9
    assert scores.brier_relative is not None
    assert scores.brier_relative < 0.5


def test_nothing_is_learned_from_shuffled_labels() -> None:
    """The good score above is learned: with shuffled counts it is that of chance."""
    shuffled = TRAIN.assign(
        bike_count=TRAIN["bike_count"].sample(frac=1.0, random_state=3).to_numpy()
    )
    made = busy_classifier.fit_busy_classifier(shuffled, seed=7, test_mode=True)
    scores = classification_metrics.score_busy_hours(TEST.join(made.predict(TEST)))
    assert scores.brier_relative is not None
    assert scores.brier_relative > 0.8


def test_a_counter_without_threshold_has_no_probability_and_is_not_busy(model: BusyModel) -> None:
    bare = without_history(TEST, "c1")
    found, silent = model.predict(bare), bare["counter_id"] == "c1"
    assert found.loc[silent, "busy_probability"].isna().all()
    assert not found.loc[silent, "busy"].any()
    pd.testing.assert_frame_equal(found[~silent], model.predict(TEST)[~silent])
    assert model.predict(TEST.head(0)).empty


def test_the_prediction_does_not_depend_on_the_count(model: BusyModel) -> None:
    nonsense = TEST.assign(bike_count=-1e6, lag_168h=np.nan)
    pd.testing.assert_frame_equal(model.predict(nonsense), model.predict(TEST))


def test_a_city_with_a_short_history_can_be_learned() -> None:
    young = TRAIN.assign(**{f"week_{n}": np.nan for n in (2, 3, 4)})
    made = busy_classifier.fit_busy_classifier(young, seed=1, test_mode=True)
    assert made.predict(TEST)["busy_probability"].notna().all()


class TestThreshold:
    @pytest.mark.parametrize("seed", range(5))
    def test_it_is_as_good_as_the_best_candidate(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        busy = random.random(2000) < 0.25
        probability = np.clip(0.3 * busy + random.random(2000) * 0.6, 0, 1)
        chosen = choose_threshold(probability, busy, 0.25)
        scores = [
            balanced_accuracy(busy, probability >= c) or 0.0 for c in busy_classifier.CANDIDATES
        ]
        reached = balanced_accuracy(busy, probability >= chosen)
        assert reached is not None
        assert max(scores) - busy_classifier.AS_GOOD <= reached < 1
        assert reached > (balanced_accuracy(busy, probability >= 0.8) or 0.0)

    def test_of_equally_good_candidates_it_is_the_closest_to_the_base_rate(self) -> None:
        busy = np.array([False, False, True, True])
        probability = np.array([0.1, 0.2, 0.8, 0.9])
        assert choose_threshold(probability, busy, 0.5) == 0.5
        assert choose_threshold(probability, busy, 0.1) == 0.21

    def test_with_one_class_only_it_is_the_base_rate(self) -> None:
        assert choose_threshold(np.array([0.1, 0.2]), np.array([False, False]), 0.3) == 0.3

    def test_it_is_chosen_on_held_out_rows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fitted: list[tuple[pd.DataFrame, Any]] = []
        chosen_on: list[int] = []
        fit, choose = busy_classifier._fit, busy_classifier.choose_threshold

        def fit_and_note(params: dict[str, Any], rows: pd.DataFrame, *others: Any) -> Any:
            fitted.append((rows, fit(params, rows, *others)))
            return fitted[-1][1]

        monkeypatch.setattr(busy_classifier, "_fit", fit_and_note)
        monkeypatch.setattr(
            busy_classifier,
            "choose_threshold",
            lambda p, *a: chosen_on.append(len(p)) or choose(p, *a),
        )
        made = busy_classifier.fit_busy_classifier(TRAIN, seed=7, test_mode=True)
        (trial, _), (final, kept) = sorted(fitted, key=lambda each: len(each[0]))
        assert made.estimator is kept, "the model that is kept has learned from all weeks"
        assert len(final) == len(TRAIN)
        assert len(trial) + chosen_on[0] == len(TRAIN)
        newest = max(TRAIN["local_date"])
        ages = {(newest - day).days for day in trial["local_date"]}
        assert not any(7 <= age < 14 for age in ages)  # the week that was held out


def test_hours_of_one_class_are_refused() -> None:
    with pytest.raises(TooLittleHistory, match="0 of 7200 rows with a count and a threshold"):
        busy_classifier.fit_busy_classifier(TRAIN.assign(bike_count=0.0), seed=1)


class TestStorage:
    def test_a_loaded_model_is_equal(self, model: BusyModel) -> None:
        loaded = BusyModel.from_bytes(model.to_bytes())
        pd.testing.assert_frame_equal(loaded.predict(TEST), model.predict(TEST))
        assert (loaded.threshold, loaded.base_rate) == (model.threshold, model.base_rate)
        assert loaded.describe() == model.describe()

    def test_the_same_seed_gives_the_same_bytes(self, model: BusyModel) -> None:
        assert (
            busy_classifier.fit_busy_classifier(TRAIN, seed=7, test_mode=True).to_bytes()
            == model.to_bytes()
        )
        assert (
            busy_classifier.fit_busy_classifier(TRAIN, seed=8, test_mode=True).to_bytes()
            != model.to_bytes()
        )

    def test_each_task_loads_its_own(self, model: BusyModel) -> None:
        assert isinstance(models.from_bytes(model.to_bytes()), BusyModel)
        with pytest.raises(ModelUnusable, match="are not a Velocast model"):
            TrainedModel.from_bytes(model.to_bytes())
        with pytest.raises(ModelUnusable, match="are not a Velocast model"):
            models.from_bytes(b"other")

    def test_a_model_that_could_execute_code_is_refused(self, model: BusyModel) -> None:
        estimator = Pipeline(
            [("f", FunctionTransformer(partial(print, "x"))), ("l", LinearRegression())]
        )
        with zipfile.ZipFile(io.BytesIO(model.to_bytes())) as source:
            card = busy_classifier.BusyClassifierCard.model_validate_json(
                source.read(serialization.CARD)
            )
        with pytest.raises(ModelUnusable, match=r"contains \[.*partial.*do not load it"):
            BusyModel.from_bytes(serialization.pack(estimator, card))

    def test_no_callable_type_is_trusted(self, model: BusyModel) -> None:
        import skops.io

        asked = set(skops.io.get_untrusted_types(data=model.to_bytes()))
        assert asked == serialization.TRUSTED["affluence"]
        assert all(name.endswith(".TreePredictor") for name in asked)


def test_it_describes_itself(model: BusyModel) -> None:
    found = model.describe()
    assert found["features"] == list(FEATURES)
    assert (found["kind"], found["task"], found["seed"]) == ("affluence", "affluence", 7)
    assert 0 < found["threshold"] < 1
    assert json.dumps(found)


def test_kinds_and_tasks() -> None:
    assert [kinds.task_of(kind) for kind in ("blend", "gbm", "rf", "nn", "affluence")] == [
        *["forecast"] * 4,
        "affluence",
    ]
    held_out = TRAIN[TRAIN["origin_at"] >= TRAIN["origin_at"].max() - timedelta(days=3)]
    made = models.fit_model(
        "affluence", TRAIN.drop(held_out.index), held_out, seed=7, test_mode=True
    )
    assert isinstance(made, BusyModel)
    assert models.primary_output(made, without_history(TEST, "c1")).notna().all()
