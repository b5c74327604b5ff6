from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd
import pytest

from tests import emulators
from tests.shared.usecases.training import training_lab
from tests.shared.usecases.training.training_lab import LATER, Lab
from velocast.adapters import champion_manifest
from velocast.adapters.gcs import Objects
from velocast.core.errors import EventError, ModelUnusable, RegistryError
from velocast.core.notices import ChallengerRefused
from velocast.model.evaluation.bootstrap import BootstrapResult
from velocast.model.evaluation.references import ReferenceGain
from velocast.model.features.definition import EARLIER_DEFINITIONS
from velocast.model.learning.forecaster import TrainedModel
from velocast.usecases.training import comparable_champion
from velocast.usecases.training.stored.run_store import RunStore


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A first challenger that was deployed, and one of the week after that nobody has judged."""
    with training_lab.laid_out(request, "serving") as lab:
        lab.keep()
        yield lab


def ask_for(monkeypatch: pytest.MonkeyPatch, **thresholds: float) -> None:
    for name, value in thresholds.items():
        monkeypatch.setenv(name.upper(), str(value))


def test_without_a_champion_what_is_not_rejected_is_deployed(lab: Lab) -> None:
    made = lab.decision("first")
    assert (made.decision, made.champion, made.champion_trouble) == ("DEPLOY", None, None)
    assert made.current.old is None
    assert made.current.bootstrap is None
    assert "no champion" in made.reason


def test_the_links_in_mlflow_lead_to_the_data_and_to_all_scores(lab: Lab) -> None:
    from mlflow import MlflowClient

    run = MlflowClient(lab.registry().tracking_uri).get_run(lab.training("first").run_id)
    assert re.fullmatch(r"blend v\d+, 10 Mar 2025, R2 0\.\d\d", str(run.info.run_name))
    text = run.data.tags["mlflow.note.content"]
    links = re.findall(r"\[([^\]]+)\]\(https://storage\.cloud\.google\.com/([^/]+)/([^)]+)\)", text)
    names = [name for name, _, _ in links]
    assert names == ["counts", "train_baseline", "test_baseline", "weather", "All scores"]
    assert text.count("](") == len(links)
    for name, bucket, path in links:
        stored = Objects(emulators.PROJECT, bucket).read(path).data
        assert stored.startswith(b"{" if name == "All scores" else b"PAR1")


@pytest.mark.parametrize("with_champion", [True, False])
def test_a_challenger_that_loses_to_the_reference_is_rejected_and_that_is_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, with_champion: bool
) -> None:
    """As a replay of Montréal deployed a first champion with R2 -0.947 on the current test."""
    for name in ("MIN_REFERENCE_GAIN", "MIN_REFERENCE_GAIN_LOW"):
        monkeypatch.delenv(name)
    ask_for(monkeypatch, r2_floor=-100.0)
    if not with_champion:
        lab.objects().delete(champion_manifest.MANIFEST)
    predict = TrainedModel.predict

    def predict_badly(model: TrainedModel, frame: pd.DataFrame) -> pd.DataFrame:
        predicted = predict(model, frame)
        return predicted.assign(predicted_count=predicted["predicted_count"] * 1.5 + 20.0)

    monkeypatch.setattr(TrainedModel, "predict", predict_badly)
    version = lab.training("later").version
    lab.evaluate(version, "later", LATER)

    made = lab.decision("later")
    assert made.decision == "REJECT"
    assert isinstance(made.current.reference, ReferenceGain)
    assert made.current.reference.mean < 0
    assert made.current.reference.low < -0.02
    serves = "The champion stays." if with_champion else "Similar days go on serving."
    assert made.reason.startswith("The challenger does not beat similar days on test_current")
    assert made.reason.endswith(serves)
    (row,) = lab.audit()
    assert (row["event_type"], row["deployment_decision"]) == ("DEPLOYMENT", "REJECT")
    (notice,) = lab.notices()
    assert (notice.decision, notice.reason) == ("REJECT", made.reason)
    entry = next(e for e in champion_manifest.read_summary(lab.objects()) if e.version == version)
    assert (entry.decision, entry.decision_reason) == ("REJECT", made.reason)


def test_everybody_is_scored_on_the_same_rows(lab: Lab) -> None:
    version = lab.training("later").version
    lab.evaluate(version, "later", LATER)
    made = lab.decision("later")
    for trial in (made.baseline, made.current):
        assert trial.old is not None
        assert trial.new.rows == trial.old.rows == trial.similar_days.rows
        assert trial.new.counters == 4
        assert [lead.lead_day for lead in trial.new.lead_days] == [0, 1, 2]
        assert trial.lag_168h is not None
        assert trial.lag_168h.rows == trial.new.rows
        assert isinstance(trial.bootstrap, BootstrapResult)
    assert made.champion is not None
    assert made.champion.version == lab.training("first").version


def test_the_champion_is_scored_in_a_form_that_has_not_seen_the_rows(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion, _ = champion_manifest.read_champion(lab.objects())
    assert champion is not None
    run = lab.run("evaluate", "look", LATER)
    records = RunStore(run)
    later = lab.training("later")  # its test_current begins after the champion's last count
    served, judged = comparable_champion._forms(records, champion)
    assert served.to_bytes() != judged.to_bytes()
    fair = comparable_champion.find(run, records, later)
    assert fair.on_baseline is not None
    assert fair.on_current is not None
    assert fair.on_baseline.to_bytes() == judged.to_bytes()
    assert fair.on_current.to_bytes() == served.to_bytes()
    same_day = comparable_champion.find(run, records, lab.training("first"))
    assert same_day.on_current is not None
    assert same_day.on_current.to_bytes() == judged.to_bytes()


def test_a_champion_of_an_earlier_definition_that_still_serves_is_an_opponent(lab: Lab) -> None:
    """As it is at the first retraining after an upgrade: else any challenger would take its place."""
    champion, _ = champion_manifest.read_champion(lab.objects())
    assert champion is not None
    earlier = champion.model_copy(update={"feature_definition": min(EARLIER_DEFINITIONS)})
    lab.objects().write_json(champion_manifest.MANIFEST, earlier.model_dump(mode="json"))
    run = lab.run("evaluate", "look", LATER)

    found = comparable_champion.find(run, RunStore(run), lab.training("later"))

    assert found.problem is None
    assert found.version is not None
    assert found.on_current is not None


def test_a_champion_that_has_learned_the_test_is_no_opponent(lab: Lab) -> None:
    """As it is when an older version is judged by hand: the champion was trained weeks later."""
    version = lab.training("later").version
    test = lab.training("later").windows.test_current
    champion, _ = champion_manifest.read_champion(lab.objects())
    assert champion is not None
    later = champion.model_copy(update={"trained_until": LATER})
    lab.objects().write_json(champion_manifest.MANIFEST, later.model_dump(mode="json"))
    made = lab.training("first")
    learned = made.windows.model_copy(update={"learnable": (test,)})
    name = f"models/blend/{made.run_id}/train.json"
    updated = made.model_copy(update={"windows": learned})
    lab.objects().write_json(name, updated.model_dump(mode="json"))
    lab.evaluate(version, "judge-older", LATER)
    decided = lab.decision("judge-older")
    assert (decided.decision, decided.current.old) == ("SKIP", None)
    assert f"version {made.version} was trained later" in decided.reason
    assert f"has learned days from {test.first}" in decided.reason


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [
        ({"min_gain": 0.9}, "SKIP"),
        ({"r2_floor": 0.999}, "REJECT"),
        ({"min_gain": -100.0, "r2_floor": 0.0}, "DEPLOY"),
    ],
)
def test_the_decision_is_told_and_filed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, thresholds: dict[str, float], expected: str
) -> None:
    ask_for(monkeypatch, **thresholds)
    version = lab.training("later").version
    lab.evaluate(version, "later", LATER)
    made = lab.decision("later")
    assert made.decision == expected
    assert made.current.old is not None
    (row,) = lab.audit()
    refused = expected != "DEPLOY"
    assert row["event_type"] == ("DEPLOYMENT" if refused else "TRAINING")
    assert row["deployment_decision"] == (expected if refused else None)
    assert row["new_r2_score"] == made.current.new.r2
    assert row["old_r2_score"] == made.current.old.r2
    assert row["model_improvement"] == pytest.approx(row["new_r2_score"] - row["old_r2_score"])
    assert row["old_champion_run_id"] == lab.training("first").run_id
    notices = lab.notices()
    assert [type(notice) for notice in notices] == ([ChallengerRefused] if refused else [])
    if refused:
        assert (notices[0].decision, notices[0].reason, notices[0].version) == (
            expected,
            made.reason,
            version,
        )
    entry = next(e for e in champion_manifest.read_summary(lab.objects()) if e.version == version)
    assert (entry.decision, entry.is_champion) == (expected, False)
    assert entry.metrics["current_r2"] == made.current.new.r2
    assert entry.metrics["baseline_rmse"] == made.baseline.new.rmse
    assert lab.registry().version_info("forecast", version).tags["decision"] == expected


def test_a_decision_stands_once_it_was_taken(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    version = lab.training("later").version
    lab.evaluate(version, "later", LATER)
    before = lab.contents()
    ask_for(monkeypatch, min_gain=-1.0, r2_floor=2.0)
    lab.evaluate(version, "later", LATER)
    after = lab.contents()
    assert after == before
    assert len(lab.audit()) == 1


def test_killed_after_any_write_it_ends_as_one_clean_run(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for(monkeypatch, min_gain=0.9)
    version = lab.training("later").version
    lab.evaluate(version, "later", LATER)
    clean, rows, told = lab.settled(), lab.audit(), lab.notices()
    lab.restore()
    with monkeypatch.context() as patch:
        killed = training_lab.kill_after_every_write(
            patch, lambda: lab.evaluate(version, "later", LATER)
        )
    assert len(killed) >= 6, killed
    for name, value in lab.settled().items():
        assert value == clean[name], name
    assert [(n.event_id, n.decision) for n in lab.notices()] == [
        (n.event_id, n.decision) for n in told
    ]
    ids = ("event_id", "deployment_decision", "status")
    assert [[row[k] for k in ids] for row in lab.audit()] == [[row[k] for k in ids] for row in rows]


def test_a_champion_that_cannot_be_loaded_counts_as_none_and_is_reported(lab: Lab) -> None:
    champion, _ = champion_manifest.read_champion(lab.objects())
    assert champion is not None
    name = champion.artifact_uri.split("/", 3)[3]
    lab.objects().write(name, b"altered", content_type="application/zip")
    lab.evaluate(lab.training("later").version, "later", LATER)
    made = lab.decision("later")
    assert made.champion is None
    assert made.champion_trouble is not None
    assert champion.sha256 in made.champion_trouble
    assert made.decision == "DEPLOY"
    assert f"is treated as missing: {made.champion_trouble}" in made.reason


def test_a_version_is_judged_by_hand_beside_the_champion(lab: Lab) -> None:
    version = lab.training("later").version
    (row,) = lab.evaluate(version, "velocast-evaluate-abcde", LATER)
    assert lab.decision("velocast-evaluate-abcde").version == version
    assert row.execution_id == "velocast-evaluate-abcde"
    other = lab.training("first").version
    with pytest.raises(
        EventError,
        match=f"has evaluated forecast version {version}; to evaluate forecast version {other}",
    ):
        lab.evaluate(other, "velocast-evaluate-abcde", LATER)


def test_what_is_not_registered_cannot_be_judged(lab: Lab) -> None:
    with pytest.raises(RegistryError, match="read version 9999 of velocast-forecast"):
        lab.evaluate(9999, "nobody", LATER)


def test_a_training_that_did_not_end_cannot_be_judged(lab: Lab) -> None:
    made = lab.training("later")
    lab.objects().delete(f"models/blend/{made.run_id}/train.json")
    with pytest.raises(ModelUnusable, match="its training did not end"):
        lab.evaluate(made.version, "nobody", LATER)


def test_a_trial_is_never_deployed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_for(monkeypatch, r2_floor=-10.0, min_gain=-100.0)
    lab.train("judge-trial", LATER, test_mode=True)
    lab.evaluate(lab.training("judge-trial").version, "judge-trial", LATER)
    made = lab.decision("judge-trial")
    assert (made.decision, made.test_mode) == ("SKIP", True)
    assert made.current.new.rows <= 1000
    version = lab.training("judge-trial").version
    assert version not in [e.version for e in champion_manifest.read_summary(lab.objects())]
