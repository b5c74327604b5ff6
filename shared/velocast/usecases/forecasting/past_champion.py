"""The champion of a past day, from the audit trail, so that forecasting that day again gives that day's result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.gcs import Objects
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import ChampionGone, ModelUnusable, ObjectMissing
from velocast.usecases import model_loading
from velocast.usecases.context import ForecastRun
from velocast.usecases.model_loading import LoadedChampion

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)  # before the first audit row


def is_past(objects: Objects, as_of: datetime, *, later_origin: bool) -> bool:
    """Return whether a run works as of the past, so that another champion than today's may have served then.

    later_origin: forecasts of a later day are published. Either these or a champion published after `as_of` show it; no
    clock is read.
    """
    if later_origin:
        return True
    try:
        champion, _ = champion_manifest.read_champion(objects)
    except ModelUnusable:
        return False  # the loading order says what to do
    return champion is not None and parse_instant(champion.published_at) > as_of


def load_champion_of(run: ForecastRun, objects: Objects) -> LoadedChampion:
    """Load the model that was the champion at `run.as_of`; similar days before the first champion.

    Raises ChampionGone when that version cannot be loaded any more: no other model gives that day's result.
    """
    champion = find_champion_of(run, objects, model_loading.TASK)
    if champion is None:
        return LoadedChampion()
    try:
        return model_loading.load_version(objects, champion)
    except (ModelUnusable, ObjectMissing) as exc:
        raise _gone(run, champion.version, str(exc)) from exc


def find_champion_of(run: ForecastRun, objects: Objects, task: str) -> Champion | None:
    """Return the manifest of a task's champion at `run.as_of`; None before the first.

    Without a recorded promotion it is today's, if that was published by then. A promotion that was recorded without its
    manifest (a rollback, or one made by an older release) has that of the promotion before it of the same version.
    Raises ChampionGone when none is left, WarehouseError.
    """
    rows = run.warehouse.query("champions_until", since=BEGINNING, as_of=run.as_of)
    promotions = [
        (str(execution), details)
        for execution, text in zip(rows["execution_id"], rows["details"], strict=True)
        if (details := json.loads(text)).get("task") == task
    ]
    if not promotions:
        return _published_before(objects, task, run.as_of)
    version = promotions[0][1].get("version")
    same = [(execution, p) for execution, p in promotions if p.get("version") == version]
    champion = next(_manifests(objects, same), None)
    if champion is None:
        raise _gone(run, version, "its manifest is in no audit row and no longer under runs/")
    return champion


def _published_before(objects: Objects, task: str, as_of: datetime) -> Champion | None:
    champion, _ = champion_manifest.read_champion(objects, task)
    known = champion is not None and parse_instant(champion.published_at) <= as_of
    return champion if known else None


def _manifests(
    objects: Objects, promotions: list[tuple[str, dict[str, Any]]]
) -> Iterator[Champion]:
    for execution, details in promotions:
        try:
            yield Champion.model_validate(details.get("champion") or _planned(objects, execution))
        except (ObjectMissing, ValidationError, ValueError, KeyError):
            continue


def _planned(objects: Objects, execution: str) -> Any:
    return objects.read_json(f"runs/{execution}/{champion_manifest.PLAN}")[0]["champion"]


def _gone(run: ForecastRun, version: int | None, reason: str) -> ChampionGone:
    return ChampionGone(
        f"version {version} was the champion at {rfc3339(run.as_of)}, but cannot forecast any more: {reason}; "
        "nothing is stored for that day",
        version=version,
    )
