"""What one retraining leaves in the models bucket: `runs/<execution_id>/...` and `models/<kind>/<run_id>/...`.

Each record is written once: the first writer wins and everybody after it reads what that one wrote. So a step that was
killed and runs again goes on with what its first try had settled.
"""

from __future__ import annotations

from typing import TypeVar

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import SummaryEntry
from velocast.adapters.gcs import JSON_TYPE, Objects
from velocast.adapters.mlflow_registry import Registry
from velocast.core import kinds
from velocast.core.errors import ModelUnusable, ObjectChanged, ObjectMissing
from velocast.core.requests import Message
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast.usecases.training.model_io import MODEL_TYPE
from velocast.usecases.training.records import Training

RecordT = TypeVar("RecordT", bound=Message)

CHAMPION = "champion"
CHALLENGER = "challenger"
FREEZE, BASELINE, WEATHER, TRAINING, DECISION, PLAN, PROMOTION = (
    "freeze.json",
    "baseline.json",
    "weather.json",
    "train.json",
    "decision.json",
    "plan.json",
    "promotion.json",
)
FITTED, REFITTED = "model.skops", "refit.skops"


class Records:
    """The records of one execution, in the models bucket."""

    def __init__(self, run: Run[JobSettings]) -> None:
        self.objects = Objects(run.settings.project, run.settings.models_bucket)
        self.execution_id = run.execution_id

    def find(self, name: str, kind: type[RecordT]) -> RecordT | None:
        """Return a record of this execution, None when it is not there yet."""
        try:
            return kind.model_validate(self.objects.read_json(self._path(name))[0])
        except ObjectMissing:
            return None

    def settle(self, name: str, record: RecordT) -> RecordT:
        """Write a record unless it is there; return the one that is there now."""
        data = record.model_dump_json(indent=1).encode()
        return type(record).model_validate_json(self._first(name, data, JSON_TYPE))

    def find_model(self, name: str) -> bytes | None:
        """Return a model of this execution, None when it is not there yet."""
        try:
            return self.objects.read(self._path(name)).data
        except ObjectMissing:
            return None

    def settle_model(self, name: str, data: bytes) -> bytes:
        """Write a model's bytes unless some are there; return those that are there now."""
        return self._first(name, data, MODEL_TYPE)

    def _first(self, name: str, data: bytes, content_type: str) -> bytes:
        try:
            self.objects.write(self._path(name), data, content_type=content_type, if_generation=0)
        except ObjectChanged:
            return self.objects.read(self._path(name)).data
        return data

    def _path(self, name: str) -> str:
        return f"runs/{self.execution_id}/{name}"


def summary_entry(training: Training) -> SummaryEntry:
    """Describe a version that was trained and not yet judged."""
    return SummaryEntry(
        version=training.version,
        run_id=training.run_id,
        task=training.task,
        kind=training.kind,
        trained_at=training.as_of,
        dataset_hashes=training.dataset_hashes,
        artifact_uri=training.artifact.uri,
        sha256=training.artifact.sha256,
        feature_definition=training.feature_definition,
        library_versions=training.library_versions,
    )


def summary_entries(objects: Objects, training: Training) -> list[SummaryEntry]:
    """Return the summary's entry of a version, in a list; an empty one when it has none yet."""
    key = (training.task, training.version)
    return [
        entry
        for entry in champion_manifest.read_summary(objects)
        if (entry.task, entry.version) == key
    ]


def folder(kind: str, run_id: str) -> str:
    """Return where a version's own files are in the models bucket."""
    return f"models/{kind}/{run_id}"


def training_of(records: Records, registry: Registry, task: kinds.Task, version: int) -> Training:
    """Return the record of the training that made `version` of `velocast-<task>`.

    Raises RegistryError when MLflow has no such version; ModelUnusable when the version was not made by `train`.
    """
    found = registry.version_info(task, version)
    return training_in(records.objects, found.tags.get("kind", "unknown"), found.run_id)


def training_in(objects: Objects, kind: str, run_id: str) -> Training:
    """Return the record of a training by its run. Raises ModelUnusable when there is none."""
    name = f"{folder(kind, run_id)}/{TRAINING}"
    try:
        return Training.model_validate(objects.read_json(name)[0])
    except ObjectMissing as exc:
        raise ModelUnusable(
            f"{objects.uri(name)} is not there: its training did not end; train again"
        ) from exc
