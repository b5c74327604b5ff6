"""The manifests of the serving models and the summary of all trained versions, in the models bucket.

`serving/champion.json` names the model that forecasts counts, `serving/affluence.json` the one for busy hours;
`models/summary.json` lists every trained version. All are written with generation preconditions, so two writers cannot
overwrite each other's work. Serving needs no MLflow.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pydantic import Field, TypeAdapter, ValidationError

from velocast.adapters.gcs import JSON_TYPE, Objects
from velocast.core import kinds
from velocast.core.datetimes import parse_instant
from velocast.core.errors import ModelUnusable, ObjectChanged, ObjectMissing
from velocast.core.requests import Message

MANIFEST = "serving/champion.json"
MANIFESTS: dict[str, str] = {kinds.FORECAST: MANIFEST, kinds.AFFLUENCE: "serving/affluence.json"}
SUMMARY = "models/summary.json"
PLAN = "plan.json"  # under runs/<execution_id>/: the manifest that a promotion published, as `champion`
UPSERT_ATTEMPTS = 20


class Champion(Message):
    """The serving model, with everything that is needed to load, check and describe it.

    `sha256` is the hash of the artifact, `baseline` that of the frozen dataset on which it was evaluated. `judged_*`
    identify the evaluated challenger, of which this is the refit. `metrics` as in the summary; times: RFC 3339 in UTC.
    """

    version: int
    run_id: str
    task: str
    kind: str
    artifact_uri: str
    sha256: str
    feature_definition: str
    library_versions: dict[str, str]
    metrics: dict[str, float]
    trained_from: str
    trained_until: str
    published_at: str
    baseline: str
    judged_run_id: str
    judged_sha256: str


class SummaryEntry(Message):
    """One trained version. Key: task, version. `decision` and its reason are None until it has been evaluated."""

    version: int
    run_id: str
    task: str
    kind: str
    trained_at: str
    dataset_hashes: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    decision: str | None = None
    decision_reason: str | None = None
    is_champion: bool = False
    artifact_uri: str
    sha256: str
    feature_definition: str
    library_versions: dict[str, str] = Field(default_factory=dict)


_ENTRIES = TypeAdapter(list[SummaryEntry])


def read_champion(objects: Objects, task: str = "forecast") -> tuple[Champion | None, int]:
    """Return the champion of a task and its manifest's generation; (None, 0) if there is none yet.

    Raises ModelUnusable if the manifest is invalid.
    """
    try:
        stored = objects.read(MANIFESTS[task])
    except ObjectMissing:
        return None, 0
    try:
        return Champion.model_validate_json(stored.data), stored.generation
    except ValidationError as exc:
        raise ModelUnusable(
            f"{objects.uri(MANIFESTS[task])} is not a valid manifest: {_wrong(exc)}"
        ) from exc


def age_seconds(champion: Champion | None, as_of: datetime) -> float | None:
    """Return for how many seconds the champion has served at `as_of`; None without one or before its publication."""
    if champion is None:
        return None
    age = (as_of - parse_instant(champion.published_at, name="published_at")).total_seconds()
    return age if age >= 0 else None


def publish_champion(objects: Objects, champion: Champion, *, if_generation: int) -> int:
    """Make `champion` the serving model of its task and return the manifest's new generation.

    if_generation: as returned by `read_champion`. Raises ObjectChanged if another champion was published since.
    """
    data = champion.model_dump_json(indent=1).encode("utf-8")
    name = MANIFESTS[champion.task]
    return objects.write(name, data, content_type=JSON_TYPE, if_generation=if_generation)


def read_summary(objects: Objects) -> list[SummaryEntry]:
    """Return all trained versions, sorted by task and version; an empty list if there is no summary.

    Raises ModelUnusable if the summary is invalid.
    """
    return _read_entries(objects)[0]


def upsert_summary(objects: Objects, entry: SummaryEntry) -> None:
    """Add `entry` to the summary, or replace the entry with the same task and version.

    If it is a champion, the other entries of its task lose that mark, so at most one has it. Starts again if someone
    else wrote in between; raises ObjectChanged after UPSERT_ATTEMPTS attempts.
    """
    _change_summary(objects, lambda entries: _with(entries, entry))


def mark_champion(objects: Objects, champion: Champion) -> None:
    """Give the mark of the champion in the summary to this one alone; writes nothing if it has it already.

    Raises as `upsert_summary` does.
    """

    def marked(entries: list[SummaryEntry]) -> list[SummaryEntry]:
        key = (champion.task, champion.version)
        known = next((e for e in entries if (e.task, e.version) == key), None)
        return _with(entries, _champions_entry(champion, known))

    _change_summary(objects, marked)


def _champions_entry(champion: Champion, known: SummaryEntry | None) -> SummaryEntry:
    fields = SummaryEntry.model_fields.keys() & Champion.model_fields.keys()
    shared = {name: getattr(champion, name) for name in fields} | {"is_champion": True}
    if known is not None:
        return known.model_copy(update=shared)
    return SummaryEntry(trained_at=champion.trained_until, decision="DEPLOY", **shared)


def _change_summary(
    objects: Objects, change: Callable[[list[SummaryEntry]], list[SummaryEntry]]
) -> None:
    for attempt in range(UPSERT_ATTEMPTS):
        entries, generation = _read_entries(objects)
        if (changed := change(entries)) == entries:
            return
        data = _ENTRIES.dump_json(changed, indent=1)
        try:
            objects.write(SUMMARY, data, content_type=JSON_TYPE, if_generation=generation)
        except ObjectChanged:
            if attempt == UPSERT_ATTEMPTS - 1:
                raise
        else:
            return


def _with(entries: list[SummaryEntry], entry: SummaryEntry) -> list[SummaryEntry]:
    others = [e for e in entries if (e.task, e.version) != (entry.task, entry.version)]
    if entry.is_champion:
        others = [
            e.model_copy(update={"is_champion": False}) if e.task == entry.task else e
            for e in others
        ]
    return sorted([*others, entry], key=lambda e: (e.task, e.version))


def _read_entries(objects: Objects) -> tuple[list[SummaryEntry], int]:
    try:
        stored = objects.read(SUMMARY)
    except ObjectMissing:
        return [], 0
    try:
        return _ENTRIES.validate_json(stored.data), stored.generation
    except ValidationError as exc:
        raise ModelUnusable(
            f"{objects.uri(SUMMARY)} is not a valid summary: {_wrong(exc)}"
        ) from exc


def _wrong(exc: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors()[:5])
