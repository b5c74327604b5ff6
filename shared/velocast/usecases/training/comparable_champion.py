"""The champion in the forms it is compared in: never one that has learned the rows it is scored on."""

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
from velocast.usecases.training import model_io, run_store
from velocast.usecases.training.datasets.windows import DAY, Window
from velocast.usecases.training.records import Artifact, Judged, Training
from velocast.usecases.training.run_store import Records


@dataclass(frozen=True)
class Opponent:
    """The champion in the two forms it is scored in; none of them without a champion.

    A champion that serves was fitted again on everything known, tests included, so it has seen test_baseline and may
    have seen a part of test_current. Where it has, the form of it that was judged stands in; `unfair` says why even
    that one cannot: trained later than the version to judge, it learned days of its test_current.
    """

    judged: Judged | None = None
    on_baseline: models.Model | None = None
    on_current: models.Model | None = None
    trouble: str | None = None
    unfair: str | None = None


def find(run: Run[JobSettings], records: Records, training: Training) -> Opponent:
    """Return the champion of the task that a version was trained for; one that cannot be loaded counts as none."""
    try:
        champion, generation = champion_manifest.read_champion(records.objects, training.task)
        if champion is None:
            return Opponent()
        first, _ = training.windows.test_current.bounds(run.settings.city.zone)
        has_seen = parse_instant(champion.trained_until, name="trained_until") > first
        deployed, judged = _forms(records, champion)
        unfair = _learned(records, champion, training.windows.test_current) if has_seen else None
    except ModelUnusable as exc:
        telemetry.log("WARNING", f"the champion cannot be used and counts as none: {exc}")
        return Opponent(trouble=str(exc))
    if champion.feature_definition != training.feature_definition:
        return Opponent(
            trouble=f"champion {champion.version} needs features {champion.feature_definition}, "
            f"the challenger has {training.feature_definition}"
        )
    return Opponent(
        Judged(
            version=champion.version,
            run_id=champion.run_id,
            kind=champion.kind,
            generation=generation,
        ),
        on_baseline=judged if champion.baseline == training.baseline.test.sha256 else None,
        on_current=None if unfair else judged if has_seen else deployed,
        unfair=unfair,
    )


def _learned(records: Records, champion: Champion, test: Window) -> str | None:
    """Say so where the judged form of the champion learned from days of a test."""
    windows = run_store.training_in(records.objects, champion.kind, champion.judged_run_id).windows
    if not any(test.overlaps(days) for days in windows.learnable):
        return None
    return (
        f"version {champion.version} was trained later and has learned days from {test.first} to {test.until - DAY}; "
        "train anew to compare on days that are new to both"
    )


def _forms(records: Records, champion: Champion) -> tuple[models.Model, models.Model]:
    """Return the champion as it serves and as it was judged."""
    objects = records.objects
    name = f"{run_store.folder(champion.kind, champion.judged_run_id)}/{run_store.FITTED}"
    served = Artifact(uri=champion.artifact_uri, sha256=champion.sha256)
    judged = Artifact(uri=objects.uri(name), sha256=champion.judged_sha256)
    return model_io.load_model(objects, served), model_io.load_model(objects, judged)
