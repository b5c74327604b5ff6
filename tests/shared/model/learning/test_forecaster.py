from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import FunctionTransformer, Pipeline

from tests.shared.model.feature_rows import feature_rows, without_history
from velocast.core.errors import ModelUnusable, TooLittleHistory
from velocast.core.kinds import ForecastKind
from velocast.model.evaluation import metrics, reference_models
from velocast.model.features import definition
from velocast.model.features.definition import FEATURE_DEFINITION, FEATURES
from velocast.model.features.preprocessing import FeatureRows
from velocast.model.intervals import residual_scale
from velocast.model.learning import blend, blend_weights, regressors, serialization
from velocast.model.learning.forecaster import TrainedModel, fit_forecaster, library_versions

KINDS: tuple[ForecastKind, ...] = ("blend", "gbm", "rf", "nn")
TRAIN = feature_rows(date(2021, 2, 1), origins=6)
CALIBRATION = feature_rows(date(2021, 2, 12), origins=3, seed=1)
TEST = feature_rows(date(2021, 3, 1), origins=3, seed=2)


@pytest.fixture(scope="module")
def models() -> dict[str, TrainedModel]:
    return {
        kind: fit_forecaster(kind, TRAIN, CALIBRATION, seed=7, test_mode=True) for kind in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_forecasts_every_row_with_its_interval(
    models: dict[str, TrainedModel], kind: ForecastKind
) -> None:
    frame = TEST.sample(frac=1.0, random_state=0)
    found = models[kind].predict(frame)
    quantiles = ["lower", "q25", "q50", "q75", "upper"]
    assert set(found.columns) == {"predicted_count", *quantiles, "busy_probability"}
    assert (found[quantiles].diff(axis="columns").iloc[:, 1:] >= 0).all(axis=None)
    below = [(frame["bike_count"] <= found[name]).mean() for name in quantiles]
    assert below == pytest.approx([0.05, 0.25, 0.5, 0.75, 0.95], abs=0.1)
    assert found.index.equals(frame.index)
    assert found.notna().all(axis=None)
    assert (found["lower"] >= 0).all()
    assert found["predicted_count"].between(found["lower"], found["upper"]).all()
    assert found["busy_probability"].between(0, 1).all()
    pd.testing.assert_frame_equal(
        found.sort_index(), models[kind].predict(TEST), rtol=1e-9, check_exact=False
    )
    scores = metrics.score_forecasts(frame.join(found))
    assert scores.r2 is not None
    assert scores.r2 > (0.80 if kind == "nn" else 0.85)  # three passes of a tiny network
    assert scores.coverage == pytest.approx(0.9, abs=0.07)


@pytest.mark.parametrize("kind", ["blend", "gbm"])
def test_boosters_whose_errors_are_learned_draw_half_of_the_rows(
    kind: ForecastKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = regressors.fit_regressor
    drawn: list[int] = []

    def spied(kind: ForecastKind, params: dict[str, Any], frame: FeatureRows, seed: int) -> Any:
        drawn.append(params["max_rows"])
        return fit(kind, params, frame, seed)

    monkeypatch.setattr(regressors, "fit_regressor", spied)
    model = fit_forecaster(kind, TRAIN, CALIBRATION, seed=7, test_mode=True)
    assert drawn == [40_000, 80_000]
    described = model.params["boosters"] if kind == "blend" else model.params
    assert described["max_rows"] == 80_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_an_earlier_definition_serves_until_it_is_retrained(
    models: dict[str, TrainedModel], kind: ForecastKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, stored = models[kind].predict(TEST), models[kind].to_bytes()
    monkeypatch.setattr(definition, "FEATURES", (*FEATURES, "road_works"))
    monkeypatch.setattr(definition, "FEATURE_DEFINITION", "features-next")
    with pytest.raises(ModelUnusable, match="this release computes features-next"):
        TrainedModel.from_bytes(stored)
    monkeypatch.setattr(definition, "EARLIER_DEFINITIONS", frozenset({FEATURE_DEFINITION}))
    found = TrainedModel.from_bytes(stored).predict(TEST.assign(road_works=1.0))
    pd.testing.assert_frame_equal(found, before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_counter_without_history_gets_a_number_and_a_wider_interval(
    models: dict[str, TrainedModel], kind: ForecastKind
) -> None:
    bare = without_history(TEST, "c1")
    rows = bare["counter_id"] == "c1"
    found, usual = models[kind].predict(bare)[rows], models[kind].predict(TEST)[rows]
    numbers = ["predicted_count", "lower", "upper"]
    assert found[numbers].notna().all(axis=None)
    assert found["busy_probability"].isna().all()
    assert found["predicted_count"].mean() == pytest.approx(
        usual["predicted_count"].mean(), rel=0.3
    )
    assert (found["upper"] - found["lower"]).mean() > 1.5 * (usual["upper"] - usual["lower"]).mean()


@pytest.mark.parametrize("kind", KINDS)
def test_a_city_without_any_history_gets_numbers(
    models: dict[str, TrainedModel], kind: ForecastKind
) -> None:
    alone = without_history(TEST[TEST["counter_id"] == "c0"], "c0")
    found = models[kind].predict(alone)[["predicted_count", "lower", "upper"]]
    assert np.isfinite(found).all(axis=None)


def test_no_rows_give_no_forecasts(models: dict[str, TrainedModel]) -> None:
    assert len(models["gbm"].predict(TEST.head(0))) == 0


def test_a_model_learns_the_error_of_the_mean_of_similar_days() -> None:
    def biased(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(
            bike_count=frame["bike_count"] * np.where(frame["local_hour"] < 12, 1.5, 0.6)
        )

    model = fit_forecaster("gbm", biased(TRAIN), biased(CALIBRATION), seed=7, test_mode=True)
    test = biased(TEST)
    plain = metrics.score_forecasts(
        test.join(reference_models.forecast_similar_days(test, model.calibration))
    )
    learned = metrics.score_forecasts(test.join(model.predict(test)))
    assert learned.rmse < 0.7 * plain.rmse


def test_the_final_fit_includes_the_calibration_rows() -> None:
    shifted = CALIBRATION.assign(bike_count=CALIBRATION["bike_count"] * 3)
    doubled = pd.concat([shifted] * 4, ignore_index=True)
    without = (
        fit_forecaster("gbm", TRAIN, CALIBRATION.head(0), seed=7, test_mode=True)
        .predict(TEST)["predicted_count"]
        .mean()
    )
    model = fit_forecaster("gbm", TRAIN, doubled, seed=7, test_mode=True)
    assert model.predict(TEST)["predicted_count"].mean() > 1.3 * without
    assert model.calibration.rows == len(doubled)


def test_calibration_rows_are_forecast_out_of_sample() -> None:
    """Its errors are those of an estimator fitted without it: here 2/3 of the tripled counts."""
    shifted = CALIBRATION.assign(bike_count=CALIBRATION["bike_count"] * 3)
    model = fit_forecaster("gbm", TRAIN, shifted, seed=7, test_mode=True)
    assert model.calibration.pooled.quantiles[100] > 0.5


def test_a_model_of_before_the_power_was_stored_keeps_its_intervals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weeks = feature_rows(date(2021, 2, 12), origins=8, seed=1)
    earlier = residual_scale.EARLIER_POWER
    with monkeypatch.context() as before:
        before.setattr(residual_scale, "POWER", earlier)
        before.setattr(residual_scale._scale, "__defaults__", (earlier,))
        model = fit_forecaster("gbm", TRAIN, weeks, seed=7, test_mode=True)
    assert model.estimator["power"] == earlier
    usual = {key: value for key, value in model.estimator.items() if key != "power"}
    stored = replace(model, estimator=usual).to_bytes()
    pd.testing.assert_frame_equal(
        TrainedModel.from_bytes(stored).predict(TEST), model.predict(TEST)
    )
    now = fit_forecaster("gbm", TRAIN, weeks, seed=7, test_mode=True)
    assert now.estimator["power"] == 1.0
    assert not np.allclose(now.predict(TEST)["upper"], model.predict(TEST)["upper"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    models: dict[str, TrainedModel], kind: ForecastKind
) -> None:
    again = fit_forecaster(kind, TRAIN, CALIBRATION, seed=7, test_mode=True)
    other = fit_forecaster(kind, TRAIN, CALIBRATION, seed=8, test_mode=True)
    assert again.to_bytes() == models[kind].to_bytes()
    assert other.to_bytes() != models[kind].to_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_model_gives_the_same_forecasts(
    models: dict[str, TrainedModel], kind: ForecastKind
) -> None:
    loaded = TrainedModel.from_bytes(models[kind].to_bytes())
    pd.testing.assert_frame_equal(
        loaded.predict(TEST), models[kind].predict(TEST), check_exact=True
    )
    assert loaded.describe() == models[kind].describe()
    assert loaded.calibration == models[kind].calibration


def test_a_model_describes_itself(models: dict[str, TrainedModel]) -> None:
    found = models["gbm"].describe()
    assert found == {
        "kind": "gbm",
        "task": "forecast",
        "feature_definition": FEATURE_DEFINITION,
        "features": list(FEATURES),
        "seed": 7,
        "params": {
            "max_iter": 10,
            "learning_rate": 0.1,
            "max_leaf_nodes": 31,
            "min_samples_leaf": 100,
            "max_features": 0.5,
            "l2_regularization": 10.0,
            "boosters": 2,
            "max_rows": 80_000,
        },
        "calibration_rows": len(CALIBRATION),
    }
    blended = models["blend"].describe()["params"]
    assert blended["weights"] == blend_weights.named(blend_weights.CANDIDATES[0])
    assert blended["ridge"]["calendar"] == []  # rows without school holidays and events
    assert json.dumps(found)
    assert json.dumps(blended)
    assert set(library_versions()) == {"numpy", "pandas", "scikit-learn", "skops"}


def test_a_blend_says_and_keeps_what_of_the_calendar_its_ridge_uses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def choose(params: dict[str, Any], frame: pd.DataFrame, seed: int) -> list[str]:
        asked.append(len(frame))
        return ["school_holidays"]

    monkeypatch.setattr(blend, "choose_calendar", choose)
    made = fit_forecaster("blend", TRAIN, CALIBRATION, seed=7, test_mode=True)
    assert asked == [len(TRAIN)]  # not on what is held out for the intervals
    loaded = TrainedModel.from_bytes(made.to_bytes())
    assert loaded.describe()["params"]["ridge"]["calendar"] == ["school_holidays"]
    assert loaded.estimator["forecast"]["ridge"]["calendar"] == ["school_holidays"]
    pd.testing.assert_frame_equal(loaded.predict(TEST), made.predict(TEST), check_exact=True)


def test_training_without_counts_is_refused() -> None:
    with pytest.raises(TooLittleHistory, match="training a gbm: none of 2160 rows has a count"):
        fit_forecaster("gbm", TRAIN.assign(bike_count=np.nan), CALIBRATION, seed=1)


def repacked(data: bytes, **changes: Any) -> bytes:
    """Return the stored model with changed values in its card."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        card = json.loads(source.read(serialization.CARD))
        for name in source.namelist():
            content = source.read(name)
            target.writestr(
                name, json.dumps(card | changes) if name == serialization.CARD else content
            )
    return out.getvalue()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"library_versions": {"scikit-learn": "1.2.9"}},
            r"made with scikit-learn 1\.2\.9, but \d+\.\d+\S* is installed",
        ),
        ({"library_versions": {}}, "made with scikit-learn unknown, but"),
        ({"feature_definition": "features-old"}, "trained on features-old, this release computes"),
        ({"kind": "oracle"}, "kind 'oracle' is none of"),
        ({"surprise": 1}, "are not a Velocast model"),
    ],
)
def test_an_unusable_model_is_refused_before_it_is_loaded(
    models: dict[str, TrainedModel], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelUnusable, match=message):
        TrainedModel.from_bytes(repacked(models["gbm"].to_bytes(), **changes))


def test_a_model_of_another_kind_than_its_card_says_is_refused(
    models: dict[str, TrainedModel],
) -> None:
    with pytest.raises(
        ModelUnusable, match=r"the gbm model contains \['sklearn.tree._tree.Tree'\]"
    ):
        TrainedModel.from_bytes(repacked(models["rf"].to_bytes(), kind="gbm"))


def test_another_patch_release_of_scikit_learn_is_accepted(models: dict[str, TrainedModel]) -> None:
    versions = library_versions()
    versions["scikit-learn"] = ".".join([*versions["scikit-learn"].split(".")[:2], "99"])
    TrainedModel.from_bytes(repacked(models["gbm"].to_bytes(), library_versions=versions))


def test_a_model_that_could_execute_code_is_refused(models: dict[str, TrainedModel]) -> None:
    estimator = Pipeline(
        [("f", FunctionTransformer(partial(print, "x"))), ("l", LinearRegression())]
    )
    with zipfile.ZipFile(io.BytesIO(models["gbm"].to_bytes())) as source:
        card = serialization.ForecasterCard.model_validate_json(source.read(serialization.CARD))
    assert skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
    with pytest.raises(ModelUnusable, match=r"contains \[.*partial.*do not load it"):
        TrainedModel.from_bytes(serialization.pack(estimator, card))


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_bytes_that_are_no_model_are_refused(models: dict[str, TrainedModel], kept: float) -> None:
    data = models["gbm"].to_bytes()
    with pytest.raises(ModelUnusable, match="are not a Velocast model"):
        TrainedModel.from_bytes(data[: int(kept * len(data)) if kept < 1 else int(kept)])


def test_an_altered_model_is_refused_or_reads_the_same(models: dict[str, TrainedModel]) -> None:
    data = models["gbm"].to_bytes()
    for at in range(40, len(data), len(data) // 60):
        altered = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        try:
            loaded = TrainedModel.from_bytes(altered)
        except ModelUnusable:
            continue
        pd.testing.assert_frame_equal(loaded.predict(TEST), models["gbm"].predict(TEST))
