"""The way back when registry or summary name another champion than the manifest.

The manifest decides: forecasts are made with its model. A promotion that was stopped half way can leave them apart;
`velocast doctor` finds that.
"""

from __future__ import annotations

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.gcs import Objects
from velocast.adapters.mlflow_registry import Registry
from velocast.core.errors import ObjectChanged
from velocast.usecases.training.stored import run_store

ATTEMPTS = 10


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
