from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import emulators
from tests.shared.usecases.training import training_lab
from tests.shared.usecases.training.training_lab import FIRST, Lab
from velocast.core.code_version import code_version
from velocast.core.errors import ModelUnusable, RegistryError
from velocast.model.learning.forecaster import TrainedModel
from velocast_cli import reproduction as reproducing
from velocast_cli.reproduction import TOLERANCE, Reproduction, reproduce


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with training_lab.laid_out(request, "trained") as lab:
        lab.train("again-trial", FIRST, test_mode=True)
        lab.keep()
        yield lab


def again(lab: Lab, version: int, *, tolerance: float = TOLERANCE) -> Reproduction:
    return reproduce(lab.run("reproduce", "by-hand", FIRST), version, tolerance=tolerance)


@pytest.mark.parametrize("execution_id", ["first", "again-trial"])
def test_a_version_comes_out_again(lab: Lab, execution_id: str) -> None:
    made = lab.training(execution_id)
    before = lab.contents()
    found = again(lab, made.version)
    assert found.reproduced
    assert found.same_bytes or found.relative_difference <= found.tolerance
    assert found.rows > 100
    assert found.stored_sha256 == made.artifact.sha256
    assert found.datasets == made.dataset_hashes
    assert set(found.datasets) == {"counts", "train_baseline", "test_baseline", "weather"}
    assert found.changed == ()
    assert lab.contents() == before  # it leaves nothing behind


def test_the_bytes_are_the_same_when_the_sums_are(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = lab.training("first")
    stored = lab.objects().read(f"models/blend/{made.run_id}/model.skops").data

    class Same(TrainedModel):
        def to_bytes(self) -> bytes:
            return stored

    monkeypatch.setattr(
        reproducing, "_trained", lambda *_: Same(**vars(TrainedModel.from_bytes(stored)))
    )
    found = again(lab, made.version)
    assert found.same_bytes
    assert (found.largest_difference, found.relative_difference) == (0.0, 0.0)


def test_a_stored_model_that_was_trained_otherwise_is_not_reproduced(lab: Lab) -> None:
    made, trial = lab.training("first"), lab.training("again-trial")
    name = f"models/blend/{made.run_id}/train.json"
    forged = made.model_copy(update={"artifact": trial.artifact})
    lab.objects().write_json(name, forged.model_dump(mode="json"))
    found = again(lab, made.version)
    assert not found.reproduced
    assert not found.same_bytes
    assert found.largest_difference > 0
    assert again(lab, made.version, tolerance=10.0).reproduced


def test_altered_frozen_bytes_stop_it(lab: Lab) -> None:
    made = lab.training("first")
    name = f"counts/{made.counts.sha256}.parquet"
    lab.objects("datasets").write(name, b"other", content_type="text/plain")
    with pytest.raises(ModelUnusable, match=r"cannot be trained again.*restore the generation"):
        again(lab, made.version)


def test_a_table_with_other_rows_stops_it(lab: Lab) -> None:
    made = lab.training("first")
    table = f"{emulators.PROJECT}.{made.counts.table}"
    lab.client.query_and_wait(
        f"UPDATE `{table}` SET bike_count = 0 WHERE counted_at = '2025-02-20 12:00:00+00'"
    )
    try:
        with pytest.raises(ModelUnusable, match=r"cannot be trained again: table .*drop the table"):
            again(lab, made.version)
    finally:
        lab.client.delete_table(table)
    assert again(lab, made.version).reproduced  # loaded again from the frozen bytes


def test_features_of_other_code_are_refused_by_name(lab: Lab) -> None:
    made = lab.training("first")
    name = f"models/blend/{made.run_id}/train.json"
    other = made.model_copy(
        update={"feature_definition": "features-old", "code_version": "0.0.9+abc"}
    )
    lab.objects().write_json(name, other.model_dump(mode="json"))
    with pytest.raises(ModelUnusable, match=r"trained with features-old by code 0\.0\.9\+abc"):
        again(lab, made.version)


def test_other_libraries_are_named(lab: Lab) -> None:
    made = lab.training("first")
    name = f"models/blend/{made.run_id}/train.json"
    older = made.model_copy(update={"library_versions": made.library_versions | {"numpy": "1.0"}})
    lab.objects().write_json(name, older.model_dump(mode="json"))
    (change,) = again(lab, made.version).changed
    assert change.startswith("numpy 1.0, now ")


def test_a_version_that_is_not_there(lab: Lab) -> None:
    with pytest.raises(RegistryError, match="version 999"):
        again(lab, 999)


def test_every_version_in_mlflow_names_what_it_was_made_of(lab: Lab) -> None:
    made = lab.training("first")
    tags = lab.registry().version_info("forecast", made.version).tags
    assert {
        "data.counts": made.counts.sha256,
        "data.train_baseline": made.baseline.train.sha256,
        "data.test_baseline": made.baseline.test.sha256,
        "data.weather": made.dataset_hashes["weather"],
        "feature_definition": made.feature_definition,
        "code_version": code_version(),
    }.items() <= tags.items()
    assert {f"library.{name}": text for name, text in made.library_versions.items()}.items() <= (
        tags.items()
    )


def test_the_code_version_changes_with_the_code() -> None:
    version, _, sources = code_version().partition("+")
    assert version == "0.1.0"
    assert len(sources) == 12
