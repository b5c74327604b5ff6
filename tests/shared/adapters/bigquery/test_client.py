"""Writes and reads of the warehouse, by the real client against the emulator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from google.cloud import bigquery

from tests.emulators import LOCATION, PROJECT
from velocast.adapters.bigquery import merge as merging
from velocast.adapters.bigquery import sql_templates
from velocast.adapters.bigquery.client import MergeResult, Warehouse
from velocast.adapters.bigquery.sql_templates import Empty
from velocast.core import schemas
from velocast.core.errors import WarehouseError

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
INGESTED = datetime(2026, 3, 5, 2, tzinfo=UTC)
KEYS = ["counter_id", "counted_at"]
UPDATE = ["bike_count", "quality"]


@pytest.fixture
def sql(monkeypatch: pytest.MonkeyPatch):
    """Stand in for files of velocast/sql: name -> text."""
    texts: dict[str, str] = {}
    real = sql_templates.text
    monkeypatch.setattr(
        sql_templates, "text", lambda name: texts[name] if name in texts else real(name)
    )
    return texts


def counts(
    *rows: tuple[str, int, int | None, str | None], ingested: datetime = INGESTED
) -> pa.Table:
    """Rows of (counter_id, hours after FIRST, bike_count, quality)."""
    return pa.table(
        {
            "counter_id": pa.array([r[0] for r in rows], pa.string()),
            "counted_at": [FIRST + timedelta(hours=r[1]) for r in rows],
            "bike_count": pa.array([r[2] for r in rows], pa.int64()),
            "quality": pa.array([r[3] for r in rows], pa.string()),
            "ingested_at": [ingested] * len(rows),
        },
        schema=pa.schema(
            [
                ("counter_id", pa.string()),
                ("counted_at", pa.timestamp("us", "UTC")),
                ("bike_count", pa.int64()),
                ("quality", pa.string()),
                ("ingested_at", pa.timestamp("us", "UTC")),
            ]
        ),
    )


def stored(client: bigquery.Client) -> list[tuple[str, int, int, str | None, datetime]]:
    text = f"SELECT * FROM `{PROJECT}.bike_traffic_raw.counts` ORDER BY counter_id, counted_at"
    return [
        (
            r.counter_id,
            (r.counted_at - FIRST) // timedelta(hours=1),
            r.bike_count,
            r.quality,
            r.ingested_at,
        )
        for r in client.query_and_wait(text)
    ]


def leftovers(client: bigquery.Client) -> list[str]:
    return [
        t.table_id
        for d in (schemas.RAW, schemas.PREDICTIONS, schemas.AUDIT)
        for t in client.list_tables(d)
        if t.table_id.startswith("staging")
    ]


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


QUERY = """
SELECT counter_id, counted_at, bike_count, quality, DATE(counted_at) AS day, bike_count / 2 AS half
FROM {counts}
WHERE counted_at >= @first AND counted_at < @last
ORDER BY counter_id, counted_at
"""


@pytest.mark.parametrize("method", ["query", "query_large"])
def test_query_gives_typed_columns(store, warehouse_tables, sql, method):
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


def test_parameters_have_the_types_of_their_values(store, sql):
    sql["q"] = (
        "SELECT @text AS text, @number + 1 AS number, @share AS share, @yes AS yes, @moment AS moment,"
        " @day AS day, ARRAY_LENGTH(@days) AS days, ARRAY_LENGTH(@ids) AS ids, 'b' IN UNNEST(@names) AS has_b"
    )
    frame = store.query(
        "q",
        text="x",
        number=1,
        share=0.5,
        yes=True,
        moment=FIRST,
        day=date(2026, 3, 1),
        days=[date(2026, 3, 1), date(2026, 3, 2)],
        ids=Empty("STRING"),
        names=("a", "b"),
    )
    assert frame.to_dict("records") == [
        {
            "text": "x",
            "number": 2,
            "share": 0.5,
            "yes": True,
            "moment": pd.Timestamp(FIRST),
            "day": date(2026, 3, 1),
            "days": 2,
            "ids": 0,
            "has_b": True,
        }
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "@p is an empty list.*pass Empty"),
        (None, "@p: NoneType None cannot be a BigQuery parameter"),
        (datetime(2026, 3, 1), "@p: 2026-03-01 00:00:00 has no zone"),
        (object, "cannot be a BigQuery parameter"),
    ],
)
def test_a_parameter_without_a_type_is_refused(value: object, message: str):
    with pytest.raises(WarehouseError, match=message):
        sql_templates.query_parameters({"p": value})


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


def test_errors_name_the_file_and_what_bigquery_said(store, sql):
    sql["q"] = "SELECT no_such_column FROM {counters}"
    with pytest.raises(WarehouseError, match=r"sql/q\.sql: .*no_such_column"):
        store.query("q")
    sql["q"] = "SELECT 1 AS one FROM {elsewhere}"
    with pytest.raises(
        WarehouseError, match=r"sql/q\.sql: unknown table \{elsewhere\}; pass it in"
    ):
        store.query("q")
    with pytest.raises(WarehouseError, match=r"there is no file velocast/sql/absent\.sql"):
        store.query("absent")
    with pytest.raises(WarehouseError, match="'counts' is not a table name"):
        store.table_exists("counts") or sql_templates.quoted(PROJECT, "counts")


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


@pytest.mark.parametrize("step", ["_load", "_merge"])
def test_a_merge_that_broke_off_is_done_by_the_next(store, warehouse_tables, monkeypatch, step):
    rows = counts(("a", 0, 10, None), ("b", 1, 1, None))
    work = getattr(Warehouse, step)

    def break_off(*arguments, **options):
        work(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Warehouse, step, break_off)
        with pytest.raises(KeyboardInterrupt):
            store.merge(schemas.COUNTS, rows, keys=KEYS, update=UPDATE)
    assert leftovers(warehouse_tables) == []
    store.merge(schemas.COUNTS, rows, keys=KEYS, update=UPDATE)
    assert [r[:3] for r in stored(warehouse_tables)] == [("a", 0, 10), ("b", 1, 1)]


def test_staging_tables_expire_when_nobody_is_left_to_drop_them():
    """By the text of the statement: the emulator takes the option and does not keep it."""
    schema = counts().schema
    assert merging.create_sql("`p.d.staging_1`", schema, 24) == (
        "CREATE TABLE IF NOT EXISTS `p.d.staging_1` (counter_id STRING, counted_at TIMESTAMP, bike_count INT64,"
        " quality STRING, ingested_at TIMESTAMP)"
        "\nOPTIONS(expiration_timestamp = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 24 HOUR))"
    )
    assert "OPTIONS" not in merging.create_sql("`p.d.kept`", schema, None)
    with pytest.raises(WarehouseError, match="no equivalent in BigQuery; cast the column first"):
        merging.create_sql("`p.d.t`", pa.schema([("x", pa.timestamp("us"))]), None)


def test_a_warehouse_that_is_not_there_is_told_in_bounded_time(monkeypatch):
    from velocast.adapters.bigquery import client as warehouse

    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr(warehouse, "RETRY_SECONDS", 0.2)
    with pytest.raises(WarehouseError, match=r"look for bike_traffic_raw\.counts: "):
        Warehouse(PROJECT, LOCATION).table_exists(schemas.COUNTS)
