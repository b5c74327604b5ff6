"""The champion in the forms that a challenger is compared with: never one that has learned the rows it is scored on."""

from __future__ import annotations

from dataclasses import dataclass

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.core import telemetry
from velocast.core.datetimes import parse_instant
from velocast.core.errors import ModelUnusable
from velocast.core.settings import JobSettings
from velocast.model.learning import models
from velocast.usecases.context import Run
from velocast.usecases.training.datasets.windows import DAY, DayRange
from velocast.usecases.training.stored import model_io, run_store
from velocast.usecases.training.stored.records import Artifact, ChampionVersion, Training
from velocast.usecases.training.stored.run_store import RunStore


@dataclass(frozen=True)
class ComparedChampion:
    """The champion and the model that stands for it on each test; all None without a champion.

    A serving champion was fitted again on everything known, so it has learned test_baseline and perhaps a part of
    test_current. On a test that it has learned, the model that was evaluated before that refit is scored instead.

    problem: why the champion cannot be used and counts as none. unfair: why no model can be scored on test_current: a
    champion trained later than the challenger has learned days of it.
    """

    version: ChampionVersion | None = None
    on_baseline: models.Model | None = None
    on_current: models.Model | None = None
    problem: str | None = None
    unfair: str | None = None


def find(run: Run[JobSettings], store: RunStore, training: Training) -> ComparedChampion:
    """Return the champion of the task that a version was trained for; one that cannot be loaded counts as none.

    One of an earlier definition of the features that still serves is compared: it reads its columns from the same rows.
    """
    try:
        champion, generation = champion_manifest.read_champion(store.objects, training.task)
        if champion is None:
            return ComparedChampion()
        first, _ = training.windows.test_current.bounds(run.settings.city.zone)
        has_learned = parse_instant(champion.trained_until, name="trained_until") > first
        serving, evaluated = _forms(store, champion)
        unfair = _unfair(store, champion, training.windows.test_current) if has_learned else None
    except ModelUnusable as exc:
        telemetry.log("WARNING", f"the champion cannot be used and is treated as missing: {exc}")
        return ComparedChampion(problem=str(exc))
    return ComparedChampion(
        ChampionVersion(
            version=champion.version,
            run_id=champion.run_id,
            kind=champion.kind,
            generation=generation,
        ),
        on_baseline=evaluated if champion.baseline == training.baseline.test.sha256 else None,
        on_current=None if unfair else evaluated if has_learned else serving,
        unfair=unfair,
    )


def _unfair(store: RunStore, champion: Champion, test: DayRange) -> str | None:
    """Return a reason where even the model that was evaluated has learned days of a test."""
    windows = run_store.read_training(store.objects, champion.kind, champion.judged_run_id).windows
    if not any(test.overlaps(days) for days in windows.learnable):
        return None
    return (
        f"version {champion.version} was trained later and has learned days from {test.first} to {test.until - DAY}; "
        "train anew to compare on days that are new to both"
    )


def _forms(store: RunStore, champion: Champion) -> tuple[models.Model, models.Model]:
    """Return the champion's model that serves, and the one that was evaluated before it was fitted again."""
    objects = store.objects
    name = run_store.version_file(champion.kind, champion.judged_run_id, run_store.FITTED)
    serving = Artifact(uri=champion.artifact_uri, sha256=champion.sha256)
    evaluated = Artifact(uri=objects.uri(name), sha256=champion.judged_sha256)
    return model_io.load_model(objects, serving), model_io.load_model(objects, evaluated)
