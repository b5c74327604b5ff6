"""Files that a city drops into a bucket, by Google's client against the local Cloud Storage."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.emulators import PROJECT
from tests.shared.adapters.city_sources.transports.imitation import a_city, records, tables, utc
from velocast.adapters.city_sources.transport import TimeRange, Transport
from velocast.adapters.city_sources.transports import download, open_transport
from velocast.adapters.gcs import Objects, ObjectVersion
from velocast.core.errors import CityRefused, CityTruncated, CityUnreachable

YEAR = TimeRange(utc(2025, 1, 1), utc(2026, 1, 1))


@pytest.fixture
def objects(storage_buckets: dict[str, str]) -> Objects:
    return Objects(PROJECT, storage_buckets["datasets"])


def drop(objects: Objects, name: str, n: int) -> None:
    objects.write(name, f"at,id,n\n2025-03-01 00:00,7,{n}\n".encode(), content_type="text/csv")


def opened(objects: Objects, prefix: str = "counts/", **more: Any) -> Transport:
    source = {"transport": "bucket", "prefix": f"gs://{objects.bucket}/{prefix}", **more}
    city = a_city(source)
    assert city.counts.source is not None
    return open_transport(city, city.counts.source, city.counts.file, sleep=lambda seconds: None)


def counted(transport: Transport, hours: TimeRange | None = YEAR) -> list[str]:
    return [row["n"] for row in records(tables(transport, hours))]


def test_every_object_below_the_prefix_is_read(objects: Objects) -> None:
    drop(objects, "counts/b.csv", 2)
    drop(objects, "counts/2025/a b.csv", 1)
    drop(objects, "elsewhere.csv", 3)
    objects.write("counts/", b"", content_type="text/plain")  # a folder, as the console makes one
    found = tables(opened(objects), YEAR)
    assert [table.place for table in found] == [
        f"gs://{objects.bucket}/counts/2025/a b.csv",
        f"gs://{objects.bucket}/counts/b.csv",
    ]
    assert [row["n"] for row in records(found)] == ["1", "2"]


def test_a_pattern_chooses_objects(objects: Objects) -> None:
    drop(objects, "counts/2025.csv", 1)
    drop(objects, "counts/notes.txt", 2)
    assert counted(opened(objects, pattern=r"\d+\.csv")) == ["1"]


def test_an_object_that_was_replaced_is_read_again(objects: Objects) -> None:
    drop(objects, "counts/a.csv", 1)
    assert counted(opened(objects)) == ["1"]
    drop(objects, "counts/a.csv", 9)
    assert counted(opened(objects)) == ["9"]


def test_an_object_that_was_last_written_before_the_range_is_not_read(objects: Objects) -> None:
    drop(objects, "counts/a.csv", 1)
    written = objects.versions("counts/")[0].updated
    until = written + timedelta(days=2)
    assert counted(opened(objects), TimeRange(written, until)) == ["1"]
    assert counted(opened(objects), TimeRange(written + timedelta(seconds=1), until)) == []
    assert counted(opened(objects), TimeRange(None, until)) == ["1"]
    assert counted(opened(objects), None) == ["1"]


def test_an_object_that_changes_meanwhile_is_listed_and_read_again(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(objects, "counts/a.csv", 1)
    download_of, changes = Objects.download, iter([2, 3])

    def changing(self: Objects, version: ObjectVersion, path: Path) -> None:
        if number := next(changes, 0):
            drop(objects, "counts/a.csv", number)
        download_of(self, version, path)

    monkeypatch.setattr(Objects, "download", changing)
    assert counted(opened(objects)) == ["3"]
    changes = iter([4, 5, 6])
    with pytest.raises(CityTruncated, match=r"counts/a\.csv changed while the bucket was read"):
        counted(opened(objects))


def test_an_object_that_is_deleted_meanwhile_is_no_error(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(objects, "counts/a.csv", 1)
    drop(objects, "counts/b.csv", 2)
    download_of = Objects.download

    def deleting(self: Objects, version: ObjectVersion, path: Path) -> None:
        objects.delete("counts/a.csv")
        download_of(self, version, path)

    monkeypatch.setattr(Objects, "download", deleting)
    assert counted(opened(objects)) == ["2"]


@pytest.mark.parametrize(
    ("prefix", "more", "words"),
    [
        ("nothing/", {}, "has no objects, but 0 others; check prefix and pattern"),
        ("counts/", {"pattern": "x"}, "has no objects that match 'x', but 1 others"),
    ],
)
def test_nothing_to_read_is_told(
    objects: Objects, prefix: str, more: dict[str, str], words: str
) -> None:
    drop(objects, "counts/a.csv", 1)
    with pytest.raises(CityRefused, match=words):
        counted(opened(objects, prefix, **more))


def test_a_bucket_that_does_not_exist_is_told(objects: Objects) -> None:
    city = a_city({"transport": "bucket", "prefix": "gs://no-such-bucket/"})
    assert city.counts.source is not None
    with pytest.raises(CityRefused, match=r"gs://no-such-bucket/ cannot be listed.*objectViewer"):
        counted(open_transport(city, city.counts.source, city.counts.file))


def test_a_service_that_fails_is_unreachable(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.api_core.exceptions import ServiceUnavailable

    def failing(self: Objects, prefix: str) -> list[ObjectVersion]:
        raise ServiceUnavailable("try later")  # type: ignore[no-untyped-call]

    monkeypatch.setattr(Objects, "versions", failing)
    with pytest.raises(CityUnreachable, match="try later"):
        counted(opened(objects))


def test_an_object_that_is_too_large_is_refused(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    from velocast.adapters.city_sources.transports import bucket

    drop(objects, "counts/a.csv", 1)
    monkeypatch.setattr(bucket, "FILE_BYTES", 10)
    assert download.FILE_BYTES > 10
    with pytest.raises(CityRefused, match="has 29 bytes, at most 10 are read"):
        counted(opened(objects))
