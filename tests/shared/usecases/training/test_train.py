from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import date
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from tests.shared.usecases import small_city
from tests.shared.usecases.training import training_lab
from tests.shared.usecases.training.training_lab import FIRST, LATER, Lab
from velocast.adapters import champion_manifest
from velocast.core.errors import TooLittleHistory
from velocast.model.features import definition
from velocast.model.learning.forecaster import TrainedModel
from velocast.model.learning.models import SEED
from velocast.usecases.training.datasets import count_rows, frames, frozen_counts
from velocast.usecases.training.datasets.frames import FeatureSource
from velocast.usecases.training.datasets.windows import DayRange
from velocast.usecases.training.plots import error_plots
from velocast.usecases.training.stored import run_store
from velocast.usecases.training.stored.model_io import load_model


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with training_lab.laid_out(request, "trained") as lab:
        lab.keep()
        yield lab


def test_a_challenger_is_registered_with_the_bytes_it_was_made_of(lab: Lab) -> None:
    made = lab.training("first")
    assert (made.kind, made.seed, made.task) == ("blend", SEED, "forecast")
    info = lab.registry().version_info("forecast", made.version)
    assert info.run_id == made.run_id
    assert info.tags["kind"] == "blend"
    assert info.tags["feature_definition"] == definition.FEATURE_DEFINITION
    assert info.tags["data.counts"] == made.counts.sha256
    assert info.tags["data.test_baseline"] == made.baseline.test.sha256
    assert info.tags["reason"] == "FIRST"
    assert {"code_version", "library.scikit-learn"} <= set(info.tags)
    assert lab.registry().get_alias("forecast", "challenger") == made.version
    stored = lab.objects().read(f"models/blend/{made.run_id}/model.skops").data
    assert hashlib.sha256(stored).hexdigest() == made.artifact.sha256
    model = load_model(lab.objects(), made.artifact)
    assert isinstance(model, TrainedModel)
    assert model.kind == "blend"
    (entry,) = champion_manifest.read_summary(lab.objects())
    assert (entry.version, entry.decision, entry.is_champion) == (made.version, None, False)
    recorded = {name: info.tags[f"data.{name}"] for name in entry.dataset_hashes}
    assert entry.dataset_hashes == recorded
    assert set(recorded) == {"counts", "train_baseline", "test_baseline", "weather"}


def test_the_run_in_mlflow_has_parameters_metrics_datasets_and_pictures(lab: Lab) -> None:
    from mlflow import MlflowClient

    made = lab.training("first")
    client = MlflowClient(lab.registry().tracking_uri)
    run = client.get_run(made.run_id)
    assert run.data.params["seed"] == str(SEED)
    assert run.data.metrics["current_r2"] > 0
    assert {use.dataset.name for use in run.inputs.dataset_inputs} == {
        "counts",
        "train_baseline",
        "test_baseline",
        "weather",
    }
    pictures = [file.path for file in client.list_artifacts(made.run_id, "plots")]
    assert pictures == [
        *(f"plots/error_by_{by}.png" for by in ("hour", "lead_day", "weekday")),
        "plots/importance.png",
    ]
    assert [f.path for f in client.list_artifacts(made.run_id) if not f.is_dir] == ["model.skops"]


def test_the_training_and_nothing_else_is_in_the_audit(lab: Lab) -> None:
    lab.train("first", FIRST, reason="FIRST")
    (row,) = lab.audit()
    made = lab.training("first")
    assert (row["event_id"], row["event_type"], row["status"]) == (
        "train:first:training",
        "TRAINING",
        "OK",
    )
    assert row["new_champion_run_id"] == made.run_id
    details = json.loads(row["details"]) if isinstance(row["details"], str) else row["details"]
    assert details["version"] == made.version
    assert details["rows"] == made.rows


def test_what_was_learned_from_was_not_tested_on(lab: Lab) -> None:
    made = lab.training("first")
    assert made.windows.known == DayRange(first=date(2025, 1, 23), until=date(2025, 3, 10))
    assert made.windows.test_baseline == made.baseline.test.days
    assert made.windows.test_baseline.until == made.windows.test_current.until
    run = lab.run("train", "look", FIRST)
    source = FeatureSource(
        run, frozen_counts.counts_table(run, made.counts), made.counts.rows_a_day(run)
    )
    rows, held_out = frames.learning_frames(
        source, made.windows.learnable, made.windows.calibrate_from, kind=made.kind
    )
    assert len(rows) + len(held_out) == made.rows
    zone = run.settings.city.zone
    calibrate_from = pd.Timestamp(made.windows.calibrate_from, tz=zone)
    tests_from = pd.Timestamp(made.windows.test_baseline.first, tz=zone)
    assert rows["target_at"].max() < calibrate_from <= held_out["target_at"].min()
    assert held_out["target_at"].max() < tests_from
    both = pd.concat([rows, held_out])
    assert not both.duplicated(["counter_id", "target_at"]).any()
    assert set(both["lead_day"]) == {0, 1, 2, 3, 4}
    scored = frames.scoring_frame(source, made.windows.test_current)
    assert scored["target_at"].min() >= pd.Timestamp(made.windows.test_current.first, tz=zone)
    assert set(scored["lead_day"]) == {0, 1, 2}
    assert scored["bike_count"].notna().all()


def test_of_a_long_history_every_counter_and_season_is_learned_from_alike(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = lab.training("first")
    run = lab.run("train", "look", FIRST)
    source = FeatureSource(
        run, frozen_counts.counts_table(run, made.counts), made.counts.rows_a_day(run)
    )
    cut = (source, made.windows.learnable, made.windows.calibrate_from)
    everything, held_out = frames.learning_frames(*cut, kind=made.kind)
    scored = frames.scoring_frame(source, made.windows.test_current)

    monkeypatch.setattr(frames, "MOST_FITTED", 600)
    monkeypatch.setattr(frames, "MOST_HELD_OUT", 300)
    monkeypatch.setattr(frames, "MOST_SCORED", 500)
    few, few_held_out = frames.learning_frames(*cut, kind=made.kind)
    few_scored = frames.scoring_frame(source, made.windows.test_current)

    for share, whole, most in (
        (few, everything, 600),
        (few_held_out, held_out, 300),
        (few_scored, scored, 500),
    ):
        assert most / 2 < len(share) < most * 1.2
        expected = len(share) / len(whole)
        for group in ("counter_id", "local_date" if whole is everything else "local_hour"):
            shares = share.groupby(group).size() / whole.groupby(group).size()
            assert shares.notna().all()
            assert shares.std() < expected
    keys = ["counter_id", "target_at", "lead_day"]
    assert len(few.merge(everything[keys], on=keys)) == len(few)
    leads = few_scored.groupby(["counter_id", "target_at"])["lead_day"].nunique()
    assert leads.max() == 3


def test_the_same_execution_again_ends_with_the_same_version(lab: Lab) -> None:
    before = lab.contents()
    lab.train("first", FIRST, reason="FIRST")
    assert lab.contents() == before


def test_killed_after_any_write_it_ends_as_one_clean_run(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean, newest = lab.training("first"), lab.newest_version()
    lab.kept, kept = {}, lab.kept
    lab.restore()
    with monkeypatch.context() as patch:
        killed = training_lab.kill_after_every_write(
            patch, lambda: lab.train("train-killed", FIRST, reason="FIRST")
        )
    lab.kept = kept
    assert len(killed) >= 12, killed
    files = ("learned.json", "model.skops", "test_current.parquet", "train.json")
    for name in files:
        assert f"Objects.write runs/train-killed/{name}" in [
            what.split(" b'")[0] for what in killed
        ]
    made = lab.training("train-killed")
    assert made.version == newest + 1  # one version, however often it was begun
    same = {"counts", "baseline", "windows", "rows", "kind", "seed", "library_versions"}
    assert made.model_dump(include=same) == clean.model_dump(include=same)
    (entry,) = champion_manifest.read_summary(lab.objects())
    assert (entry.version, entry.run_id) == (made.version, made.run_id)
    assert lab.registry().get_alias("forecast", "challenger") == made.version
    assert [row["event_id"] for row in lab.audit()] == ["train:train-killed:training"]


def test_the_counts_it_is_judged_on_are_those_of_the_baseline_in_force(lab: Lab) -> None:
    """Whatever the city corrected since: a version names the bytes that it was tested on."""
    half = lab.training("first").baseline.test
    run = lab.run("train", "train-corrected", LATER)
    first, until = half.days.bounds(run.settings.city.zone)
    update = "UPDATE bike_traffic_raw.counts SET bike_count = bike_count {sign} 1000 WHERE counted_at >= '{at}'"
    at = count_rows.sql_instant(first)
    lab.client.query_and_wait(update.format(sign="+", at=at))
    try:
        lab.train("train-corrected", LATER)
    finally:
        lab.client.query_and_wait(update.format(sign="-", at=at))
    later = lab.training("train-corrected")
    assert later.baseline.test.sha256 == half.sha256
    rows = frozen_counts.read_frozen(run, later.counts).to_pandas()
    inside = (rows["counted_at"] >= first) & (rows["counted_at"] < until)
    pd.testing.assert_frame_equal(
        rows[inside].reset_index(drop=True), frozen_counts.read_frozen(run, half).to_pandas()
    )
    assert rows.loc[rows["counted_at"] >= until, "bike_count"].min() >= 1000


def test_counts_that_arrive_between_two_tries_do_not_mix_in(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise training_lab.Killed

    with monkeypatch.context() as patch:
        patch.setattr(frames, "learning_frames", die)
        with pytest.raises(training_lab.Killed):
            lab.train("train-between", FIRST)
    city = small_city.make(4, days=53, until=training_lab.UNTIL)
    small_city.store(city.assign(bike_count=city["bike_count"] + 9).head(500))
    try:
        lab.train("train-between", FIRST)
        assert lab.training("train-between").counts == lab.training("first").counts
        lab.train("train-after", FIRST, test_mode=True)
        assert lab.training("train-after").counts != lab.training("first").counts
    finally:
        small_city.store(city)


def test_a_trial_takes_a_sample_and_leaves_no_mark(lab: Lab) -> None:
    alias = lab.registry().get_alias("forecast", "challenger")
    lab.kept, kept = {}, lab.kept
    lab.restore()
    lab.train("train-trial", FIRST, test_mode=True)
    lab.kept = kept
    made = lab.training("train-trial")
    assert made.test_mode
    assert made.rows <= frames.TEST_MODE_ROWS
    assert 1 <= len(made.counter_ids) <= frames.TEST_MODE_COUNTERS
    assert champion_manifest.read_summary(lab.objects()) == []
    assert lab.registry().get_alias("forecast", "challenger") == alias
    assert not lab.objects("datasets").exists("baseline/current.json")


def test_a_late_repetition_does_not_take_the_alias_from_a_younger_challenger(lab: Lab) -> None:
    lab.train("train-younger", LATER)
    younger = lab.training("train-younger").version
    lab.train("first", FIRST, reason="FIRST")
    assert lab.registry().get_alias("forecast", "challenger") == younger


def test_the_first_training_of_a_young_city(lab: Lab) -> None:
    lab.kept, kept = {}, lab.kept
    lab.restore()
    lab.train("train-young", "2025-02-13T01:00:00Z")  # 21 days of counts
    lab.kept = kept
    made = lab.training("train-young")
    assert made.windows.known.days == 21
    assert made.windows.learnable == (DayRange(first=date(2025, 1, 23), until=date(2025, 2, 7)),)
    assert made.rows > 500


def test_too_young_a_city_is_told_how_many_days_are_missing(lab: Lab) -> None:
    with pytest.raises(TooLittleHistory, match=r"usable counts of 9 local day\(s\).*needs 14"):
        lab.train("train-too-young", "2025-02-01T01:00:00Z")


def test_pictures_are_png_files() -> None:
    frame = pd.DataFrame(
        {
            "target_at": pd.date_range("2025-03-01", periods=48, freq="h", tz="UTC"),
            "lead_day": [0] * 24 + [1] * 24,
            "bike_count": 5,
            "predicted_count": 7.0,
        }
    )
    plots = error_plots(frame, ZoneInfo("Europe/Paris"))
    assert all(data.startswith(b"\x89PNG") for data in plots.values())
    assert len(plots) == 3


def test_names_of_records_are_those_the_workflow_reads() -> None:
    names = (run_store.TRAINING, run_store.DECISION, run_store.PROMOTION)
    assert names == ("train.json", "decision.json", "promotion.json")
