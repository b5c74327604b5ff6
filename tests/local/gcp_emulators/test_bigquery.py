"""The local BigQuery, through Google's own client: that the cures hold, and that the SQL in use works."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import grpc
import httpx
import pandas as pd
import psutil
import pyarrow as pa
import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
    BigQueryReadGrpcTransport,
)
from google.cloud.bigquery_storage_v1.types import DataFormat, ReadSession

from gcp_emulators.bigquery.emulator import BigQueryEmulator, create_tables
from gcp_emulators.bigquery.results import RecentResults
from tests.emulators import Ports, Warehouse, running_warehouse
from velocast.core import schemas

pytestmark = pytest.mark.emulator

MESSAGE_ROWS = 4096
COUNTS = "bike_traffic_raw.counts"
NIGHT = datetime(2025, 10, 25, 22, tzinfo=UTC)
ZONE = bigquery.ScalarQueryParameter("zone", "STRING", "Europe/Paris")


def rows(client: bigquery.Client, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    config = bigquery.QueryJobConfig(query_parameters=list(parameters))
    return [row.values() for row in client.query_and_wait(sql, job_config=config)]


def counts(*counted: int, start: datetime = NIGHT) -> pd.DataFrame:
    hours = pd.date_range(start, periods=len(counted), freq="h")
    frame = pd.DataFrame({"bike_count": list(counted), "ingested_at": hours, "counted_at": hours})
    return frame.assign(counter_id="c1")


def load(client: bigquery.Client, frame: pd.DataFrame, disposition: str = "WRITE_APPEND") -> None:
    parquet = io.BytesIO(frame.to_parquet(index=False, coerce_timestamps="us"))
    config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition=disposition)
    job = client.load_table_from_file(
        parquet, COUNTS, size=parquet.getbuffer().nbytes, job_config=config
    )
    job.result(timeout=30)


def test_tables_are_those_of_the_schema_files(
    warehouse: Warehouse, warehouse_tables: bigquery.Client
) -> None:
    table = warehouse_tables.get_table(COUNTS)
    assert [field.name for field in table.schema][:3] == ["counter_id", "counted_at", "bike_count"]
    assert table.time_partitioning.field == "counted_at"
    assert table.clustering_fields == ["counter_id"]
    assert create_tables(warehouse_tables, schemas.documents()) == warehouse.tables
    assert set(warehouse.tables) == set(schemas.TABLES)


def test_an_altered_table_tells_its_columns(warehouse_tables: bigquery.Client) -> None:
    def told() -> dict[str, tuple[str, str | None]]:
        table = warehouse_tables.get_table(COUNTS)
        return {field.name: (field.mode, field.description) for field in table.schema}

    before = told()
    warehouse_tables.query_and_wait(f"ALTER TABLE {COUNTS} ADD COLUMN IF NOT EXISTS seen BOOL")
    assert told() == before | {"seen": ("NULLABLE", None)}
    load(warehouse_tables, counts(5))
    assert rows(warehouse_tables, f"SELECT bike_count, seen FROM {COUNTS}") == [(5, None)]
    warehouse_tables.query_and_wait(f"ALTER TABLE {COUNTS} DROP COLUMN seen")
    assert told() == before


def test_a_table_of_an_earlier_version_gains_columns_in_place(
    warehouse_tables: bigquery.Client,
) -> None:
    field = {"name": "id", "type": "STRING", "mode": "REQUIRED", "description": "Its id."}
    added = {"name": "note", "type": "STRING", "mode": "NULLABLE", "description": "A note."}
    name, table = "bike_traffic_raw.growing", {"description": "Grows.", "fields": [field]}
    create_tables(warehouse_tables, {name: table})
    warehouse_tables.query_and_wait(f"INSERT INTO {name} (id) VALUES ('old')")
    for _ in range(2):
        create_tables(warehouse_tables, {name: table | {"fields": [field, added]}})
    warehouse_tables.query_and_wait(f"INSERT INTO {name} (id, note) VALUES ('new', 'x')")
    found = rows(warehouse_tables, f"SELECT id, note FROM {name} ORDER BY id")
    assert found == [("new", "x"), ("old", None)]


def test_the_same_text_is_run_anew_on_changed_tables(warehouse_tables: bigquery.Client) -> None:
    table = "bike_traffic_raw.changing"
    for columns, values in (("1 AS a", (1,)), ("2 AS a", (2,)), ("3 AS b, 'x' AS a", (3, "x"))):
        warehouse_tables.query_and_wait(f"CREATE OR REPLACE TABLE {table} AS SELECT {columns}")
        assert rows(warehouse_tables, f"SELECT * FROM {table}") == [values]
    warehouse_tables.query_and_wait(f"DROP TABLE {table}")
    with pytest.raises(NotFound):
        rows(warehouse_tables, f"SELECT * FROM {table}")


def test_texts_that_differ_in_their_staging_tables_run_on_their_own(
    warehouse_tables: bigquery.Client,
) -> None:
    names = [f"bike_traffic_raw.staging_{digit * 32}" for digit in "abc"]
    for number, name in enumerate(names):
        warehouse_tables.query_and_wait(f"CREATE OR REPLACE TABLE {name} AS SELECT {number} AS n")
        assert [field.name for field in warehouse_tables.get_table(name).schema] == ["n"]
    joined = "SELECT a.n, b.n AS m FROM {} AS a CROSS JOIN {} AS b"
    for first, second in ((0, 1), (1, 0), (2, 1)):
        found = rows(warehouse_tables, joined.format(names[first], names[second]))
        assert found == [(first, second)]
    for name in names:
        warehouse_tables.query_and_wait(f"INSERT INTO {name} (n) VALUES (7)")
        assert rows(warehouse_tables, f"SELECT COUNT(*) FROM {name}") == [(2,)]
        warehouse_tables.query_and_wait(f"DROP TABLE {name}")
        with pytest.raises(NotFound):
            warehouse_tables.get_table(name)


def test_times_are_formatted_as_python_does(warehouse_tables: bigquery.Client) -> None:
    sql = "SELECT FORMAT_TIMESTAMP('{}', TIMESTAMP '{}', @zone) AS text"
    moments = pd.date_range(NIGHT, periods=5, freq="40min")
    for form in ("%H", "%Y-%m-%dT%H:%M:%S", "%H%Ez"):
        for moment in moments:
            found = rows(warehouse_tables, sql.format(form, moment.isoformat()), ZONE)
            local = moment.tz_convert("Europe/Paris").strftime(form.replace("%Ez", "%z"))
            expected = f"{local[:-2]}:{local[-2:]}" if "%Ez" in form else local
            assert found == [(expected,)]


def test_parquet_is_loaded_by_name(warehouse_tables: bigquery.Client) -> None:
    load(warehouse_tables, counts(5, 6))
    found = rows(
        warehouse_tables, f"SELECT counter_id, counted_at, bike_count, quality FROM {COUNTS}"
    )
    assert sorted(found) == [("c1", NIGHT, 5, None), ("c1", NIGHT.replace(hour=23), 6, None)]


@pytest.mark.filterwarnings("ignore:Loading :PendingDeprecationWarning")
@pytest.mark.filterwarnings("ignore:Loading :FutureWarning")
def test_a_frame_is_loaded_by_name(warehouse_tables: bigquery.Client) -> None:
    warehouse_tables.load_table_from_dataframe(counts(5), COUNTS).result(timeout=30)
    assert rows(warehouse_tables, f"SELECT counter_id, bike_count FROM {COUNTS}") == [("c1", 5)]


def test_json_is_loaded_by_name(warehouse_tables: bigquery.Client) -> None:
    record = {"ingested_at": "2025-03-10T04:00:00Z", "reason": "no hour", "record": {"a": 1}}
    warehouse_tables.load_table_from_json(
        [record | {"source": "test"}],
        "bike_traffic_raw.rejects",
        job_config=bigquery.LoadJobConfig(write_disposition="WRITE_APPEND"),
    ).result(timeout=30)
    sql = "SELECT reason, JSON_VALUE(record, '$.a') AS a FROM bike_traffic_raw.rejects"
    assert rows(warehouse_tables, sql) == [("no hour", "1")]


def test_a_truncating_load_replaces_all_rows_or_none(warehouse_tables: bigquery.Client) -> None:
    load(warehouse_tables, counts(1, 2, 3))
    with pytest.raises(BadRequest):
        load(warehouse_tables, counts(4).assign(bike_count="many"), "WRITE_TRUNCATE")
    assert rows(warehouse_tables, f"SELECT SUM(bike_count) AS s FROM {COUNTS}") == [(6,)]
    load(warehouse_tables, counts(4), "WRITE_TRUNCATE")
    assert rows(warehouse_tables, f"SELECT SUM(bike_count) AS s FROM {COUNTS}") == [(4,)]


@pytest.mark.parametrize("through_a_job", [False, True])
def test_a_query_that_fails_is_refused_at_once(
    warehouse_tables: bigquery.Client, through_a_job: bool
) -> None:
    def ask(sql: str) -> Any:
        if through_a_job:
            return warehouse_tables.query(sql).result()
        return warehouse_tables.query_and_wait(sql)

    began = time.monotonic()
    with pytest.raises(BadRequest, match="nothing"):
        ask(f"SELECT nothing FROM {COUNTS}")
    with pytest.raises(NotFound, match="nowhere"):
        ask("SELECT * FROM bike_traffic_raw.nowhere")
    assert time.monotonic() - began < 5


def test_a_row_of_the_wrong_type_is_refused_at_once(warehouse_tables: bigquery.Client) -> None:
    began = time.monotonic()
    with pytest.raises(BadRequest):
        warehouse_tables.insert_rows_json(COUNTS, [{"counter_id": "c1", "counted_at": "never"}])
    assert time.monotonic() - began < 5


def test_a_merge_counts_what_it_changed(warehouse_tables: bigquery.Client) -> None:
    load(warehouse_tables, counts(5, 6))
    sql = f"""
        MERGE {COUNTS} AS held
        USING (
          SELECT 'c1' AS counter_id, counted_at, 9 AS bike_count
          FROM UNNEST(@hours) AS counted_at
        ) AS news
        ON held.counter_id = news.counter_id AND held.counted_at = news.counted_at
        WHEN MATCHED AND held.bike_count != news.bike_count THEN UPDATE SET bike_count = news.bike_count
        WHEN NOT MATCHED THEN INSERT (counter_id, counted_at, bike_count, ingested_at)
          VALUES (news.counter_id, news.counted_at, news.bike_count, news.counted_at)
    """
    hours = [NIGHT, datetime(2025, 10, 26, tzinfo=UTC)]
    parameter = bigquery.ArrayQueryParameter("hours", "TIMESTAMP", hours)
    job = warehouse_tables.query(sql, bigquery.QueryJobConfig(query_parameters=[parameter]))
    job.result()
    assert job.num_dml_affected_rows == 2
    found = rows(warehouse_tables, f"SELECT bike_count FROM {COUNTS} ORDER BY counted_at")
    assert found == [(9,), (6,), (9,)]


def test_local_time_is_right_on_the_day_of_25_hours(warehouse_tables: bigquery.Client) -> None:
    """22:00Z is midnight in Paris; the hours from 00:00Z and 01:00Z are both 2 o'clock."""
    load(warehouse_tables, counts(*range(26)))
    sql = f"""
        SELECT
          EXTRACT(HOUR FROM counted_at AT TIME ZONE @zone) AS local_hour,
          DATE(counted_at, @zone) AS local_date,
          EXTRACT(DAYOFWEEK FROM counted_at AT TIME ZONE @zone) AS weekday,
          TIMESTAMP_TRUNC(counted_at, DAY, @zone) AS began,
          TIMESTAMP(DATE(counted_at, @zone), @zone) AS midnight
        FROM {COUNTS} ORDER BY counted_at
    """
    found = rows(warehouse_tables, sql, ZONE)
    sunday = date(2025, 10, 26)
    assert [r[0] for r in found] == [0, 1, 2, 2, *range(3, 24), 0]
    assert [r[1] for r in found] == [sunday] * 25 + [date(2025, 10, 27)]
    assert {r[2] for r in found[:25]} == {1}
    assert {r[3] for r in found[:25]} == {r[4] for r in found[:25]} == {NIGHT}


TS = "TIMESTAMP '2025-10-26 00:00:00+00'"
SQL = {
    "difference": (f"MAX(TIMESTAMP_DIFF(TIMESTAMP_ADD({TS}, INTERVAL 168 HOUR), {TS}, HOUR))", 168),
    # approximate indeed: BigQuery gives 2, the emulator may be one value off; PERCENTILE_CONT is exact
    "quantiles": ("APPROX_QUANTILES(x, 4)[OFFSET(2)]", pytest.approx(2, abs=1)),
    "countif": ("COUNTIF(x > 2)", 2),
    "safe divide": ("SAFE_DIVIDE(SUM(x), 0)", None),
    "array": ("ARRAY_AGG(x ORDER BY x DESC LIMIT 2)", [4, 3]),
    "deviation": ("STDDEV_SAMP(x)", pytest.approx(1.5811388)),
}


@pytest.mark.parametrize(("expression", "expected"), SQL.values(), ids=SQL)
def test_functions_in_use(
    warehouse_tables: bigquery.Client, expression: str, expected: object
) -> None:
    sql = f"SELECT {expression} AS answer FROM UNNEST(GENERATE_ARRAY(0, 4)) AS x"
    assert rows(warehouse_tables, sql) == [(expected,)]


def test_a_parameter_is_bound_in_code_and_nowhere_else(warehouse_tables: bigquery.Client) -> None:
    sql = """
        -- @n, and what it's not
        SELECT 'it\\'s @n' AS text, @n AS n /* @n */, "@n" AS quoted
    """
    number = bigquery.ScalarQueryParameter("n", "INT64", 3)
    assert rows(warehouse_tables, sql, number) == [("it's @n", 3, "@n")]


def test_rows_are_passed_with_their_types(warehouse_tables: bigquery.Client) -> None:
    """A field that is null in all of them has its own type too, as BigQuery takes it from the request."""
    kinds = {"text": "STRING", "at": "TIMESTAMP", "day": "DATE", "n": "INT64", "yes": "BOOL"}
    nothing = [bigquery.ScalarQueryParameter(name, kind, None) for name, kind in kinds.items()]
    given = [bigquery.StructQueryParameter(None, *nothing)] * 2
    sql = f"SELECT {', '.join(f'given.{name}' for name in kinds)} FROM UNNEST(@given) AS given"
    config = bigquery.QueryJobConfig(
        query_parameters=[bigquery.ArrayQueryParameter("given", "STRUCT", given)]
    )
    found = warehouse_tables.query_and_wait(sql, job_config=config)
    names = {"INTEGER": "INT64", "BOOLEAN": "BOOL"}
    told = {field.name: names.get(field.field_type, field.field_type) for field in found.schema}
    assert told == kinds
    assert [row.values() for row in found] == [(None,) * 5] * 2


def test_window_over_a_range_of_hours(warehouse_tables: bigquery.Client) -> None:
    """A gap in the hours is a gap in the window, not a row further back."""
    load(warehouse_tables, counts(10, 20))
    load(warehouse_tables, counts(40, start=datetime(2025, 10, 26, 2, tzinfo=UTC)))
    sql = f"""
        SELECT
          AVG(bike_count) OVER recent AS mean,
          PERCENTILE_CONT(bike_count, 0.5) OVER (PARTITION BY counter_id) AS median
        FROM {COUNTS}
        WHERE counted_at >= @since AND counter_id IN UNNEST(@counters)
        QUALIFY ROW_NUMBER() OVER (PARTITION BY counted_at ORDER BY ingested_at DESC) = 1
        WINDOW recent AS (
          PARTITION BY counter_id ORDER BY UNIX_SECONDS(counted_at)
          RANGE BETWEEN 7200 PRECEDING AND 3600 PRECEDING)
        ORDER BY counted_at
    """
    since = bigquery.ScalarQueryParameter("since", "TIMESTAMP", NIGHT)
    counters = bigquery.ArrayQueryParameter("counters", "STRING", ["c1"])
    found = rows(warehouse_tables, sql, since, counters)
    assert found == [(None, 20.0), (10.0, 20.0), (None, 20.0)]


def test_hours_without_a_count_come_from_a_generated_array(
    warehouse_tables: bigquery.Client,
) -> None:
    load(warehouse_tables, counts(10))
    sql = f"""
        SELECT hour, held.bike_count
        FROM UNNEST(GENERATE_TIMESTAMP_ARRAY(@first, @last, INTERVAL 1 HOUR)) AS hour
        LEFT JOIN {COUNTS} AS held ON held.counted_at = hour
        ORDER BY hour
    """
    first = bigquery.ScalarQueryParameter("first", "TIMESTAMP", NIGHT)
    last = bigquery.ScalarQueryParameter("last", "TIMESTAMP", NIGHT.replace(hour=23))
    found = rows(warehouse_tables, sql, first, last)
    assert found == [(NIGHT, 10), (NIGHT.replace(hour=23), None)]


@pytest.mark.filterwarnings("ignore:Retrieving Arrow:PendingDeprecationWarning")
def test_the_storage_read_api_gives_arrow(
    warehouse: Warehouse, warehouse_tables: bigquery.Client
) -> None:
    load(warehouse_tables, counts(*range(100)))
    with grpc.insecure_channel(warehouse.emulator.storage_host) as channel:
        transport = BigQueryReadGrpcTransport(channel=channel)
        reader = BigQueryReadClient(transport=transport)  # type: ignore[no-untyped-call]
        found = warehouse_tables.list_rows(warehouse_tables.get_table(COUNTS)).to_arrow(
            bqstorage_client=reader
        )
    assert found.num_rows == 100
    assert sum(found.column("bike_count").to_pylist()) == 4950


@pytest.mark.filterwarnings("ignore:Retrieving Arrow:PendingDeprecationWarning")
def test_the_result_of_a_query_is_read_in_its_order_through_the_storage_read_api(
    warehouse: Warehouse, warehouse_tables: bigquery.Client
) -> None:
    """Google's client reads the anonymous table of any result that has more than a page."""
    sql = "SELECT n, CAST(n AS STRING) AS text FROM UNNEST(GENERATE_ARRAY(1, 5000)) AS n ORDER BY n DESC"
    with grpc.insecure_channel(warehouse.emulator.storage_host) as channel:
        transport = BigQueryReadGrpcTransport(channel=channel)
        reader = BigQueryReadClient(transport=transport)  # type: ignore[no-untyped-call]
        found = warehouse_tables.query_and_wait(sql, page_size=10)
        whole = found.to_arrow(bqstorage_client=reader)
        assert found.job_id
        held = warehouse_tables.get_job(found.job_id).destination
        folder = f"projects/{held.project}/datasets/{held.dataset_id}/tables"
        options = ReadSession.TableReadOptions(
            selected_fields=["text"], row_restriction="n > 4990 AND text != '5000'"
        )
        part = ReadSession(
            table=f"{folder}/{held.table_id}", data_format=DataFormat.ARROW, read_options=options
        )
        session = reader.create_read_session(parent=f"projects/{held.project}", read_session=part)
        some = reader.read_rows(session.streams[0].name).to_arrow(session)  # type: ignore[no-untyped-call]
        unknown = ReadSession(table=f"{folder}/anon1", data_format=DataFormat.ARROW)
        with pytest.raises(NotFound):
            reader.create_read_session(parent=f"projects/{held.project}", read_session=unknown)
    assert whole["n"].to_pylist() == list(range(5000, 0, -1))
    assert some.to_pydict() == {"text": [str(n) for n in range(4999, 4990, -1)]}


def test_a_stream_is_read_in_messages_of_limited_size_and_resumed(
    warehouse: Warehouse, warehouse_tables: bigquery.Client
) -> None:
    load(warehouse_tables, counts(*range(5000)))
    with grpc.insecure_channel(warehouse.emulator.storage_host) as channel:
        transport = BigQueryReadGrpcTransport(channel=channel)
        reader = BigQueryReadClient(transport=transport)  # type: ignore[no-untyped-call]
        dataset, table = COUNTS.split(".")
        project = warehouse_tables.project
        name = f"projects/{project}/datasets/{dataset}/tables/{table}"
        session = reader.create_read_session(
            parent=f"projects/{project}",
            read_session=ReadSession(table=name, data_format=DataFormat.ARROW),
            max_stream_count=1,
        )
        stream = session.streams[0].name
        whole, rest = (
            [part.row_count for part in reader.read_rows(stream, offset=offset)]  # type: ignore[no-untyped-call]
            for offset in (0, 4500)
        )
    assert sum(whole) == 5000
    assert max(whole) <= MESSAGE_ROWS
    assert sum(rest) == 500


def test_tables_are_there_after_a_restart(tmp_path: Path) -> None:
    with running_warehouse(tmp_path, Ports.free(), in_memory=False) as kept:
        load(kept.client, counts(7))
        kept.emulator.stop()
        kept.emulator.start()
        assert rows(kept.client, f"SELECT bike_count FROM {COUNTS}") == [(7,)]


def test_a_start_that_fails_says_where_to_look(tmp_path: Path) -> None:
    without_project = BigQueryEmulator(tmp_path, "--none")
    with pytest.raises(RuntimeError, match=r"ended with exit code 2; see .*bigquery\.log"):
        without_project.start(wait=30)
    assert "--project" in (tmp_path / "bigquery.log").read_text()


def test_the_emulator_ends_with_its_parent(tmp_path: Path) -> None:
    """A killed test run or stack must not leave a process of 300 MB behind."""
    script = (
        "import os, pathlib, sys\n"
        "from gcp_emulators.bigquery.emulator import BigQueryEmulator\n"
        "emulator = BigQueryEmulator(pathlib.Path(sys.argv[1]), 'velocast-local')\n"
        "print(emulator.start(wait=None).pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    deadline = time.monotonic() + 60
    while psutil.pid_exists(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not psutil.pid_exists(int(done.stdout))


def test_bq_finds_the_description_of_the_api(bigquery_emulator: str) -> None:
    answer = httpx.get(f"{bigquery_emulator}/$discovery/rest", params={"version": "v2"})
    if answer.status_code == 404:
        pytest.skip("the Google Cloud SDK, which ships the description, is not installed")
    assert answer.json()["id"] == "bigquery:v2"


def test_old_results_are_forgotten() -> None:
    table = pa.table({"x": pa.array(range(10), pa.int64())})
    results = RecentResults(most_bytes=200, most_results=3, least=1)
    for job in "abcde":
        results[job] = table
    assert list(results) == ["d", "e"]
    for job in "fghi":
        results[job] = table.slice(0, 0)
    assert list(results) == ["g", "h", "i"]
    results["huge"] = pa.concat_tables([table] * 5)
    assert list(results) == ["huge"]
    results = RecentResults(most_bytes=200, most_results=3, least=2)
    results["first"] = results["second"] = results["third"] = pa.concat_tables([table] * 5)
    assert list(results) == ["second", "third"]


def test_read_sessions_are_forgotten_too(
    warehouse: Warehouse, warehouse_tables: bigquery.Client
) -> None:
    """Ten of 8 MB are opened, of which 64 MB are kept."""
    client, table = warehouse_tables, "bike_traffic_raw.large"
    rows = "SELECT REPEAT('x', 100000) AS text FROM UNNEST(GENERATE_ARRAY(1, 80))"
    client.query_and_wait(f"CREATE OR REPLACE TABLE {table} AS {rows}")
    name = f"projects/{client.project}/datasets/bike_traffic_raw/tables/large"
    any_size = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(warehouse.emulator.storage_host, any_size) as channel:
        transport = BigQueryReadGrpcTransport(channel=channel)
        reader = BigQueryReadClient(transport=transport)  # type: ignore[no-untyped-call]
        asked = ReadSession(table=name, data_format=DataFormat.ARROW)
        parent = f"projects/{client.project}"
        streams = [
            reader.create_read_session(parent=parent, read_session=asked).streams[0].name
            for _ in range(10)
        ]
        with pytest.raises(NotFound):
            list(reader.read_rows(streams[0]))  # type: ignore[no-untyped-call]
        for stream in (streams[-7], streams[-1]):
            parts = reader.read_rows(stream)  # type: ignore[no-untyped-call]
            assert sum(part.row_count for part in parts) == 80
    client.delete_table(table)
