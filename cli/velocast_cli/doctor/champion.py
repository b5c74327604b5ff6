"""The champion: whether all places name the same version, and whether its files are intact."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.core import kinds
from velocast.core.datetimes import rfc3339
from velocast.core.errors import EventError, ModelUnusable, ObjectMissing
from velocast.usecases import snapshot_format
from velocast.usecases.model_loading import read_version
from velocast.usecases.snapshot_format import SNAPSHOT, ChampionCard, Snapshot
from velocast.usecases.training.stored import run_store
from velocast_cli.doctor.data import freshness
from velocast_cli.doctor.findings import Finding, one_line, unknown
from velocast_cli.doctor.system import CALL_ERRORS, System

FIX = "velocast doctor --fix"


@dataclass(frozen=True)
class Named:
    """The champion that one place names: its version and run; both None where it names none."""

    place: str
    version: int | None = None
    run_ids: tuple[str, ...] = ()


def examine_manifests(system: System) -> list[Finding]:
    """Check that every manifest can be read and that its artifact has the hash it says."""
    findings = []
    for task in kinds.TASKS:
        uri = system.models.uri(champion_manifest.MANIFESTS[task])
        try:
            champion, _ = champion_manifest.read_champion(system.models, task)
        except ModelUnusable as exc:
            meaning = "No model can be loaded from it; an older version or similar days make the forecasts."
            findings.append(_artifact_finding(uri, str(exc), meaning, "velocast rollback"))
            continue
        if champion is not None:
            findings += _examine_artifact(system, champion)
    return findings


def _examine_artifact(system: System, champion: Champion) -> list[Finding]:
    try:
        read_version(system.models, champion)
    except (ModelUnusable, ObjectMissing) as exc:
        intact = intact_generation(system, champion)
        meaning = (
            "The champion cannot be loaded; an older version or similar days make the forecasts. "
        )
        if intact is None:
            meaning += "No older generation of the object has the right hash."
            return [
                _artifact_finding(
                    champion.artifact_uri, one_line(str(exc)), meaning, "velocast rollback"
                )
            ]
        meaning += f"Generation {intact} of the object is intact."
        command = f"gcloud storage cp '{champion.artifact_uri}#{intact}' {champion.artifact_uri}"
        found = _artifact_finding(champion.artifact_uri, one_line(str(exc)), meaning, command)
        return [found.model_copy(update={"repair": "restore_artifact"})]
    return []


def _artifact_finding(subject: str, found: str, meaning: str, command: str) -> Finding:
    return Finding(
        check="artifacts", subject=subject, found=found, meaning=meaning, command=command
    )


def intact_generation(system: System, champion: Champion) -> int | None:
    """Return the newest generation of a champion's artifact that has the manifest's hash; None if none has."""
    name = champion.artifact_uri.removeprefix(system.models.uri(""))
    versions = [b for b in system.bucket.list_blobs(prefix=name, versions=True) if b.name == name]
    for blob in sorted(versions, key=lambda b: int(b.generation), reverse=True):
        data = system.bucket.blob(name, generation=blob.generation).download_as_bytes()
        if hashlib.sha256(data).hexdigest() == champion.sha256:
            return int(blob.generation)
    return None


def examine_agreement(system: System) -> list[Finding]:
    """Compare the champion that manifest, summary, MLflow, audit trail and snapshot name, for each task."""
    findings = []
    for task in kinds.TASKS:
        try:
            champion, _ = champion_manifest.read_champion(system.models, task)
        except ModelUnusable:
            continue  # examine_manifests tells of it
        places, failed = read_places(system, task)
        findings += [*judge_agreement(task, champion, places), *failed]
    return findings


def read_places(system: System, task: str) -> tuple[list[Named], list[Finding]]:
    """Return what every place but the manifest names, and a finding for each place that could not be asked."""
    readers = {
        "summary": _in_summary,
        "MLflow": _in_registry,
        "audit": _in_audit,
        "snapshot": _in_snapshot,
    }
    places, failed = [], []
    for place, reader in readers.items():
        try:
            found = reader(system, task)
        except CALL_ERRORS as exc:
            failed.append(unknown("agreement", f"{task}: {place}", exc, "velocast doctor"))
        else:
            places += [] if found is None else [found]
    return places, failed


def _in_summary(system: System, task: str) -> Named:
    entries = champion_manifest.read_summary(system.models)
    marked = [e for e in entries if e.task == task and e.is_champion]
    only = marked[0].version if len(marked) == 1 else None  # two marks never match a manifest
    return Named("summary", only, tuple(e.run_id for e in marked))


def _in_registry(system: System, task: str) -> Named:
    return Named("MLflow", system.registry.get_alias(task, run_store.CHAMPION))


def _in_audit(system: System, task: str) -> Named:
    rows = system.warehouse.query("doctor_last_promotions")
    return Named("audit", None, tuple(rows.loc[rows["task"] == task, "run_id"]))


def _in_snapshot(system: System, task: str) -> Named | None:
    """Return what the snapshot names, None without a readable one (examine_snapshot tells of that)."""
    try:
        shown = snapshot_format.loads(system.models.read(SNAPSHOT).data)
    except (ObjectMissing, EventError):
        return None
    card = shown.champion if task == kinds.FORECAST else shown.busy_champion
    return _card(card)


def _card(card: ChampionCard | None) -> Named:
    return (
        Named("snapshot", None, ())
        if card is None
        else Named("snapshot", card.version, (card.run_id,))
    )


def judge_agreement(task: str, champion: Champion | None, places: Sequence[Named]) -> list[Finding]:
    """Return a finding for each place that names another champion than the manifest, which is what serves."""
    return [
        _split_finding(task, champion, named) for named in places if not _agrees(named, champion)
    ]


def _agrees(named: Named, champion: Champion | None) -> bool:
    if champion is None:
        return named.version is None and not named.run_ids
    if named.place == "audit":  # it names runs, of which several may share a moment
        return champion.run_id in named.run_ids
    return named.version == champion.version


def _split_finding(task: str, champion: Champion | None, named: Named) -> Finding:
    label = f"version {named.version}" if named.version else ", ".join(named.run_ids) or "none"
    serving = f"version {champion.version} (run {champion.run_id})" if champion else "none"
    if champion is None:
        meaning = "A promotion was interrupted or the manifest was deleted; similar days make the forecasts."
    elif named.place == "snapshot":
        meaning = "The API serves forecasts that the champion did not make."
    else:
        meaning = "A promotion was interrupted, or two overlapped. Reports and later decisions use the wrong model."
    repair = "run_predict" if named.place == "snapshot" else "heal_split"
    fixable = champion is not None
    values = {
        "check": "agreement",
        "subject": f"{task}: {named.place}",
        "found": f"The manifest names {serving}; {named.place} names {label}.",
        "meaning": meaning,
        "command": FIX if fixable else "velocast rollback",
        "repair": repair if fixable else None,
    }
    return Finding.model_validate(values)


def examine_snapshot(system: System) -> list[Finding]:
    """Check that the serving snapshot can be read and is not old."""
    snapshot, trouble = None, ""
    try:
        snapshot = snapshot_format.loads(system.models.read(SNAPSHOT).data)
    except ObjectMissing:
        trouble = "It does not exist."
    except EventError as exc:
        trouble = one_line(str(exc))
    uri = system.models.uri(SNAPSHOT)
    return judge_snapshot(uri, snapshot, trouble, system.as_of, fresh=freshness(system))


def judge_snapshot(
    uri: str, snapshot: Snapshot | None, trouble: str, as_of: datetime, *, fresh: timedelta
) -> list[Finding]:
    """Judge a snapshot, or the reason for which there is none."""
    meaning = "A new instance of the API has no forecasts to serve; running ones keep the last snapshot they read."
    if snapshot is not None:
        age = as_of - snapshot.published_at
        if age <= fresh:
            return []
        hours = age // timedelta(hours=1)
        trouble = f"It was published at {rfc3339(snapshot.published_at)}, {hours} hours ago."
        meaning = "The API serves old forecasts."
    return [
        Finding(
            check="snapshot",
            subject=uri,
            found=trouble,
            meaning=meaning,
            command="gcloud pubsub topics publish velocast-predict --message='{}'",
            repair="run_predict",
        )
    ]
