"""Objects in pieces: the same bytes as those of one call of pyarrow, and the same rows back."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import emulators
from velocast.adapters.gcs import Objects
from velocast.core import schemas
from velocast.core.errors import ModelUnusable
from velocast.usecases.training.datasets import parquet_objects
from velocast.usecases.training.datasets.frozen_weather import FrozenWeather

SCHEMA = schemas.arrow(schemas.COUNTS, ("counter_id", "counted_at", "bike_count", "quality"))


def rows(counters: int, hours: int = 30_000) -> pa.Table:
    random = np.random.default_rng(1)
    size = counters * hours
    quality = ["outage" if mark else None for mark in random.random(size) < 0.01]
    at = np.tile(np.arange(hours) * 3_600_000_000 + 1_700_000_000_000_000, counters)
    return pa.table(
        {
            "counter_id": np.repeat([f"counter {n:05}" for n in range(counters)], hours),
            "counted_at": pa.array(at, pa.timestamp("us", tz="UTC")),
            "bike_count": random.poisson(40, size),
            "quality": pa.array(quality, pa.string()),
        },
        schema=SCHEMA,
    )


def pieces(table: pa.Table, size: int) -> Iterator[pa.Table]:
    return (table.slice(start, size) for start in range(0, table.num_rows, size))


def at_once(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table.combine_chunks(), file, compression="zstd", store_schema=False)
    return file.getvalue()


@pytest.fixture
def bucket(storage_buckets: dict[str, str]) -> Objects:
    return emulators.objects("datasets")


@pytest.mark.parametrize("size", [77_777, 10_000_000])
def test_the_bytes_do_not_depend_on_the_pieces(bucket: Objects, size: int) -> None:
    table = rows(counters=75)  # three row groups
    sha256, uri = parquet_objects.store(bucket, pieces(table, size), SCHEMA, folder="counts")
    assert sha256 == hashlib.sha256(at_once(table)).hexdigest()
    assert uri == bucket.uri(f"counts/{sha256}.parquet")


@pytest.mark.parametrize("held", [0, 1 << 20])
def test_an_object_too_large_to_hold_is_written_in_pieces(
    bucket: Objects, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(parquet_objects, "HELD_BYTES", held)
    table = rows(counters=2)
    for _ in range(2):  # a job that is run again
        sha256, _ = parquet_objects.store(bucket, [table], SCHEMA, folder="counts")
    assert bucket.names("") == [f"counts/{sha256}.parquet"]
    assert bucket.read(f"counts/{sha256}.parquet").data == at_once(table)


def test_a_killed_job_leaves_nothing_under_a_hash(
    bucket: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Iterator[pa.Table]:
        yield rows(counters=40)
        raise ZeroDivisionError

    monkeypatch.setattr(parquet_objects, "HELD_BYTES", 0)
    with pytest.raises(ZeroDivisionError):
        parquet_objects.store(bucket, broken(), SCHEMA, folder="counts")
    assert bucket.names("") == []


def test_no_rows_are_an_object_too(bucket: Objects) -> None:
    empty = SCHEMA.empty_table()
    sha256, _ = parquet_objects.store(bucket, [], SCHEMA, folder="counts")
    assert bucket.read(f"counts/{sha256}.parquet").data == at_once(empty)


def test_pieces_are_regrouped_without_holding_more_than_one_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parquet_objects, "ROW_GROUP", 1000)
    table = rows(counters=1, hours=4321)
    groups = list(parquet_objects.row_groups(pieces(table, 350), SCHEMA))
    assert [group.num_rows for group in groups] == [1000, 1000, 1000, 1000, 321]
    assert pa.concat_tables(groups).equals(table)


def test_altered_bytes_are_refused(bucket: Objects) -> None:
    sha256, uri = parquet_objects.store(bucket, [rows(1, 10)], SCHEMA, folder="counts")
    bucket.write(f"counts/{sha256}.parquet", b"other", content_type="text/plain")
    stored = FrozenWeather(sha256=sha256, uri=uri, rows=10)
    with (
        pytest.raises(ModelUnusable, match=f"it was frozen as {sha256}"),
        parquet_objects.open_checked(bucket, stored),
    ):
        pass
