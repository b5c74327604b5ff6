"""The champion's manifest and the summary of versions, under races."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.emulators import PROJECT
from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion, SummaryEntry
from velocast.adapters.gcs import Objects
from velocast.core.errors import ModelUnusable, ObjectChanged


@pytest.fixture
def objects(storage_buckets: dict[str, str]) -> Objects:
    return Objects(PROJECT, storage_buckets["models"])


def champion(version: int) -> Champion:
    return Champion(
        version=version,
        run_id=f"run{version}",
        task="forecast",
        kind="gbm",
        artifact_uri=f"gs://models/{version}.skops",
        sha256="ab" * 32,
        feature_definition="f1",
        library_versions={"scikit-learn": "1.7.0"},
        metrics={"r2": 0.9},
        trained_from="2025-01-01T00:00:00Z",
        trained_until="2025-03-01T00:00:00Z",
        published_at="2025-03-02T00:00:00Z",
        baseline="cd" * 32,
        judged_run_id="judged",
        judged_sha256="ef" * 32,
    )


def entry(version: int, **changes: Any) -> SummaryEntry:
    values: dict[str, Any] = {
        "version": version,
        "run_id": f"run{version}",
        "task": "forecast",
        "kind": "gbm",
        "trained_at": "2025-03-01T00:00:00Z",
        "dataset_hashes": {"train": "ab"},
        "metrics": {"r2": 0.9},
        "decision": None,
        "is_champion": False,
        "artifact_uri": "gs://models/x",
        "sha256": "ab",
        "feature_definition": "f1",
        "library_versions": {},
    }
    return SummaryEntry(**{**values, **changes})


def test_before_the_first_champion_there_is_none(objects: Objects):
    assert champion_manifest.read_champion(objects) == (None, 0)
    assert champion_manifest.read_summary(objects) == []


def test_the_champion_is_read_as_published(objects: Objects):
    generation = champion_manifest.publish_champion(objects, champion(1), if_generation=0)
    assert champion_manifest.read_champion(objects) == (champion(1), generation)


def test_of_two_publishers_that_replace_one_champion_the_second_is_told(objects: Objects):
    generation = champion_manifest.publish_champion(objects, champion(1), if_generation=0)
    champion_manifest.publish_champion(objects, champion(2), if_generation=generation)
    with pytest.raises(ObjectChanged, match=r"serving/champion\.json"):
        champion_manifest.publish_champion(objects, champion(3), if_generation=generation)
    published, _ = champion_manifest.read_champion(objects)
    assert published == champion(2)


def test_an_entry_takes_the_place_of_its_version(objects: Objects):
    champion_manifest.upsert_summary(objects, entry(2))
    champion_manifest.upsert_summary(objects, entry(1, decision="SKIP"))
    champion_manifest.upsert_summary(objects, entry(2, decision="DEPLOY"))
    assert champion_manifest.read_summary(objects) == [
        entry(1, decision="SKIP"),
        entry(2, decision="DEPLOY"),
    ]


def test_a_new_champion_takes_the_mark_within_its_task(objects: Objects):
    for e in (
        entry(1, is_champion=True),
        entry(1, task="affluence", is_champion=True),
        entry(2, is_champion=True),
    ):
        champion_manifest.upsert_summary(objects, e)
    marks = {(e.task, e.version): e.is_champion for e in champion_manifest.read_summary(objects)}
    assert marks == {("affluence", 1): True, ("forecast", 1): False, ("forecast", 2): True}


def test_concurrent_writers_lose_nothing_and_leave_one_champion(objects: Objects):
    def write(version: int) -> None:
        champion_manifest.upsert_summary(objects, entry(version, is_champion=version % 2 == 0))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(1, 9)))
    found = champion_manifest.read_summary(objects)
    assert [e.version for e in found] == list(range(1, 9))
    assert sum(e.is_champion for e in found) == 1


def test_a_writer_that_never_gets_its_turn_gives_up(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
):
    """Another writer comes in between the reading and the writing, every time."""
    read = champion_manifest._read_entries

    def read_and_be_overtaken(_: Objects) -> Any:
        found = read(objects)
        objects.write_json(champion_manifest.SUMMARY, [])
        return found

    monkeypatch.setattr(champion_manifest, "_read_entries", read_and_be_overtaken)
    with pytest.raises(ObjectChanged, match=r"models/summary\.json"):
        champion_manifest.upsert_summary(objects, entry(1))


def test_an_unreadable_file_is_named_with_what_is_wrong(objects: Objects):
    objects.write_json(champion_manifest.MANIFEST, {"version": "one"})
    with pytest.raises(
        ModelUnusable, match=r"champion\.json is not a valid manifest: version: Input should be"
    ):
        champion_manifest.read_champion(objects)
    objects.write_json(champion_manifest.SUMMARY, [{"version": 1}])
    with pytest.raises(
        ModelUnusable, match=r"summary\.json is not a valid summary: 0\.run_id: Field required"
    ):
        champion_manifest.read_summary(objects)
