"""The kind affluence from its training to what serve is told, beside a forecaster that serves already."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.shared.usecases import small_city
from tests.shared.usecases.training import training_lab
from tests.shared.usecases.training.training_lab import FIRST, LATER, Lab
from velocast.adapters import champion_manifest
from velocast.core import kinds
from velocast.core.datetimes import parse_instant
from velocast.core.errors import EventError, ModelUnusable, PromotionRefused
from velocast.core.notices import ChallengerRefused, ChampionPromoted, ModelFallback
from velocast.model.learning.busy_classifier import BusyModel
from velocast.usecases.forecasting import daily_forecast
from velocast.usecases.snapshot_format import SNAPSHOT, Snapshot, loads
from velocast.usecases.training.stored import model_io, records
from velocast.usecases.training.stored.records import BusyTestScores
from velocast_cli import reproduction

AFFLUENCE: kinds.Task = "affluence"


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A forecaster and a classifier that were deployed."""
    with training_lab.laid_out(request, "serving") as lab:
        lab.train("busy", FIRST, kind="affluence")
        version = lab.training("busy").version
        lab.evaluate(version, "busy", FIRST, task=AFFLUENCE)
        lab.promote(version, "busy", FIRST, task=AFFLUENCE)
        lab.keep()
        yield lab


def published(lab: Lab) -> Snapshot:
    return loads(lab.objects().read(SNAPSHOT).data)


def test_it_is_a_registered_model_of_its_own(lab: Lab) -> None:
    from mlflow import MlflowClient

    made = lab.training("busy")
    assert (made.task, made.kind) == ("affluence", "affluence")
    info = lab.registry().version_info("affluence", made.version)
    assert info.run_id == made.run_id
    assert lab.registry().get_alias("affluence", "champion") == made.version
    assert lab.registry().get_alias("forecast", "champion") == lab.training("first").version
    run = MlflowClient(lab.registry().tracking_uri).get_run(made.run_id)
    names = {"accuracy", "balanced_accuracy", "precision", "recall", "f1", "brier"}
    assert {f"current_{name}" for name in names} <= set(run.data.metrics)
    assert "threshold" in run.data.params
    assert {use.dataset.name for use in run.inputs.dataset_inputs} >= {"counts", "test_baseline"}
    plots = MlflowClient(lab.registry().tracking_uri).list_artifacts(made.run_id, "plots")
    assert [p.path for p in plots] == [
        *(f"plots/brier_by_{by}.png" for by in ("hour", "lead_day", "weekday")),
        "plots/importance.png",
    ]


def test_balanced_accuracy_decides(lab: Lab) -> None:
    made = lab.decision("busy")
    assert made.decision == "DEPLOY"
    assert "balanced accuracy" in made.reason
    assert isinstance(made.current, BusyTestScores)
    assert made.current.new.balanced_accuracy is not None
    assert made.current.new.balanced_accuracy > 0.7
    assert made.current.new.rows == made.current.similar_days.rows
    assert made.champion is None  # the forecaster that serves is no rival


def test_both_serve_side_by_side(lab: Lab) -> None:
    counts, _ = champion_manifest.read_champion(lab.objects())
    busy, _ = champion_manifest.read_champion(lab.objects(), "affluence")
    assert counts is not None
    assert busy is not None
    assert (counts.task, busy.task) == ("forecast", "affluence")
    assert busy.metrics["current_balanced_accuracy"] > 0.7
    champions = {
        e.task: e.version for e in champion_manifest.read_summary(lab.objects()) if e.is_champion
    }
    assert champions == {"forecast": counts.version, "affluence": busy.version}


def test_what_predict_publishes_is_the_classifiers(lab: Lab) -> None:
    made = published(lab)
    busy, _ = champion_manifest.read_champion(lab.objects(), "affluence")
    assert busy is not None
    assert made.busy_champion is not None
    assert made.champion is not None
    assert (made.busy_champion.kind, made.champion.kind) == ("affluence", "blend")
    model = model_io.load_model(
        lab.objects(), records.Artifact(uri=busy.artifact_uri, sha256=busy.sha256)
    )
    assert isinstance(model, BusyModel)
    assert made.busy_from == model.threshold
    before = loads(without_classifier(lab))
    assert before.busy_from == 0.5
    assert before.busy_champion is None
    pairs = list(zip(made.counters, before.counters, strict=True))
    assert all(new.predicted == old.predicted for new, old in pairs)
    assert all(new.busy != old.busy for new, old in pairs)
    assert all(new.busy is not None for new, _ in pairs)


def without_classifier(lab: Lab) -> bytes:
    lab.objects().delete("serving/affluence.json")
    daily_forecast.publish_forecasts(small_city.predict_run(parse_instant(FIRST)))
    return lab.objects().read(SNAPSHOT).data


def test_an_altered_classifier_is_told_and_the_distribution_stands_in(lab: Lab) -> None:
    busy, _ = champion_manifest.read_champion(lab.objects(), "affluence")
    assert busy is not None
    name = busy.artifact_uri.split("/", 3)[3]
    lab.objects().write(name, b"other", content_type="application/zip")
    daily_forecast.publish_forecasts(small_city.predict_run(parse_instant(FIRST)))
    (told,) = lab.notices()
    assert isinstance(told, ModelFallback)
    assert (told.wanted_version, told.used) == (busy.version, "the forecast's own distribution")
    assert told.event_id.endswith(f"fallback:affluence:{busy.version}")
    assert published(lab).busy_champion is None
    assert published(lab).champion is not None
    assert all(counter.busy for counter in published(lab).counters)


def test_a_later_classifier_is_judged_against_the_one_that_serves(lab: Lab) -> None:
    lab.train("busy-later", LATER, kind="affluence")
    later = lab.training("busy-later")
    rows = lab.evaluate(later.version, "busy-later", LATER, task=AFFLUENCE)
    made = lab.decision("busy-later")
    assert isinstance(made.current, BusyTestScores)
    assert made.current.old is not None
    assert made.current.old.rows == made.current.new.rows
    assert made.champion is not None
    assert made.champion.version == lab.training("busy").version
    (row,) = rows
    assert (row.old_r2_score, row.new_r2_score) == (None, None)  # R2 it is not
    if made.decision != "DEPLOY":
        told = [n for n in lab.notices() if isinstance(n, ChallengerRefused)]
        assert [n.measure for n in told] == ["balanced accuracy"]


def test_a_promotion_tells_what_it_was_judged_by(lab: Lab) -> None:
    version = lab.training("busy").version
    rows = lab.promote(version, "by-hand", FIRST, task=AFFLUENCE)
    assert [row.event_type for row in rows] == ["DEPLOYMENT"]
    (told,) = [n for n in lab.notices() if isinstance(n, ChampionPromoted)]
    assert (told.kind, told.measure) == ("affluence", "balanced accuracy")
    assert told.new_r2 == pytest.approx(lab.decision("busy").current.new.balanced_accuracy)


def test_one_task_is_not_taken_for_the_other(lab: Lab) -> None:
    busy, count = lab.training("busy").version, lab.training("first").version
    with pytest.raises(EventError, match=f"has evaluated affluence version {busy}"):
        lab.evaluate(count, "busy", FIRST)
    with pytest.raises(PromotionRefused, match=f"about affluence version {busy}"):
        lab.promote(count, "busy", FIRST)


def test_a_classifier_is_reproduced(lab: Lab) -> None:
    run = lab.run("reproduce", "by-hand", FIRST)
    found = reproduction.reproduce(run, lab.training("busy").version, task=AFFLUENCE)
    assert found.reproduced
    assert found.kind == "affluence"


def test_a_forecaster_in_the_classifiers_place_is_refused(lab: Lab) -> None:
    made = lab.training("first")
    with pytest.raises(ModelUnusable):
        BusyModel.from_bytes(lab.objects().read(f"models/blend/{made.run_id}/model.skops").data)
