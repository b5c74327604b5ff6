"""Load the model that makes the forecasts: `predict`, `promote` and `monitor` all follow this order.

Loading order: the manifest's artifact; if it is missing, altered or incompatible, the best compatible version of
`models/summary.json`; if there is none, no model, and similar days make the forecasts. The caller is told of each
fallback.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion, SummaryEntry
from velocast.adapters.gcs import Objects
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import ModelUnusable, ObjectMissing
from velocast.core.notices import ModelFallback
from velocast.core.settings import NotifyingSettings
from velocast.model.features import definition
from velocast.model.learning.forecaster import TrainedModel, library_versions
from velocast.usecases.context import Run

TASK = "forecast"
SIMILAR_DAYS = "similar_days"
CURRENT_R2 = "current_r2"
CACHED_MODELS = 2


Version = Champion | SummaryEntry


@dataclass(frozen=True)
class FallbackStep:
    """A model version that could not be used, the reason, and what is used instead."""

    wanted_version: int | None
    used: str
    reason: str
    task: str = TASK


@dataclass(frozen=True)
class LoadedChampion:
    """The model that makes the forecasts. No `model`: similar days do. No `manifest`: it is not the champion.

    learned_until: end of the counts it was trained on, at the latest; None for similar days. Of a version that only the
    summary names it is the moment of its training. source: from which the model can be loaded
    again.
    """

    model: TrainedModel | None = None
    manifest: Champion | None = None
    version: int = 0
    kind: str = SIMILAR_DAYS
    run_id: str | None = None
    learned_until: datetime | None = None
    source: Version | None = None


OnFallback = Callable[[FallbackStep], None]

_cache: dict[str, TrainedModel] = {}


def load_champion(objects: Objects, *, on_fallback: OnFallback) -> LoadedChampion:
    """Load the best usable model; similar days (no model, version 0) when there is none.

    objects: the models bucket. on_fallback: called once for each step down the loading order, but not before the first
    champion was promoted. A loaded model is cached in the process by its SHA-256. Raises GoogleAPICallError when Cloud
    Storage fails: a worse model must not be used because of an outage.
    """
    champion, failure = _read_champion(objects)
    if champion is None and failure is None:
        return LoadedChampion()
    first = [] if champion is None else [champion]
    candidates = chain(first, _other_versions(objects, champion))
    return _first_usable(objects, candidates, failure, on_fallback)


def fallback_notifier(run: Run[NotifyingSettings]) -> OnFallback:
    """Return what `load_champion` calls at a fallback: it publishes a ModelFallback notice in the name of this run."""

    def publish_notice(step: FallbackStep) -> None:
        wanted = "manifest" if step.wanted_version is None else str(step.wanted_version)
        if step.task != TASK:
            wanted = f"{step.task}:{wanted}"
        run.publish_notice(
            ModelFallback(
                event_id=f"{run.runtime.component}:{run.execution_id}:fallback:{wanted}",
                occurred_at=rfc3339(run.as_of),
                wanted_version=step.wanted_version,
                used=step.used,
                reason=step.reason,
            )
        )

    return publish_notice


def _read_champion(objects: Objects) -> tuple[Champion | None, FallbackStep | None]:
    """Return the champion or, without a readable manifest, the failure; neither before the first promotion."""
    try:
        champion, _ = champion_manifest.read_champion(objects)
    except ModelUnusable as exc:
        return None, FallbackStep(None, "", str(exc))
    if champion is not None:
        return champion, None
    gone = [entry.version for entry in _summary(objects) if entry.is_champion]
    if not gone:
        return None, None
    return None, FallbackStep(
        gone[0], "", f"{objects.uri(champion_manifest.MANIFEST)} is gone; promote again"
    )


def _summary(objects: Objects) -> list[SummaryEntry]:
    try:
        entries = champion_manifest.read_summary(objects)
    except ModelUnusable:
        return []  # treated as absent here; the next promotion, which must update it, fails
    return [entry for entry in entries if entry.task == TASK]


def _other_versions(objects: Objects, champion: Champion | None) -> Iterator[Version]:
    """Yield the other versions that may serve, best first; nothing is read until the first is requested."""
    known = [
        entry
        for entry in _summary(objects)
        if entry.decision not in (None, "REJECT")
        and CURRENT_R2 in entry.metrics
        and (champion is None or entry.sha256 != champion.sha256)
        and incompatibility(entry) is None
    ]
    yield from sorted(known, key=lambda entry: entry.metrics[CURRENT_R2], reverse=True)


def _first_usable(
    objects: Objects,
    candidates: Iterable[Version],
    failure: FallbackStep | None,
    on_fallback: OnFallback,
) -> LoadedChampion:
    for version in candidates:
        if failure is not None:
            used = f"version {version.version} ({version.kind})"
            on_fallback(FallbackStep(failure.wanted_version, used, failure.reason))
        try:
            return load_version(objects, version)
        except (ModelUnusable, ObjectMissing) as exc:
            failure = FallbackStep(version.version, "", str(exc))
    if failure is not None:
        on_fallback(FallbackStep(failure.wanted_version, SIMILAR_DAYS, failure.reason))
    return LoadedChampion()


def load_version(objects: Objects, version: Version) -> LoadedChampion:
    """Load this version and no other. Raises ObjectMissing; ModelUnusable when it is altered or incompatible."""
    model = _model(objects, version)
    champion = version if isinstance(version, Champion) else None
    until = version.trained_until if isinstance(version, Champion) else version.trained_at
    return LoadedChampion(
        model,
        champion,
        version.version,
        version.kind,
        version.run_id,
        parse_instant(until),
        version,
    )


def _model(objects: Objects, version: Version) -> TrainedModel:
    """Return a version's model. Raises ObjectMissing or ModelUnusable."""
    if reason := incompatibility(version):
        raise ModelUnusable(reason)
    if version.sha256 not in _cache:
        model = TrainedModel.from_bytes(read_version(objects, version))
        while len(_cache) >= CACHED_MODELS:
            del _cache[next(iter(_cache))]
        _cache[version.sha256] = model
    return _cache[version.sha256]


def read_version(objects: Objects, version: Version) -> bytes:
    """Return a version's stored bytes. Raises ObjectMissing; ModelUnusable when their hash is not the recorded one."""
    root = objects.uri("")
    if not version.artifact_uri.startswith(root):
        raise ModelUnusable(
            f"version {version.version}: artifact {version.artifact_uri} is outside {root}; promote the version again"
        )
    data = objects.read(version.artifact_uri.removeprefix(root)).data
    found = hashlib.sha256(data).hexdigest()
    if found != version.sha256:
        raise ModelUnusable(
            f"version {version.version}: {version.artifact_uri} has SHA-256 {found[:12]}..., the manifest says "
            f"{version.sha256[:12]}...; restore the original object or promote another version"
        )
    return data


def incompatibility(version: Version) -> str | None:
    """Return why this code cannot use a version, judged by its metadata; None when it can."""
    if not definition.serves(version.feature_definition):
        return (
            f"version {version.version} was trained on features {version.feature_definition}, this code computes "
            f"{definition.FEATURE_DEFINITION}; train again"
        )
    name = "scikit-learn"
    made, here = version.library_versions.get(name), library_versions().get(name)
    if made != here:
        return f"version {version.version} was trained with {name} {made}, {here} is installed; train again"
    return None
