"""Merges into the warehouse, by the real client against the emulator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

from tests.emulators import LOCATION, PROJECT
from tests.shared.adapters.bigquery.stored_counts import (
    FIRST,
    INGESTED,
    KEYS,
    UPDATE,
    counts,
    leftovers,
    stored,
)
from velocast.adapters.bigquery import merge, sql_templates
from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.jobs import Jobs
from velocast.adapters.bigquery.merge import MergeResult
from velocast.core import schemas
from velocast.core.errors import WarehouseError


@pytest.fixture(autouse=True, params=["passed", "staged"])
def way(request, monkeypatch):
    """Few rows are passed with the statement, many through a staging table; what is stored does not depend on it."""
    if request.param == "staged":
        monkeypatch.setattr(sql_templates, "PASSED_ROWS", 0)
    return request.param


def test_only_few_rows_are_passed_with_the_statement(store, monkeypatch, way):
    made, create = [], Jobs.create
    monkeypatch.setattr(
        Jobs, "create", lambda self, *a, **b: made.append(a) or create(self, *a, **b)
    )

    def is_staged(*rows: tuple[str, int, int, str | None]) -> bool:
        del made[:]
        store.merge(schemas.COUNTS, counts(*rows), keys=KEYS)
        return bool(made)

    few = [("a", hour, 1, None) for hour in range(100)]
    assert is_staged(*few) == (way == "staged")
    assert is_staged(*few, ("a", 100, 1, None))
    assert is_staged(("a", 0, 1, "x" * 100_000))


def test_values_are_stored_as_they_are_given(store):
    text = "quotes ' \" ` \\, @rows, {rows}, line\nend, \0, é and 🚲"
    moment = FIRST + timedelta(microseconds=1)
    row = {
        "counter_id": text,
        "counter_name": None,
        "latitude": 0.1 + 0.2,
        "longitude": -1e-300,
        "installed_on": date(1, 1, 1),
        "first_seen_at": moment,
    }
    schema = pa.schema([f for f in schemas.arrow(schemas.COUNTERS) if f.name in row])
    rows = pa.Table.from_pylist([row, dict.fromkeys(row) | {"counter_id": ""}], schema=schema)
    assert store.merge(schemas.COUNTERS, rows, keys=["counter_id"]) == MergeResult(2, 0, 0)
    assert store.merge(schemas.COUNTERS, rows, keys=["counter_id"]) == MergeResult(0, 0, 2)
    found = store.read(schemas.COUNTERS, columns=list(row)).sort_by("counter_id")
    assert found.to_pylist() == rows.sort_by("counter_id").to_pylist()


def test_merge_inserts_updates_and_leaves_the_same(store, warehouse_tables):
    later = INGESTED + timedelta(days=1)
    first = counts(
        ("a", 0, 10, None), ("a", 1, 11, "suspect"), ("b", 0, 5, None), ("b", 1, 0, None)
    )
    then = counts(
        ("a", 0, 10, None),  # the same
        ("a", 1, 11, None),  # quality to null
        ("b", 0, 6, None),  # another value
        ("b", 1, 0, "outage"),  # quality from null
        ("c", 49, 7, None),  # new, on another day
        ingested=later,
    )
    merge = store.merge
    assert merge(schemas.COUNTS, first, keys=KEYS, update=UPDATE) == MergeResult(4, 0, 0)
    assert merge(schemas.COUNTS, then, keys=KEYS, update=UPDATE) == MergeResult(1, 3, 1)
    assert stored(warehouse_tables) == [
        ("a", 0, 10, None, INGESTED),
        ("a", 1, 11, None, later),
        ("b", 0, 6, None, later),
        ("b", 1, 0, "outage", later),
        ("c", 49, 7, None, later),
    ]
    assert leftovers(warehouse_tables) == []


def test_merge_again_changes_nothing(store, warehouse_tables):
    rows = counts(("a", 0, 10, None), ("b", 3, 4, "outage"))
    store.merge(schemas.COUNTS, rows, keys=KEYS, update=UPDATE)
    again = counts(("b", 3, 4, "outage"), ("a", 0, 10, None), ingested=INGESTED + timedelta(days=1))
    result = store.merge(schemas.COUNTS, again, keys=KEYS, update=UPDATE)
    assert result == MergeResult(0, 0, 2)
    assert {row[4] for row in stored(warehouse_tables)} == {INGESTED}


def test_merge_of_no_rows_calls_nothing():
    nothing = Warehouse("no-project", LOCATION).merge(schemas.COUNTS, counts(), keys=KEYS)
    assert nothing == MergeResult(0, 0, 0)


def test_stored_values_are_replaced_only_where_that_is_said(store, warehouse_tables):
    def fetched(bikes: int, quality: str | None) -> MergeResult:
        rows = counts(*((name, n, bikes, quality) for n, name in enumerate("abc")))
        return store.merge(
            schemas.COUNTS,
            rows,
            keys=["counter_id", "counted_at"],
            update=["bike_count", "quality"],
            replaced={"quality": ("incomplete",)},
        )

    assert fetched(3, "incomplete") == MergeResult(3, 0, 0)
    marked = counts(("b", 1, 3, "outage"), ("c", 2, 3, "suspect"))
    store.merge(schemas.COUNTS, marked, keys=["counter_id", "counted_at"])

    assert fetched(4, None) == MergeResult(0, 3, 0)
    assert [row[2:4] for row in stored(warehouse_tables)] == [
        (4, None),
        (4, "outage"),
        (4, "suspect"),
    ]
    assert fetched(4, None) == MergeResult(0, 0, 3)
    assert fetched(4, "incomplete") == MergeResult(0, 1, 2)


def test_insert_only_columns_stay(store, warehouse_tables):
    def counter(name: str, seen: int) -> pa.Table:
        return pa.table(
            {
                "counter_id": ["a"],
                "counter_name": [name],
                "latitude": [48.8],
                "longitude": [2.3],
                "installed_on": [date(2020, 1, 2)],
                "first_seen_at": [FIRST + timedelta(days=seen)],
                "last_seen_at": [FIRST + timedelta(days=seen)],
            }
        )

    def merge(rows: pa.Table) -> MergeResult:
        return store.merge(
            schemas.COUNTERS, rows, keys=["counter_id"], insert_only=["first_seen_at"]
        )

    assert merge(counter("Old", 0)) == MergeResult(1, 0, 0)
    assert merge(counter("New", 3)) == MergeResult(0, 1, 0)
    found = store.read(
        schemas.COUNTERS, columns=["counter_name", "installed_on", "first_seen_at", "last_seen_at"]
    ).to_pylist()
    assert found == [
        {
            "counter_name": "New",
            "installed_on": date(2020, 1, 2),
            "first_seen_at": FIRST,
            "last_seen_at": FIRST + timedelta(days=3),
        }
    ]


@pytest.mark.parametrize(
    ("rows", "keys", "message"),
    [
        (counts(("a", 0, 1, None), ("a", 0, 2, None)), KEYS, "1 of 2 repeat a key, first .*'a'"),
        (counts(("a", 0, None, None)), KEYS, "bike_count is required, but null in 1 of 1 rows"),
        (counts(("a", 0, 1, None)), ["hour"], r"the rows have no column \['hour'\]"),
        (
            counts(("a", 0, 1, None)).drop_columns("bike_count"),
            KEYS,
            "'bike_count'.*required and missing",
        ),
        (
            counts(("a", 0, 1, None)).append_column("x", pa.array([1])),
            KEYS,
            r"it has no column \['x'\]",
        ),
        (
            counts(("a", 0, 1, None)).set_column(2, "bike_count", pa.array(["many"])),
            KEYS,
            "bike_count \\(INTEGER\\) cannot hold the values",
        ),
    ],
)
def test_bad_rows_are_refused_before_any_call(rows: pa.Table, keys: list[str], message: str):
    with pytest.raises(WarehouseError, match=message):
        Warehouse("no-project", LOCATION).merge(schemas.COUNTS, rows, keys=keys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keys": []}, "no key columns given"),
        ({"keys": ["quality"], "update": []}, "key quality is null in 1 rows"),
        (
            {"keys": KEYS, "update": ["counter_id"]},
            r"\['counter_id'\] cannot be updated, because it is in keys",
        ),
    ],
)
def test_keys_and_updates_that_make_no_sense_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(WarehouseError, match=message):
        Warehouse("no-project", LOCATION).merge(
            schemas.COUNTS, counts(("a", 0, 1, None)), **options
        )


def test_concurrent_merges_store_each_row_once(store, warehouse_tables):
    rows = counts(*[("a", h, h, None) for h in range(50)])

    def merge(_: int) -> MergeResult:
        return store.merge(schemas.COUNTS, rows, keys=KEYS, update=UPDATE)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(merge, range(4)))
    assert len(stored(warehouse_tables)) == 50
    assert all(r.inserted + r.updated + r.unchanged == 50 for r in results)
    assert sum(r.inserted + r.updated for r in results) == 50


def test_json_is_stored_compared_and_refused(store, warehouse_tables):
    def reject(text: str, reason: str = "bad") -> pa.Table:
        return pa.table(
            {
                "reject_id": ["r1"],
                "reason": [reason],
                "record": [text],
                "source": ["city"],
                "ingested_at": [INGESTED],
            }
        )

    merge = store.merge
    names = schemas.table(schemas.REJECTS).columns
    assert set(names) == {"reject_id", "reason", "record", "source", "ingested_at"}
    first = reject('{"a": [1, 2.5], "é": null}')
    assert merge(schemas.REJECTS, first, keys=["reject_id"]) == MergeResult(1, 0, 0)
    spaced = reject('{"a":[1,2.5],   "é":null}')
    assert merge(schemas.REJECTS, spaced, keys=["reject_id"]) == MergeResult(0, 0, 1)
    other = reject('{"a": [1, 2.6]}')
    assert merge(schemas.REJECTS, other, keys=["reject_id"]) == MergeResult(0, 1, 0)
    text = f"SELECT TO_JSON_STRING(record) AS j FROM `{PROJECT}.{schemas.REJECTS}`"
    assert [r.j.replace(" ", "") for r in warehouse_tables.query_and_wait(text)] == [
        '{"a":[1,2.6]}'
    ]
    with pytest.raises(WarehouseError, match=r"record \(JSON\) cannot hold the values"):
        merge(schemas.REJECTS, reject("{not json"), keys=["reject_id"])


def test_append_once_inserts_what_is_new_and_changes_nothing(store, warehouse_tables):
    def weather(*temperatures: float) -> pa.Table:
        return pa.table(
            {
                "reject_id": [f"r{i}" for i in range(len(temperatures))],
                "reason": ["bad"] * len(temperatures),
                "record": [str(t) for t in temperatures],
                "source": ["city"] * len(temperatures),
                "ingested_at": [INGESTED] * len(temperatures),
            }
        )

    append = store.append_once
    assert append(schemas.REJECTS, weather(1.5, 2.5), "reject_id") == 2
    assert append(schemas.REJECTS, weather(9.5, 9.5, 3.5), "reject_id") == 1
    text = (
        f"SELECT TO_JSON_STRING(record) AS j FROM `{PROJECT}.{schemas.REJECTS}` ORDER BY reject_id"
    )
    assert [r.j for r in warehouse_tables.query_and_wait(text)] == ["1.5", "2.5", "3.5"]


def test_numbers_wider_than_a_float_and_missing_json_are_stored(store, warehouse_tables):
    rows = pa.table(
        {
            "reject_id": ["r1", "r2"],
            "reason": ["bad", "bad"],
            "record": ['{"id": 922337203685477580701, "x": 0.1}', None],
            "source": ["city", "city"],
            "ingested_at": [INGESTED, INGESTED],
        }
    )
    merge = store.merge
    assert merge(schemas.REJECTS, rows, keys=["reject_id"]) == MergeResult(2, 0, 0)
    assert merge(schemas.REJECTS, rows, keys=["reject_id"]) == MergeResult(0, 0, 2)
    text = f"SELECT record IS NULL AS absent FROM `{PROJECT}.{schemas.REJECTS}` ORDER BY reject_id"
    assert [r.absent for r in warehouse_tables.query_and_wait(text)] == [False, True]


def test_nan_is_stored_as_null_and_times_without_zone_are_refused(store):
    values = {
        "valid_at": [FIRST],
        "issued_at": [FIRST],
        "temperature_c": [float("nan")],
        "source": ["forecast"],
    }
    keys = ["valid_at", "issued_at"]
    merge = store.merge
    assert merge(schemas.WEATHER, pa.table(values), keys=keys) == MergeResult(1, 0, 0)
    assert merge(schemas.WEATHER, pa.table(values), keys=keys) == MergeResult(0, 0, 1)
    found = store.read(
        schemas.WEATHER, columns=["temperature_c"], where="valid_at >= TIMESTAMP '2026-01-01'"
    )
    assert found.to_pylist() == [{"temperature_c": None}]
    naive = {**values, "valid_at": [FIRST.replace(tzinfo=None)]}
    with pytest.raises(WarehouseError, match="times of valid_at have no time zone"):
        merge(schemas.WEATHER, pa.table(naive), keys=keys)


@pytest.mark.parametrize(("owner", "step"), [(Jobs, "create"), (Jobs, "append"), (merge, "_write")])
def test_a_merge_that_broke_off_is_done_by_the_next(
    store, warehouse_tables, monkeypatch, owner, step
):
    monkeypatch.setattr(sql_templates, "PASSED_ROWS", 0)
    rows = counts(("a", 0, 10, None), ("b", 1, 1, None))
    work = getattr(owner, step)

    def break_off(*arguments, **options):
        work(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, break_off)
        with pytest.raises(KeyboardInterrupt):
            store.merge(schemas.COUNTS, rows, keys=KEYS, update=UPDATE)
    assert leftovers(warehouse_tables) == []
    store.merge(schemas.COUNTS, rows, keys=KEYS, update=UPDATE)
    assert [r[:3] for r in stored(warehouse_tables)] == [("a", 0, 10), ("b", 1, 1)]
