"""What one retraining leaves in the models bucket: `runs/<execution_id>/...` and `models/<kind>/<run_id>/...`.

Each record is written once: the first writer wins and everybody after it reads what that one wrote. So a step that was
killed and runs again goes on with what its first try had settled.
"""

from __future__ import annotations

import hashlib
from typing import Literal, TypeVar

from velocast.ground.errors import ModelUnusable, ObjectChanged, ObjectMissing
from velocast.ground.messages import Message
from velocast.ground.settings import JobSettings
from velocast.model import kinds
from velocast.model.busy_scores import BusyScores
from velocast.model.evaluation import BootstrapResult, Scores, Unknown
from velocast.outside import manifest
from velocast.outside.manifest import Champion, SummaryEntry
from velocast.outside.objects import JSON_TYPE, Objects
from velocast.outside.registry import Registry
from velocast.usecases.datasets import Baseline, FrozenCounts
from velocast.usecases.runtime import Run
from velocast.usecases.training_windows import Windows
from velocast.usecases.weather_datasets import FrozenWeather

RecordT = TypeVar("RecordT", bound=Message)

CHAMPION = "champion"
CHALLENGER = "challenger"
MODEL_TYPE = "application/zip"
FREEZE, BASELINE, WEATHER, TRAINING, DECISION, PLAN, PROMOTION = (
    "freeze.json",
    "baseline.json",
    "weather.json",
    "train.json",
    "decision.json",
    "plan.json",
    "promotion.json",
)
MEASURES = {"forecast": "R2", "affluence": "balanced accuracy"}
FITTED, REFITTED = "model.skops", "refit.skops"


class Artifact(Message):
    """A stored model: where, and the hash of its bytes."""

    uri: str
    sha256: str


class Training(Message):
    """`train.json`: a challenger, and all that is needed to judge it and to fit it again."""

    execution_id: str
    version: int
    run_id: str
    task: str
    kind: kinds.Kind
    seed: int
    test_mode: bool
    as_of: str
    reason: str
    counts: FrozenCounts
    baseline: Baseline
    weather: FrozenWeather | None = None  # versions trained before it was frozen
    windows: Windows
    counter_ids: tuple[str, ...]
    artifact: Artifact
    feature_definition: str
    library_versions: dict[str, str]
    code_version: str = "unknown"  # versions trained before it was recorded
    rows: int
    seconds: float

    @property
    def dataset_hashes(self) -> dict[str, str]:
        """The bytes it was trained and tested on, by name."""
        weather = {"weather": self.weather.sha256} if self.weather else {}
        return weather | {
            "counts": self.counts.sha256,
            "train_baseline": self.baseline.train.sha256,
            "test_baseline": self.baseline.test.sha256,
        }


class Judged(Message):
    """The champion a challenger was measured against; `generation` is the manifest's."""

    version: int
    run_id: str
    kind: str
    generation: int


class Trial(Message):
    """Everybody's scores on the same rows of one test set. `old` is None without a champion."""

    new: Scores
    old: Scores | None
    similar_days: Scores
    lag_168h: Scores | None
    bootstrap: BootstrapResult | Unknown | None


class BusyTrial(Message):
    """Everybody's scores on the same rows of one test set, of classifiers. `old` is None without a champion."""

    new: BusyScores
    old: BusyScores | None
    similar_days: BusyScores


class Decision(Message):
    """`decision.json`: whether the challenger may become the champion, and on what figures."""

    execution_id: str
    decision: Literal["DEPLOY", "SKIP", "REJECT"]
    reason: str
    version: int
    run_id: str
    kind: str
    task: str
    test_mode: bool
    gain: float | None
    champion: Judged | None
    champion_trouble: str | None
    baseline: Trial | BusyTrial
    current: Trial | BusyTrial

    @property
    def measure(self) -> str:
        """What it was decided by."""
        return MEASURES[self.task]


class Plan(Message):
    """`plan.json`: what a promotion is about to publish, in whose place, and the manifest's generation before."""

    champion: Champion
    replaced: Judged | None
    generation: int
    refit_difference: float


class Promotion(Message):
    """`promotion.json`: the champion that a promotion published."""

    execution_id: str
    version: int
    run_id: str
    replaced: Judged | None
    artifact: Artifact
    refit_difference: float
    forecasts: int


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


def metrics_of(
    test: Literal["baseline", "current"], scores: Scores | BusyScores
) -> dict[str, float]:
    """Return the scores as `<test>_r2`, `<test>_rmse`, ...; what is not known is left out."""
    values = scores.model_dump(exclude={"counters", "lead_days"})
    return {f"{test}_{name}": float(v) for name, v in values.items() if v is not None}


def measured(scores: Scores | BusyScores) -> float | None:
    """Return what a decision compares: R2, or for classifiers the balanced accuracy; None when it is not known."""
    return scores.balanced_accuracy if isinstance(scores, BusyScores) else scores.r2


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
    return [entry for entry in manifest.read_summary(objects) if (entry.task, entry.version) == key]


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


def load_model(objects: Objects, artifact: Artifact) -> kinds.Model:
    """Return a stored model. Raises ModelUnusable when it is missing, altered or made by other versions."""
    root = objects.uri("")
    try:
        data = objects.read(artifact.uri.removeprefix(root)).data
    except ObjectMissing as exc:
        raise ModelUnusable(str(exc)) from exc
    if hashlib.sha256(data).hexdigest() != artifact.sha256:
        raise ModelUnusable(f"{artifact.uri} is not the content of SHA-256 {artifact.sha256}")
    return kinds.from_bytes(data)


def store_model(objects: Objects, name: str, data: bytes) -> Artifact:
    """Write a model under a name that belongs to these bytes alone."""
    objects.write_once(name, data, MODEL_TYPE)
    return Artifact(uri=objects.uri(name), sha256=hashlib.sha256(data).hexdigest())
