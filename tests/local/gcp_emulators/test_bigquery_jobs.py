"""Jobs of the local BigQuery, through Google's own client: they outlast their requests, queue, fail, are cancelled."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from google.api_core.exceptions import Conflict, GoogleAPICallError, NotFound
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from tests.emulators import Ports, running_warehouse

pytestmark = pytest.mark.emulator

DATASET = "bike_traffic_raw"
TABLE = f"{DATASET}.written"
PROMPTLY = 8.0  # seconds; a request is answered within one, unless the machine is busy


# Counts pairs one by one, and keeps a core busy.
ENDLESS = (
    "SELECT COUNTIF(MOD(a * b, 3) = 1) AS n FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a "
    "CROSS JOIN UNNEST(GENERATE_ARRAY(1, 1000000)) AS b"
)
# Runs for an hour without keeping a core busy: DuckDB's function, for tests of what goes on beside a job.
SLEEPING = "SELECT COUNT(pg_sleep(s)) AS n FROM UNNEST([3600]) AS s"


@pytest.fixture
def client(warehouse_tables: bigquery.Client) -> Iterator[bigquery.Client]:
    """Yield a client of an emulator with the table TABLE (n INT64), and cancel the jobs that are left."""
    warehouse_tables.query_and_wait(f"CREATE OR REPLACE TABLE {TABLE} (n INT64)")
    yield warehouse_tables
    for state in ("running", "pending"):
        for job in warehouse_tables.list_jobs(state_filter=state):
            with suppress(GoogleAPICallError):
                warehouse_tables.cancel_job(job.job_id)


@pytest.fixture
def busy(client: bigquery.Client) -> bigquery.QueryJob:
    """Return a job that writes for an hour, so that other writing jobs queue behind it."""
    job = client.query(f"CREATE OR REPLACE TABLE {DATASET}.never AS {SLEEPING}")
    assert job.state == "RUNNING"
    return job


def written(client: bigquery.Client) -> list[int]:
    return sorted(row.n for row in client.query_and_wait(f"SELECT n FROM {TABLE}"))


def test_a_query_goes_on_after_its_request_was_answered(client: bigquery.Client) -> None:
    slow = "SELECT SUM(s) AS n, COUNT(pg_sleep(s)) AS pause FROM UNNEST([1, 2]) AS s"  # 3 s
    job = client.query(slow, timeout=3, job_retry=None)
    assert job.state == "RUNNING"
    assert client.get_job(job.job_id).state == "RUNNING"
    assert [row.n for row in job.result(timeout=300)] == [3]
    assert (job.state, job.error_result) == ("DONE", None)
    assert job.created <= job.started < job.ended


def test_all_else_is_answered_while_a_job_runs(
    client: bigquery.Client,
) -> None:
    busy = client.query(f"CREATE OR REPLACE TABLE {DATASET}.never AS {ENDLESS}")
    began = time.monotonic()
    assert [row.n for row in client.query_and_wait("SELECT 5 AS n")] == [5]
    assert client.get_table(TABLE).num_rows == 0
    assert client.insert_rows_json(TABLE, [{"n": 3}]) == []
    assert written(client) == [3]
    client.delete_table(TABLE)
    assert time.monotonic() - began < PROMPTLY
    assert client.get_job(busy.job_id).state == "RUNNING"


def test_a_client_waits_as_long_as_it_says(client: bigquery.Client) -> None:
    job = client.query(SLEEPING)
    began = time.monotonic()
    assert not client._get_query_results(job.job_id, DEFAULT_RETRY, timeout_ms=1500).complete
    assert 1.4 < time.monotonic() - began < PROMPTLY
    with pytest.raises(FutureTimeout):
        job.result(timeout=0.5)
    assert client.get_job(job.job_id).state == "RUNNING"


def test_jobs_query_answers_after_its_timeout_and_its_results_come_later(
    client: bigquery.Client, bigquery_emulator: str, busy: bigquery.QueryJob
) -> None:
    queries = f"{bigquery_emulator}/bigquery/v2/projects/{client.project}/queries"
    asked = {"query": f"INSERT INTO {TABLE} (n) VALUES (1)", "useLegacySql": False}
    asked |= {"timeoutMs": 300, "requestId": "again"}
    first, again = (httpx.post(queries, json=asked).json() for _ in range(2))
    assert first == again  # a client that lost the answer does not insert twice
    assert (first["jobComplete"], "rows" in first) == (False, False)
    client.cancel_job(busy.job_id)
    later = f"{queries}/{first['jobReference']['jobId']}"
    assert httpx.get(later, params={"timeoutMs": 60_000}, timeout=90).json()["jobComplete"]
    assert written(client) == [1]


def test_writing_jobs_queue(client: bigquery.Client, busy: bigquery.QueryJob) -> None:
    jobs = [client.query(f"INSERT INTO {TABLE} (n) VALUES ({n})") for n in range(3)]
    assert [client.get_job(job.job_id).state for job in jobs] == ["PENDING"] * 3
    assert written(client) == []
    jobs[1].cancel()
    busy.cancel()
    for job in (jobs[0], jobs[2]):
        job.result(timeout=60)
        assert job.num_dml_affected_rows == 1
    assert written(client) == [0, 2]


def test_an_upload_queues_like_any_job(client: bigquery.Client, busy: bigquery.QueryJob) -> None:
    file = io.BytesIO(pd.DataFrame({"n": [7, 8]}).to_parquet(index=False))
    config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND")
    uploads: list[dict[str, Any]] = [{}, {"size": file.getbuffer().nbytes}]  # resumable, at once
    jobs = []
    for upload in uploads:
        job = client.load_table_from_file(file, TABLE, rewind=True, job_config=config, **upload)
        jobs.append(job)
        assert job.state == "PENDING"
    busy.cancel()
    for job in jobs:
        assert job.result(timeout=60).state == "DONE"
    assert written(client) == [7, 7, 8, 8]


def test_an_error_after_the_answer_is_in_the_job(
    client: bigquery.Client, busy: bigquery.QueryJob
) -> None:
    job = client.query(f"INSERT INTO {DATASET}.nowhere (n) VALUES (1)")
    assert (job.state, job.error_result) == ("PENDING", None)
    busy.cancel()
    with pytest.raises(NotFound, match="nowhere"):
        job.result(timeout=60)
    found = client.get_job(job.job_id)
    assert (found.state, found.error_result["reason"]) == ("DONE", "notFound")
    with pytest.raises(NotFound, match="nowhere"):
        client._get_query_results(job.job_id, DEFAULT_RETRY)


CANCELLED: dict[str, Callable[[bigquery.Client], bigquery.QueryJob]] = {
    "reads": lambda client: client.query(ENDLESS, job_retry=None),
    "writes": lambda client: client.query(f"INSERT INTO {TABLE} (n) {ENDLESS}", job_retry=None),
}


@pytest.mark.parametrize("start", CANCELLED.values(), ids=CANCELLED)
def test_a_cancelled_job_ends(
    client: bigquery.Client, start: Callable[[bigquery.Client], bigquery.QueryJob]
) -> None:
    job = start(client)
    assert job.cancel()
    began = time.monotonic()
    with pytest.raises(GoogleAPICallError, match="cancelled"):
        job.result(timeout=60)
    assert time.monotonic() - began < PROMPTLY
    found = client.get_job(job.job_id)
    assert found.state == "DONE"
    assert found.cancelled()  # type: ignore[no-untyped-call]
    assert found.error_result["reason"] == "stopped"
    assert written(client) == []
    assert client.cancel_job(job.job_id).state == "DONE"  # again: nothing happens


def test_a_query_that_nobody_waits_for_is_cancelled_by_the_client(client: bigquery.Client) -> None:
    with pytest.raises(FutureTimeout):
        client.query_and_wait(SLEEPING, wait_timeout=1, api_timeout=2)
    assert not list(client.list_jobs(state_filter="running"))


def test_a_job_is_started_once(client: bigquery.Client) -> None:
    insert = f"INSERT INTO {TABLE} (n) VALUES (1)"
    client.query(insert, job_id="mine", job_retry=None).result()
    with pytest.raises(Conflict, match="Already Exists"):
        client.query(insert, job_id="mine", job_retry=None)
    assert written(client) == [1]


def test_queries_side_by_side_get_their_own_rows(client: bigquery.Client) -> None:
    """All threads shared a connection, so a statement could take away the result of another."""

    def ask(n: int) -> bool:
        asked = f"SELECT x + {n} AS x FROM UNNEST(GENERATE_ARRAY(1, 2000)) AS x ORDER BY x"
        found = [row.x for row in client.query(asked).result()]
        client.get_table(TABLE)
        return found == list(range(n + 1, n + 2001))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(100)))


def test_the_emulator_ends_although_a_job_runs(tmp_path: Path) -> None:
    with running_warehouse(tmp_path, Ports.free(), in_memory=False) as kept:
        kept.client.query_and_wait(f"CREATE TABLE {TABLE} AS SELECT 7 AS n")
        assert kept.client.query(ENDLESS).state == "RUNNING"
        began = time.monotonic()
        kept.emulator.stop()
        assert time.monotonic() - began < PROMPTLY
        kept.emulator.start()
        assert written(kept.client) == [7]
