"""A retraining reads its rows from BigQuery once; what is kept of them is what was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from datetime import date
from typing import Any

import pandas as pd
import pytest

from tests.shared.usecases.training import training_lab
from tests.shared.usecases.training.training_lab import FIRST, Lab
from velocast.adapters.mlflow_registry import Registry
from velocast.core.kinds import Task
from velocast.model.evaluation import reference_models
from velocast.model.features.definition import FEATURES
from velocast.model.learning.forecaster import TrainedModel
from velocast.usecases import feature_store
from velocast.usecases.training.datasets import frames
from velocast.usecases.training.datasets.windows import DAY, DayRange
from velocast.usecases.training.stored import kept_rows, model_io, run_store
from velocast.usecases.training.stored.records import Decision, LearnedRows, Training
from velocast.usecases.training.stored.run_store import RunStore

AFFLUENCE: Task = "affluence"
Reads = Counter[tuple[date, date, bool]]


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A forecaster and a classifier that are not evaluated yet."""
    with training_lab.laid_out(request, "trained") as lab:
        lab.train("kept-busy", FIRST, kind="affluence")
        lab.keep()
        yield lab


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Count the reads of features by first origin, last origin, and whether each target is read once."""
    found: Reads = Counter()
    read = feature_store.read_features

    def counted(*args: Any, first_origin: date, last_origin: date, **named: Any) -> pd.DataFrame:
        found[first_origin, last_origin, named.get("one_lead", False)] += 1
        return read(*args, first_origin=first_origin, last_origin=last_origin, **named)

    monkeypatch.setattr(feature_store, "read_features", counted)
    return found


def scored(days: DayRange) -> tuple[date, date, bool]:
    """The read of the rows of a test."""
    return days.first, days.until - DAY, False


def held_out(training: Training) -> tuple[date, date, bool]:
    """The read of the rows that calibrate the intervals."""
    days = training.windows
    return days.calibrate_from - 4 * DAY, days.learnable[-1].until - DAY, True


def forget_rows(lab: Lab, execution_id: str) -> None:
    """Leave of a training what one before rows were kept has left."""
    made = lab.training(execution_id)
    old = made.model_dump(mode="json", exclude={"test_current"})
    for name in (
        f"runs/{execution_id}/train.json",
        f"models/{made.kind}/{made.run_id}/train.json",
    ):
        lab.objects().write_json(name, old)
    for name in ("learned.json", "test_current.parquet"):
        lab.objects().delete(f"runs/{execution_id}/{name}")


def store_of(lab: Lab, execution_id: str) -> RunStore:
    return RunStore(lab.run("look", execution_id, FIRST))


def figures(decision: Decision) -> dict[Hashable, Any]:
    """A decision without its scores' last bits: the emulator adds up in any order."""
    return pd.json_normalize(decision.model_dump(exclude={"execution_id"})).round(9).to_dict()


def test_a_retraining_reads_its_rows_once_although_its_training_is_tried_again(
    lab: Lab, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise training_lab.Killed

    monkeypatch.setenv("R2_FLOOR", "-10")
    first = lab.training("first")
    once = {scored(first.windows.test_current): 1, held_out(first): 1}
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "log_training", die)
        with pytest.raises(training_lab.Killed):
            lab.train("kept-whole", FIRST)
    assert once.items() <= reads.items()
    read_by_train = reads.total()
    lab.train("kept-whole", FIRST)
    assert reads.total() == read_by_train  # the model was fitted, the rows were kept
    made = lab.training("kept-whole")
    assert (made.rows, made.windows) == (first.rows, first.windows)
    lab.evaluate(made.version, "kept-whole", FIRST)
    assert reads.total() == read_by_train + 1
    assert reads[scored(made.windows.test_baseline)] == 1
    lab.promote(made.version, "kept-whole", FIRST)
    assert once.items() <= reads.items()


def test_so_does_one_of_a_classifier(lab: Lab, reads: Reads) -> None:
    made = lab.training("kept-busy")
    lab.evaluate(made.version, "kept-busy", FIRST, task=AFFLUENCE)
    assert reads == {scored(made.windows.test_baseline): 1}


def test_what_is_kept_is_what_was_read_types_and_all(lab: Lab) -> None:
    made = lab.training("first")
    run = lab.run("look", "first", FIRST)
    frame = frames.scoring_frame(kept_rows.source_of(run, made), made.windows.test_current)
    kept = kept_rows.rows_of_test_current(run, RunStore(run), made)
    assert len(frame) > 1000
    pd.testing.assert_frame_equal(kept, frame, check_exact=True, check_index_type=True)
    assert [str(kind) for kind in kept.dtypes] == [str(kind) for kind in frame.dtypes]
    model = model_io.load_model(lab.objects(), made.artifact)
    pd.testing.assert_frame_equal(model.predict(kept), model.predict(frame), check_exact=True)


@pytest.mark.parametrize("rows", [0, 1])
def test_an_empty_column_and_no_rows_at_all_keep_their_types(rows: int) -> None:
    frame = pd.DataFrame(
        {
            "counter_id": pd.array(["c0"] * rows, dtype="str"),
            "target_at": pd.date_range("2025-03-10", periods=rows, freq="h", tz="UTC", unit="us"),
            "local_date": pd.date_range("2025-03-10", periods=rows, unit="us"),
            "temperature": pd.Series([float("nan")] * rows, dtype="float64"),
            "busy": pd.Series([True] * rows, dtype="bool"),
            "lead_day": pd.Series([2] * rows, dtype="int32"),
        }
    )
    again = kept_rows.from_parquet(kept_rows.to_parquet(frame))
    pd.testing.assert_frame_equal(again, frame, check_exact=True, check_freq=False)


def test_a_forecaster_carries_what_similar_days_miss(lab: Lab) -> None:
    made = lab.training("first")
    run = lab.run("look", "by-hand", FIRST)
    model = model_io.load_model(lab.objects(), made.artifact)
    assert isinstance(model, TrainedModel)
    learned = store_of(lab, "first").find(run_store.LEARNED, LearnedRows)
    assert learned == LearnedRows(rows=made.rows)
    rows = frames.calibration_frame(
        kept_rows.source_of(run, made), made.windows.learnable, made.windows.calibrate_from
    )
    assert kept_rows.similar_days_errors(run, made, model) == model.similar_days
    assert model.similar_days == reference_models.calibrate_similar_days(rows)


def test_of_a_classifier_it_is_kept_beside_it(lab: Lab, reads: Reads) -> None:
    made = lab.training("kept-busy")
    run = lab.run("look", "by-hand", FIRST)
    model = model_io.load_model(lab.objects(), made.artifact)
    kept = kept_rows.similar_days_errors(run, made, model)
    assert reads.total() == 0
    forget_rows(lab, "kept-busy")
    assert kept_rows.similar_days_errors(run, made, model) == kept
    assert reads == {held_out(made): 1}
    assert kept.rows > 100


@pytest.mark.parametrize(
    ("execution_id", "task"), [("first", "forecast"), ("kept-busy", "affluence")]
)
def test_a_version_of_which_no_rows_were_kept_is_scored_alike(
    lab: Lab, reads: Reads, execution_id: str, task: Task
) -> None:
    made = lab.training(execution_id)
    lab.evaluate(made.version, execution_id, FIRST, task=task)
    now = lab.decision(execution_id)
    reads.clear()
    forget_rows(lab, execution_id)
    lab.evaluate(made.version, "by-hand", FIRST, task=task)
    assert figures(lab.decision("by-hand")) == figures(now)
    assert reads[scored(made.windows.test_current)] == 1


@pytest.mark.parametrize("damage", ["missing", "altered", "older"])
def test_damaged_rows_are_read_again(
    lab: Lab,
    reads: Reads,
    damage: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = lab.training("first")
    assert made.test_current is not None
    name = "runs/first/test_current.parquet"
    if damage == "missing":
        lab.objects().delete(name)
    elif damage == "older":  # kept by a release that had fewer features
        monkeypatch.setattr(kept_rows, "FEATURES", (*FEATURES, "road_works"))
    else:
        lab.objects().write(name, b"other", content_type="text/plain")
    lab.evaluate(made.version, "by-hand", FIRST)
    assert reads[scored(made.windows.test_current)] == 1
    assert "test_current is read from BigQuery again" in capsys.readouterr().out
