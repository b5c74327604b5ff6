"""What one retraining leaves in the models bucket: `runs/<execution_id>/...` and `models/<kind>/<run_id>/...`.

Each object under `runs/` is written once: the first writer wins, and everyone after it reads what the first one wrote.
A step that was killed and runs again therefore goes on with the results of its first try.
"""

from __future__ import annotations

from typing import TypeVar

from velocast.adapters import champion_manifest
from velocast.adapters.gcs import JSON_TYPE, Objects
from velocast.adapters.mlflow_registry import Registry
from velocast.core import kinds
from velocast.core.errors import ModelUnusable, ObjectChanged, ObjectMissing
from velocast.core.requests import Message
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast.usecases.training.stored.records import Training

RecordT = TypeVar("RecordT", bound=Message)

CHAMPION = "champion"
CHALLENGER = "challenger"
FREEZE, BASELINE, WEATHER, CALENDAR, LEARNED, TRAINING, DECISION, PLAN, PROMOTION = (
    "freeze.json",
    "baseline.json",
    "weather.json",
    "calendar.json",
    "learned.json",
    "train.json",
    "decision.json",
    champion_manifest.PLAN,
    "promotion.json",
)
FITTED, REFITTED, TEST_CURRENT = "model.skops", "refit.skops", "test_current.parquet"


class RunStore:
    """The objects of one execution, in the models bucket."""

    def __init__(self, run: Run[JobSettings], execution_id: str | None = None) -> None:
        """execution_id: another execution than the run's own."""
        self.objects = Objects(run.settings.project, run.settings.models_bucket)
        self.execution_id = execution_id or run.execution_id

    def find(self, name: str, kind: type[RecordT]) -> RecordT | None:
        """Return a record of this execution, None when it is not there yet."""
        try:
            return kind.model_validate(self.objects.read_json(self.path(name))[0])
        except ObjectMissing:
            return None

    def save_once(self, name: str, record: RecordT) -> RecordT:
        """Write a record unless there is one; return the one that is stored."""
        data = record.model_dump_json(indent=1).encode()
        return type(record).model_validate_json(self.save_bytes_once(name, data, JSON_TYPE))

    def find_bytes(self, name: str) -> bytes | None:
        """Return an object of this execution, None when it is not there yet."""
        try:
            return self.objects.read(self.path(name)).data
        except ObjectMissing:
            return None

    def save_bytes_once(self, name: str, data: bytes, content_type: str) -> bytes:
        """Write an object unless there is one; return the bytes that are stored."""
        try:
            self.objects.write(self.path(name), data, content_type=content_type, if_generation=0)
        except ObjectChanged:
            return self.objects.read(self.path(name)).data
        return data

    def path(self, name: str) -> str:
        """Return the name in the bucket of an object of this execution."""
        return f"runs/{self.execution_id}/{name}"


def version_file(kind: str, run_id: str, name: str) -> str:
    """Return the name in the models bucket of one of a version's own files."""
    return f"models/{kind}/{run_id}/{name}"


def training_of_version(
    store: RunStore, registry: Registry, task: kinds.Task, version: int
) -> Training:
    """Return the record of the training that made `version` of `velocast-<task>`.

    Raises RegistryError when MLflow has no such version; ModelUnusable when the version was not made by `train`.
    """
    found = registry.version_info(task, version)
    return read_training(store.objects, found.tags.get("kind", "unknown"), found.run_id)


def read_training(objects: Objects, kind: str, run_id: str) -> Training:
    """Return the record of a training by its MLflow run. Raises ModelUnusable when there is none."""
    name = version_file(kind, run_id, TRAINING)
    try:
        return Training.model_validate(objects.read_json(name)[0])
    except ObjectMissing as exc:
        raise ModelUnusable(
            f"{objects.uri(name)} is missing: its training did not end; train again"
        ) from exc
