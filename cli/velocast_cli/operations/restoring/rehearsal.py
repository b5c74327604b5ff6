"""Shows that what would be restored in an emergency can be restored, on copies that serve nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from velocast.adapters import champion_manifest
from velocast.adapters.gcs import Objects
from velocast.core import schemas
from velocast.core.errors import ObjectMissing
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast_cli.operations.restoring.restore import StoredObject, Tables, chosen_generation

FOLDER = "rehearsals"


@dataclass(frozen=True)
class RehearsedStep:
    """One thing that was restored, and whether it came back as it was."""

    what: str
    restored: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """Return it with JSON's types."""
        return dict(vars(self))


def rehearse_restore(run: Run[JobSettings]) -> list[RehearsedStep]:
    """Restore a copy of the manifest that was overwritten, one that was deleted, and a table that lost its rows.

    Works on objects under `rehearsals/` and on tables of its own, which are removed afterwards. Raises
    GoogleAPIError, and the errors of `StoredObject` and `Tables`.
    """
    objects = Objects(run.settings.project, run.settings.models_bucket)
    content = _content(objects)
    name = f"{FOLDER}/{run.execution_id}/{champion_manifest.MANIFEST}"
    stored = StoredObject(run.settings.project, run.settings.models_bucket, name)

    def overwrite() -> None:
        objects.write(name, b"overwritten by mistake", content_type="text/plain")

    try:
        objects.write(name, content, content_type="application/json")
        steps = [
            _object_step("an overwritten object", objects, stored, content, overwrite),
            _object_step(
                "a deleted object", objects, stored, content, lambda: objects.delete(name)
            ),
        ]
    finally:
        objects.delete(name)
    return [*steps, _table_step(run)]


def _content(objects: Objects) -> bytes:
    try:
        return objects.read(champion_manifest.MANIFEST).data
    except ObjectMissing:
        return b'{"rehearsal": "before the first champion"}'


def _object_step(
    what: str,
    objects: Objects,
    stored: StoredObject,
    content: bytes,
    harm: Callable[[], object],
) -> RehearsedStep:
    before = stored.generations()[0].generation
    harm()
    found = stored.generations()
    live = next((g.generation for g in found if g.is_live), 0)
    chosen = chosen_generation(found, generation=before, before=None)
    stored.restore(chosen.generation, replacing=live)
    back = objects.read(stored.name).data
    return RehearsedStep(what, back == content, f"{stored.uri}, generation {before}")


def _table_step(run: Run[JobSettings]) -> RehearsedStep:
    """Restore the table of counters from a copy, through a table that stands for it."""
    tables = Tables(run)
    mark = hashlib.sha256(run.execution_id.encode()).hexdigest()[:12]
    stand_in, copy = (f"{schemas.RAW}.rehearsal_{mark}{end}" for end in ("", "_copy"))
    try:
        tables.snapshot(schemas.COUNTERS, stand_in)
        tables.snapshot(stand_in, copy)
        before = _rows(run, stand_in)
        tables.empty(stand_in)
        tables.replace_rows(stand_in, copy, like=schemas.COUNTERS)
        restored = _rows(run, stand_in).equals(before)
        return RehearsedStep("a table", restored, f"{schemas.COUNTERS}, {before.num_rows} rows")
    finally:
        tables.drop(stand_in)
        tables.drop(copy)


def _rows(run: Run[JobSettings], table: str) -> pa.Table:
    columns = schemas.table(schemas.COUNTERS).columns
    return run.warehouse.read(table, columns=columns).sort_by("counter_id")
