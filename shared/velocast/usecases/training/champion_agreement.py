"""Whether all places that name the champion name the same one, and the way back when they do not.

The manifest decides: forecasts are made with its model. Summary, registry, snapshot and audit trail follow it. A
promotion that was stopped half way can leave them apart.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from velocast.adapters import champion_manifest
from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.gcs import Objects
from velocast.adapters.mlflow_registry import Registry
from velocast.core import kinds
from velocast.core.errors import EventError, ObjectChanged, ObjectMissing
from velocast.usecases import snapshot_format
from velocast.usecases.forecasting.past_champion import BEGINNING
from velocast.usecases.training.stored import run_store

ATTEMPTS = 10


@dataclass(frozen=True)
class ChampionClaims:
    """The version that each place names as the champion of a task; None where it names none.

    summary: every version that is marked. alias: MLflow's. has_snapshot: False where there is no readable one to ask.
    audit: of the newest successful promotion.
    """

    task: str
    manifest: int | None
    summary: tuple[int, ...]
    alias: int | None
    snapshot: int | None
    has_snapshot: bool
    audit: int | None


@dataclass(frozen=True)
class ChampionSplit:
    """A place that names another champion than the manifest does. mended_by: what to do about it."""

    place: str
    says: str
    manifest: str
    mended_by: str


def find_splits(claims: ChampionClaims) -> list[ChampionSplit]:
    """Return the places that disagree with the manifest, none if all agree.

    Without a manifest nothing may claim a champion.
    """
    here = f"--version={claims.manifest} --task={claims.task}"
    promote = f"gcloud run jobs execute velocast-promote --args={here.replace(' ', ',')}"
    follow = "velocast doctor --fix"
    predict = "gcloud pubsub topics publish velocast-predict --message='{}'"
    wanted = () if claims.manifest is None else (claims.manifest,)
    named = {
        "models/summary.json": (claims.summary, follow),
        f"the alias {run_store.CHAMPION} in MLflow": (_one(claims.alias), follow),
        "the audit trail": (_one(claims.audit), promote),
    }
    if claims.has_snapshot:
        named["the serving snapshot"] = (_one(claims.snapshot), predict)
    return [
        ChampionSplit(place, _text(versions), _text(wanted), mended_by)
        for place, (versions, mended_by) in named.items()
        if versions != wanted
    ]


def _one(version: int | None) -> tuple[int, ...]:
    return () if version is None else (version,)


def _text(versions: tuple[int, ...]) -> str:
    return " and ".join(f"version {version}" for version in versions) or "no champion"


def read_claims(
    objects: Objects, registry: Registry, warehouse: Warehouse, task: str, *, as_of: datetime
) -> ChampionClaims:
    """Ask every place. as_of: promotions after it are not read.

    Raises ModelUnusable (manifest or summary unreadable), RegistryError, WarehouseError.
    """
    champion, _ = champion_manifest.read_champion(objects, task)
    marked = [e for e in champion_manifest.read_summary(objects) if e.task == task]
    has_snapshot, shown = _snapshot_version(objects, task)
    return ChampionClaims(
        task=task,
        manifest=champion.version if champion else None,
        summary=tuple(entry.version for entry in marked if entry.is_champion),
        alias=registry.get_alias(task, run_store.CHAMPION),
        snapshot=shown,
        has_snapshot=has_snapshot,
        audit=_audited_version(warehouse, task, as_of),
    )


def _snapshot_version(objects: Objects, task: str) -> tuple[bool, int | None]:
    try:
        shown = snapshot_format.loads(objects.read(snapshot_format.SNAPSHOT).data)
    except (ObjectMissing, EventError):
        return False, None
    card = shown.champion if task == kinds.FORECAST else shown.busy_champion
    return True, card.version if card else None


def _audited_version(warehouse: Warehouse, task: str, as_of: datetime) -> int | None:
    rows = warehouse.query("champions_until", since=BEGINNING, as_of=as_of)
    promotions = (json.loads(text) for text in rows["details"])
    return next((p.get("version") for p in promotions if p.get("task") == task), None)


def follow_manifest(objects: Objects, registry: Registry, task: str) -> Champion | None:
    """Point registry and summary at the manifest's champion and return it; None, and no change, without one.

    MLflow knows no precondition, so the manifest is read once more after both were written: whoever writes last has
    seen the newest manifest, and two at once end with the same champion everywhere. Raises ObjectChanged when the
    manifest kept changing, ModelUnusable, RegistryError.
    """
    for _ in range(ATTEMPTS):
        champion, generation = champion_manifest.read_champion(objects, task)
        if champion is None:
            return None
        if registry.get_alias(task, run_store.CHAMPION) != champion.version:
            registry.set_alias(task, run_store.CHAMPION, champion.version)
        champion_manifest.mark_champion(objects, champion)
        if champion_manifest.read_champion(objects, task)[1] == generation:
            return champion
    raise ObjectChanged(
        f"{objects.uri(champion_manifest.MANIFESTS[task])} changed {ATTEMPTS} times while registry and summary "
        "followed it; wait for the other promotions to end and try again"
    )
