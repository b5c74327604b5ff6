"""Queries, reads and whole tables of the warehouse, by the real client against the emulator."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from tests.emulators import PROJECT
from tests.shared.adapters.bigquery.stored_counts import (
    FIRST,
    KEYS,
    counts,
    leftovers,
)
from velocast.adapters.bigquery import client as bigquery_client
from velocast.core import schemas
from velocast.core.errors import WarehouseError

QUERY = """
SELECT counter_id, counted_at, bike_count, quality, DATE(counted_at) AS day, bike_count / 2 AS half
FROM {counts}
WHERE counted_at >= @first AND counted_at < @last
ORDER BY counter_id, counted_at
"""


@pytest.mark.parametrize(
    ("method", "page_rows"), [("query", 500), ("query_large", 500), ("query_large", 1)]
)
def test_query_gives_typed_columns(store, warehouse_tables, sql, monkeypatch, method, page_rows):
    """A result of more than a page comes through the Storage Read API, and is the same."""
    monkeypatch.setattr(bigquery_client, "PAGE_ROWS", page_rows)
    sessions = []
    open_session = store._reader.create_read_session
    monkeypatch.setattr(
        store._reader,
        "create_read_session",
        lambda **asked: sessions.append(asked["parent"]) or open_session(**asked),
    )
    sql["q"] = QUERY
    rows = counts(("a", 0, 10, None), ("a", 1, 11, "outage"), ("b", 30, 3, None))
    store.merge(schemas.COUNTS, rows, keys=KEYS)
    run = getattr(store, method)
    frame = run("q", first=FIRST, last=FIRST + timedelta(hours=24))
    expected = pd.DataFrame(
        {
            "counter_id": ["a", "a"],
            "counted_at": pd.to_datetime([FIRST, FIRST + timedelta(hours=1)]).as_unit("us"),
            "bike_count": [10, 11],
            "quality": [None, "outage"],
            "day": [date(2026, 3, 1)] * 2,
            "half": [5.0, 5.5],
        }
    )
    pd.testing.assert_frame_equal(frame, expected, check_dtype=True)
    assert len(sessions) == (page_rows == 1)
    assert leftovers(warehouse_tables) == []


@pytest.mark.parametrize("method", ["query", "query_large"])
def test_query_without_rows_keeps_its_columns(store, sql, method):
    sql["q"] = QUERY
    frame = getattr(store, method)("q", first=FIRST, last=FIRST)
    assert list(frame.columns) == [
        "counter_id",
        "counted_at",
        "bike_count",
        "quality",
        "day",
        "half",
    ]
    assert len(frame) == 0
    assert str(frame["counted_at"].dtype) == "datetime64[us, UTC]"


def test_execute_gives_the_rows_changed(store, sql):
    rows = counts(("a", 0, 10, None), ("a", 1, 11, None), ("b", 30, 3, None))
    store.merge(schemas.COUNTS, rows, keys=KEYS)
    sql["q"] = "UPDATE {counts} SET quality = 'suspect' WHERE counted_at < @until"
    assert store.execute("q", until=FIRST + timedelta(hours=24)) == 2


def test_load_table_makes_a_table_once_and_queries_take_it(store, warehouse_tables, sql):
    name = f"{schemas.RAW}.frozen_test"
    rows = counts(("a", 0, 10, None), ("a", 1, 11, "outage"))
    assert not store.table_exists(name)
    store.load_table(name, rows, expires_days=2)
    store.load_table(name, rows.slice(0, 1), expires_days=2)
    sql["q"] = QUERY
    window = {"first": FIRST, "last": FIRST + timedelta(days=9)}
    frame = store.query_large("q", tables={"counts": name}, **window)
    assert list(frame["bike_count"]) == [10, 11]
    assert leftovers(warehouse_tables) == []
    warehouse_tables.delete_table(f"{PROJECT}.{name}")
    assert not store.table_exists(name)


def test_read_selects_columns_and_rows(store):
    rows = counts(("a", 0, 10, None), ("a", 1, 11, None), ("b", 30, 3, None))
    store.merge(schemas.COUNTS, rows, keys=KEYS)
    found = store.read(
        schemas.COUNTS,
        columns=["bike_count", "counter_id"],
        where="counted_at < TIMESTAMP '2026-03-02' AND bike_count > 10",
    )
    assert found.to_pylist() == [{"bike_count": 11, "counter_id": "a"}]
    with pytest.raises(WarehouseError, match="must bound its partition field counted_at"):
        store.read(schemas.COUNTS, columns=["bike_count"])


def test_importing_the_light_modules_loads_no_heavy_library():
    import subprocess
    import sys

    code = (
        "import sys, velocast.adapters.gcs, velocast.adapters.pubsub, velocast.adapters.champion_manifest,"
        " velocast.adapters.bigquery.client, velocast.adapters.mlflow_registry, velocast.adapters.workflows,"
        " velocast.usecases.audit;"
        "heavy = ['pandas', 'pyarrow', 'mlflow', 'google.cloud.bigquery', 'google.cloud.storage',"
        " 'google.cloud.pubsub_v1', 'google.cloud.workflows', 'numpy'];"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_schema_loads_and_names_existing_columns():
    folder = Path(schemas.__file__).parents[1] / "schemas"
    assert sorted(p.stem for p in folder.glob("*.json")) == sorted(schemas.TABLES)
    for name in schemas.TABLES:
        table = schemas.table(name)
        assert len(set(table.columns)) == len(table.columns)
        assert {table.partition_field, *table.clustering} - {None} <= set(table.columns)
