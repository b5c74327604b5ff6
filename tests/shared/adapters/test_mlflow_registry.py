"""The registry against a real MLflow server."""

from __future__ import annotations

import math
import uuid
from typing import Any

import pytest

from velocast.adapters.mlflow_registry import DatasetUse, LoggedRun, Registry
from velocast.core.errors import RegistryError

BASELINE = "ab" * 32


def mlflow_client(address: str) -> Any:
    from mlflow import MlflowClient  # takes seconds, and `make test-fast` only collects this file

    return MlflowClient(address)


@pytest.fixture
def registry(mlflow_server: str) -> Registry:
    return Registry(mlflow_server)


@pytest.fixture
def task() -> str:
    """A task of its own for each test, since the server lives as long as the session."""
    return f"test-{uuid.uuid4().hex[:8]}"


def log(registry: Registry, task: str, key: str = "exec-1", **changes: Any) -> LoggedRun:
    values: dict[str, Any] = {
        "kind": "gbm",
        "params": {f"p{i}": i for i in range(101)},
        "metrics": {"r2": 0.9, "skill": math.nan},
        "artifacts": {"model.skops": b"model", "plots/hours.png": b"plot"},
        "datasets": [
            DatasetUse("counts", BASELINE, "gs://d/counts", "train"),
            DatasetUse("counts", BASELINE, "gs://d/counts", "test_baseline"),
        ],
        "tags": {"feature_definition": "f1"},
    }
    return registry.log_training(task=task, run_key=key, **{**values, **changes})


def test_a_training_is_stored_whole(registry: Registry, mlflow_server: str, task: str):
    logged = log(registry, task)
    assert logged.version == 1
    client = mlflow_client(mlflow_server)
    run = client.get_run(logged.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "gbm-exec-1"
    assert run.data.params == {f"p{i}": str(i) for i in range(101)}
    assert run.data.metrics["r2"] == 0.9
    assert math.isnan(run.data.metrics["skill"])
    expected = {"feature_definition": "f1", "kind": "gbm", "task": task, "run_key": "exec-1"}
    assert expected.items() <= run.data.tags.items()
    [used] = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("counts", BASELINE[:36])
    assert BASELINE in used.dataset.profile
    assert [t.value for t in used.tags] == ["train, test_baseline"]
    paths = [f.path for f in client.list_artifacts(logged.run_id)]
    assert paths == ["model.skops", "plots"]
    info = registry.version_info(task, 1)
    assert info.run_id == logged.run_id
    assert info.tags == {"feature_definition": "f1", "kind": "gbm", "run_key": "exec-1"}


def test_a_run_has_a_name_and_a_description_for_people(
    registry: Registry, mlflow_server: str, task: str
) -> None:
    logged = log(registry, task)
    for name in ("gbm v1, 24 Nov 2025", "gbm v1, 24 Nov 2025, R2 0.92"):
        registry.describe_run(logged.run_id, name=name, text=f"**{name}**")
    run = mlflow_client(mlflow_server).get_run(logged.run_id)
    assert run.info.run_name == "gbm v1, 24 Nov 2025, R2 0.92"
    assert run.data.tags["mlflow.note.content"] == "**gbm v1, 24 Nov 2025, R2 0.92**"
    assert run.info.status == "FINISHED"
    assert log(registry, task) == logged  # found by its key, whatever its name


def test_the_same_key_is_the_same_run_and_version(registry: Registry, task: str):
    first = log(registry, task)
    assert log(registry, task, metrics={"r2": 0.1}) == first
    second = log(registry, task, key="exec-2")
    assert (second.version, second.run_id != first.run_id) == (2, True)


def test_a_run_that_broke_off_is_completed(
    registry: Registry, mlflow_server: str, task: str, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "_version", broken)
        with pytest.raises(KeyboardInterrupt):
            log(registry, task)
    logged = log(registry, task)
    client = mlflow_client(mlflow_server)
    experiment = client.get_experiment_by_name(f"velocast-{task}")
    assert experiment is not None
    assert [r.info.run_id for r in client.search_runs([experiment.experiment_id])] == [
        logged.run_id
    ]
    assert client.get_run(logged.run_id).info.status == "FINISHED"
    assert len(client.get_metric_history(logged.run_id, "r2")) == 1


def test_an_alias_moves_and_is_none_before(registry: Registry, task: str):
    assert registry.get_alias(task, "champion") is None
    log(registry, task)
    log(registry, task, key="exec-2")
    assert registry.get_alias(task, "champion") is None
    registry.set_alias(task, "champion", 1)
    registry.set_alias(task, "challenger", 2)
    registry.set_alias(task, "champion", 2)
    assert registry.get_alias(task, "champion") == 2
    assert registry.get_alias(task, "challenger") == 2


def test_tags_and_metrics_are_added(registry: Registry, mlflow_server: str, task: str):
    logged = log(registry, task)
    registry.set_tags(task, 1, {"decision": "DEPLOY"})
    registry.log_metrics(logged.run_id, {"r2_baseline": 0.8})
    registry.log_metrics(logged.run_id, {"r2_baseline": 0.8})
    assert registry.version_info(task, 1).tags["decision"] == "DEPLOY"
    history = mlflow_client(mlflow_server).get_metric_history(logged.run_id, "r2_baseline")
    assert [point.value for point in history] == [0.8]


def test_errors_say_where_and_what(registry: Registry, task: str, mlflow_server: str):
    with pytest.raises(
        RegistryError, match=f"MLflow at {mlflow_server} could not read version 9 of velocast"
    ):
        registry.version_info(task, 9)
    with pytest.raises(RegistryError, match="contains a quote"):
        log(registry, task, key="it's")


def test_a_server_that_is_not_there_is_an_error_that_may_pass(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match="could not read champion") as caught:
        Registry("http://127.0.0.1:9").get_alias("forecast", "champion")
    assert caught.value.retryable
