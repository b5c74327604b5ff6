"""The record of all trainings: MLflow's runs, model versions and aliases.

Uses only the API of mlflow-skinny (no pandas, no model flavours); a model is stored as bytes. Serving does not need
this module.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from velocast.adapters import google_clients
from velocast.core.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

RUN_KEY = "run_key"
DESCRIPTION = "mlflow.note.content"
DIGEST_LENGTH = 36  # MLflow's maximum; the whole hash is in the dataset's profile
_PARAMS, _METRICS, _TAGS = 100, 1000, 100  # MLflow's maximum for one request

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class DatasetUse:
    """A frozen dataset that a run used; `context` says for what, such as train, test_baseline or test_current."""

    name: str
    sha256: str
    uri: str
    context: str


@dataclass(frozen=True)
class LoggedRun:
    """A run and the version of the registered model that it created."""

    run_id: str
    version: int


@dataclass(frozen=True)
class VersionInfo:
    """A version of a registered model."""

    version: int
    run_id: str
    tags: dict[str, str]


class Registry:
    """The MLflow server at `tracking_uri`. Every method raises RegistryError if it refuses or does not answer."""

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri

    @property
    def _client(self) -> MlflowClient:
        google_clients.prepare_mlflow(self.tracking_uri)
        from mlflow import MlflowClient

        return MlflowClient(self.tracking_uri, registry_uri=self.tracking_uri)

    def log_training(
        self,
        *,
        task: str,
        kind: str,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        artifacts: Mapping[str, bytes],
        datasets: Sequence[DatasetUse],
        tags: Mapping[str, str],
        run_key: str,
    ) -> LoggedRun:
        """Log a training as a run, and register it as a version of `velocast-<task>` with the same `tags`.

        artifacts: path in the run to content (`model.skops`, `plots/hours.png`).
        run_key: identifies the run. With the key of an earlier run, an interrupted one is completed and a complete one
        is returned unchanged.
        """
        with _reporting(f"log the training {run_key}", self.tracking_uri):
            run = self._run(task, run_key, f"{kind}-{run_key}")
            run_id = run.info.run_id
            if run.info.status != "FINISHED":
                labels = {**tags, "kind": kind, "task": task}
                self._log_batches(run, params, metrics, labels)
                self._client.log_inputs(run_id, _dataset_inputs(datasets))
                self._log_artifacts(run_id, artifacts)
            version = self._version(task, run, {**tags, "kind": kind, RUN_KEY: run_key})
            self._client.set_terminated(run_id, "FINISHED")
            return LoggedRun(run_id, version)

    def _run(self, task: str, run_key: str, name: str) -> Run:
        """Return the run with this key, creating it if there is none."""
        experiment = self._experiment(model_name(task))
        found = self._client.search_runs(
            [experiment], f"tags.{RUN_KEY} = {_literal(run_key)}", max_results=1
        )
        if found:
            return found[0]
        return self._client.create_run(experiment, tags={RUN_KEY: run_key}, run_name=name)

    def _experiment(self, name: str) -> str:
        if self._client.get_experiment_by_name(name) is None:
            with _existing_is_fine():
                self._client.create_experiment(name)
        return str(self._client.get_experiment_by_name(name).experiment_id)  # type: ignore[union-attr]

    def _log_batches(
        self,
        run: Run,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
    ) -> None:
        from mlflow.entities import Param, RunTag

        run_id = run.info.run_id
        for params_chunk in _chunks([Param(k, str(v)) for k, v in params.items()], _PARAMS):
            self._client.log_batch(run_id, params=params_chunk)
        for tags_chunk in _chunks([RunTag(k, str(v)) for k, v in tags.items()], _TAGS):
            self._client.log_batch(run_id, tags=tags_chunk)
        self._log_metrics(run, metrics)

    def _log_metrics(self, run: Run, metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        # All have the time of the run's start, so that logging them again adds no second point.
        moment = run.info.start_time
        points = [Metric(k, float(v), moment, 0) for k, v in metrics.items()]
        for chunk in _chunks(points, _METRICS):
            self._client.log_batch(run.info.run_id, metrics=chunk)

    def _log_artifacts(self, run_id: str, artifacts: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, data in artifacts.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            self._client.log_artifacts(run_id, folder)

    def _version(self, task: str, run: Run, tags: Mapping[str, str]) -> int:
        """Return the version that the run created, creating it if there is none."""
        name = model_name(task)
        found = self._client.search_model_versions(
            f"name = {_literal(name)} and run_id = {_literal(run.info.run_id)}"
        )
        if found:
            return int(found[0].version)
        with _existing_is_fine():
            self._client.create_registered_model(name)
        labels = {key: str(value) for key, value in tags.items()}
        made = self._client.create_model_version(
            name, run.info.artifact_uri, run.info.run_id, tags=labels, await_creation_for=0
        )
        return int(made.version)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add metrics to a run. Adding the same metrics again changes nothing."""
        with _reporting(f"log metrics of run {run_id}", self.tracking_uri):
            self._log_metrics(self._client.get_run(run_id), metrics)

    def describe_run(self, run_id: str, *, name: str, text: str) -> None:
        """Name a run and set its description (Markdown), in place of those that it has."""
        with _reporting(f"describe run {run_id}", self.tracking_uri):
            self._client.update_run(run_id, name=name)
            self._client.set_tag(run_id, DESCRIPTION, text)

    def set_alias(self, task: str, alias: str, version: int) -> None:
        """Point an alias (champion, challenger) at a version, and no longer at any other."""
        with _reporting(f"set {alias} of {model_name(task)} to {version}", self.tracking_uri):
            self._client.set_registered_model_alias(model_name(task), alias, str(version))

    def get_alias(self, task: str, alias: str) -> int | None:
        """Return the version that an alias points at; None if it is not set or no model is registered."""
        from mlflow.exceptions import MlflowException

        with _reporting(f"read {alias} of {model_name(task)}", self.tracking_uri):
            try:
                version = self._client.get_registered_model(model_name(task)).aliases.get(alias)
            except MlflowException as exc:
                if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return None
        return None if version is None else int(version)

    def version_info(self, task: str, version: int) -> VersionInfo:
        """Return a version's run and tags. Raises RegistryError if there is no such version."""
        with _reporting(f"read version {version} of {model_name(task)}", self.tracking_uri):
            found = self._client.get_model_version(model_name(task), str(version))
        return VersionInfo(int(found.version), str(found.run_id), dict(found.tags))

    def set_tags(self, task: str, version: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version; its other tags stay."""
        with _reporting(f"tag version {version} of {model_name(task)}", self.tracking_uri):
            for key, value in tags.items():
                self._client.set_model_version_tag(model_name(task), str(version), key, str(value))


def model_name(task: str) -> str:
    """Return the name of a task's registered model, which is also the name of its experiment."""
    return f"velocast-{task}"


def _dataset_inputs(uses: Sequence[DatasetUse]) -> list[DatasetInput]:
    """Return one MLflow input for each dataset; of two for the same dataset MLflow would keep only the first."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    contexts: dict[tuple[str, str, str], list[str]] = {}
    for use in uses:
        contexts.setdefault((use.name, use.sha256, use.uri), []).append(use.context)
    return [
        DatasetInput(
            Dataset(
                name=name,
                digest=sha256[:DIGEST_LENGTH],
                source_type="gs",
                source=json.dumps({"uri": uri}),
                profile=json.dumps({"sha256": sha256}),
            ),
            [InputTag("mlflow.data.context", ", ".join(context))],
        )
        for (name, sha256, uri), context in contexts.items()
    ]


def _literal(text: str) -> str:
    """Return a text as a literal for MLflow's filters. Raises RegistryError for a quote, which cannot be escaped."""
    if "'" in text:
        raise RegistryError(
            f"{text!r} contains a quote, which MLflow cannot search for; choose another key"
        )
    return f"'{text}'"


def _chunks(items: list[ItemT], size: int) -> Iterator[list[ItemT]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


@contextmanager
def _existing_is_fine() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


@contextmanager
def _reporting(doing: str, where: str) -> Iterator[None]:
    from google.auth.exceptions import GoogleAuthError
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    try:
        yield
    except (MlflowException, RequestException, GoogleAuthError) as exc:
        raise RegistryError(f"MLflow at {where} could not {doing}: {exc}") from exc
