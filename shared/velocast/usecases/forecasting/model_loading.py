"""Loads the model that forecasts.

Loading order: the manifest's artifact; when it is missing, altered or incompatible, the best compatible version of
`models/summary.json`; then none, and similar days forecast instead. Each step down is told to the caller.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion, SummaryEntry
from velocast.adapters.gcs import Objects
from velocast.core.errors import ModelUnusable, ObjectMissing
from velocast.model.features import definition
from velocast.model.learning.forecaster import TrainedModel, library_versions

TASK = "forecast"
SIMILAR_DAYS = "similar_days"
CURRENT_R2 = "current_r2"
CACHED_MODELS = 2


@dataclass(frozen=True)
class StepDown:
    """A model that should have been used and could not be, and what takes its place."""

    wanted_version: int | None
    used: str
    reason: str
    task: str = TASK


@dataclass(frozen=True)
class LoadedChampion:
    """What forecasts now. Without a `model`, similar days do. `manifest` is None when that is not the champion."""

    model: TrainedModel | None = None
    manifest: Champion | None = None
    version: int = 0
    kind: str = SIMILAR_DAYS
    run_id: str | None = None


OnFallback = Callable[[StepDown], None]
Version = Champion | SummaryEntry

_cache: dict[str, TrainedModel] = {}


def load(objects: Objects, *, on_fallback: OnFallback) -> LoadedChampion:
    """Load the best model there is; similar days (no model, version 0) when there is none.

    objects: the models bucket. on_fallback: called once for each step down the loading order; before there is any
    champion nothing is stepped down from, and it is not called. A loaded model is kept for the process by its SHA-256.
    Raises GoogleAPICallError when Cloud Storage itself fails: that is no reason to forecast worse.
    """
    champion, trouble = _published(objects)
    if champion is None and trouble is None:
        return LoadedChampion()
    first = [] if champion is None else [champion]
    candidates = chain(first, _others(objects, champion))
    return _first_usable(objects, candidates, trouble, on_fallback)


def _published(objects: Objects) -> tuple[Champion | None, StepDown | None]:
    """Return the champion; without a readable manifest, why that is a step down, or None when none ever was."""
    try:
        champion, _ = champion_manifest.read_champion(objects)
    except ModelUnusable as exc:
        return None, StepDown(None, "", str(exc))
    if champion is not None:
        return champion, None
    gone = [entry.version for entry in _summary(objects) if entry.is_champion]
    if not gone:
        return None, None
    return None, StepDown(
        gone[0], "", f"{objects.uri(champion_manifest.MANIFEST)} is gone; promote again"
    )


def _summary(objects: Objects) -> list[SummaryEntry]:
    try:
        entries = champion_manifest.read_summary(objects)
    except ModelUnusable:
        return []  # as good as absent; whoever writes it next fails loudly
    return [entry for entry in entries if entry.task == TASK]


def _others(objects: Objects, champion: Champion | None) -> Iterator[Version]:
    """Give the other versions that may serve, best first; nothing is read until one is asked for."""
    known = [
        entry
        for entry in _summary(objects)
        if entry.decision not in (None, "REJECT")
        and CURRENT_R2 in entry.metrics
        and (champion is None or entry.sha256 != champion.sha256)
        and _incompatibility(entry) is None
    ]
    yield from sorted(known, key=lambda entry: entry.metrics[CURRENT_R2], reverse=True)


def _first_usable(
    objects: Objects,
    candidates: Iterable[Version],
    trouble: StepDown | None,
    on_fallback: OnFallback,
) -> LoadedChampion:
    for version in candidates:
        if trouble is not None:
            used = f"version {version.version} ({version.kind})"
            on_fallback(StepDown(trouble.wanted_version, used, trouble.reason))
        try:
            return _described(version, _model(objects, version))
        except (ModelUnusable, ObjectMissing) as exc:
            trouble = StepDown(version.version, "", str(exc))
    if trouble is not None:
        on_fallback(StepDown(trouble.wanted_version, SIMILAR_DAYS, trouble.reason))
    return LoadedChampion()


def _described(version: Version, model: TrainedModel) -> LoadedChampion:
    champion = version if isinstance(version, Champion) else None
    return LoadedChampion(model, champion, version.version, version.kind, version.run_id)


def _model(objects: Objects, version: Version) -> TrainedModel:
    """Return a version's model. Raises ObjectMissing or ModelUnusable."""
    if reason := _incompatibility(version):
        raise ModelUnusable(reason)
    if version.sha256 not in _cache:
        model = TrainedModel.from_bytes(artifact(objects, version))
        while len(_cache) >= CACHED_MODELS:
            del _cache[next(iter(_cache))]
        _cache[version.sha256] = model
    return _cache[version.sha256]


def artifact(objects: Objects, version: Version) -> bytes:
    """Return a version's stored bytes. Raises ObjectMissing; ModelUnusable when they are not those of its hash."""
    root = objects.uri("")
    if not version.artifact_uri.startswith(root):
        raise ModelUnusable(
            f"version {version.version}: artifact {version.artifact_uri} is not in {root}; promote it again"
        )
    data = objects.read(version.artifact_uri.removeprefix(root)).data
    found = hashlib.sha256(data).hexdigest()
    if found != version.sha256:
        raise ModelUnusable(
            f"version {version.version}: {version.artifact_uri} has SHA-256 {found[:12]}..., the manifest says "
            f"{version.sha256[:12]}...; restore that generation or promote another version"
        )
    return data


def _incompatibility(version: Version) -> str | None:
    """Tell why this code cannot use a version, from what is written about it."""
    if version.feature_definition != definition.FEATURE_DEFINITION:
        return (
            f"version {version.version} was trained on features {version.feature_definition}, this code makes "
            f"{definition.FEATURE_DEFINITION}; train again"
        )
    name = "scikit-learn"
    made, here = version.library_versions.get(name), library_versions().get(name)
    if made != here:
        return f"version {version.version} was made by {name} {made}, here is {here}; train again"
    return None
