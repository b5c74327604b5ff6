"""Data frames from record batches: as pyarrow converts a whole table, without a second copy of it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from velocast.adapters.bigquery import frames
from velocast.adapters.bigquery.frames import FrameBuilder


def table(rows: int) -> pa.Table:
    rng = np.random.default_rng(3)
    ids = [f"counter-{n % 700}" for n in range(rows)]
    return pa.table(
        {
            "counter_id": pa.array(ids),
            "quality": pa.array([None if n % 3 else "outage" for n in range(rows)], pa.string()),
            "at": pa.array([datetime(2025, 3, 1, n % 24, tzinfo=UTC) for n in range(rows)]),
            "day": pa.array([date(2025, 3, 1 + n % 28) for n in range(rows)]),
            "count": pa.array(rng.integers(0, 900, rows)),
            "holes": pa.array([None if n > rows // 2 else n for n in range(rows)], pa.int64()),
            "mean": pa.array(rng.normal(size=rows)),
            "busy": pa.array([n % 2 == 0 for n in range(rows)]),
            "nothing": pa.nulls(rows, pa.float64()),
        }
    )


def built(rows: pa.Table, size: int) -> pd.DataFrame:
    builder = FrameBuilder(rows.schema)
    for batch in rows.to_batches(max_chunksize=size):
        builder.add(batch)
    return builder.build()


@pytest.mark.parametrize("few_rows", [frames.FEW_ROWS, -1])
@pytest.mark.parametrize("chunk_rows", [frames.CHUNK_ROWS, 1_500])
def test_it_is_what_pyarrow_makes_of_the_whole_table(
    chunk_rows: int, few_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "CHUNK_ROWS", chunk_rows)
    monkeypatch.setattr(frames, "FEW_ROWS", few_rows)
    rows = table(5_000)
    utc = pa.timestamp("us", tz="UTC")
    fields = [f.with_type(utc) if pa.types.is_timestamp(f.type) else f for f in rows.schema]
    whole = rows.cast(pa.schema(fields)).to_pandas(date_as_object=True)
    for size in (5_000, 999):
        pd.testing.assert_frame_equal(built(rows, size), whole)
    empty = rows.slice(0, 0).cast(pa.schema(fields)).to_pandas(date_as_object=True)
    pd.testing.assert_frame_equal(built(rows.slice(0, 0), 9), empty)


def test_few_batches_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow's memory stays that of two batches, however many rows there are."""
    monkeypatch.setattr(frames, "CHUNK_ROWS", 4_000)
    schema = table(200).schema
    builder = FrameBuilder(schema)
    batch = table(2_000)
    held, before = [], pa.total_allocated_bytes()  # what earlier tests have left is not ours
    for _ in range(50):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(batch.to_batches()[0])
        builder.add(pa.ipc.open_stream(sink.getvalue()).read_next_batch())
        del sink, writer
        held.append(pa.total_allocated_bytes() - before)
    assert len(builder.build()) == 100_000
    # what is left are the places of two columns of text, and each batch's texts
    assert max(held) < 50 * batch.nbytes / 4
