"""Google's own clients, as the product calls them, against a service that fails for a moment or for good."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import grpc
import pyarrow as pa
import pytest
from google.api_core.exceptions import GoogleAPICallError, RetryError

from tests import emulators
from tests.shared.adapters.faulty_relay import Fault, grpc_relay, http_relay
from velocast.adapters import gcs
from velocast.adapters.bigquery import failures, jobs, sql_templates
from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.pubsub import Publisher
from velocast.core import schemas
from velocast.core.errors import WarehouseError
from velocast.core.requests import PredictRequest

BUSY = '{"error": {"code": 429, "message": "Exceeded rate limits", "errors": [{"reason": "rateLimitExceeded"}]}}'
AWAY = '{"error": {"code": 503, "message": "away", "errors": [{"reason": "backendError"}]}}'
FAILED = (
    '{"error": {"code": 400, "message": "try again", "errors": [{"reason": "jobBackendError"}]}}'
)
COUNTS = pa.Table.from_pylist(
    [
        {
            "counter_id": f"{n}-1",
            "counted_at": datetime(2025, 3, 1, tzinfo=UTC),
            "bike_count": n,
            "quality": None,
            "ingested_at": datetime(2025, 3, 2, tzinfo=UTC),
        }
        for n in range(3)
    ],
    schema=schemas.arrow(schemas.COUNTS),
)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's clients wait up to seconds between two calls; the relay counts calls, so that a moment will do."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.02)))


@pytest.fixture
def staging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all rows pass through a staging table, as many rows do."""
    monkeypatch.setattr(sql_templates, "PASSED_ROWS", 0)


def merge(store: Warehouse) -> tuple[int, int]:
    found = store.merge(schemas.COUNTS, COUNTS, keys=["counter_id", "counted_at"])
    return found.inserted, found.updated


@pytest.mark.usefixtures("short_pauses", "staging")
@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", 503, times=3, body=AWAY),
        Fault("POST", 429, times=3, body=BUSY),
        Fault("POST", 400, times=3, body=FAILED),
        Fault("/upload/", 503, times=2, body=AWAY),
    ],
    ids=["503", "429", "failed job", "upload"],
)
def test_a_merge_outlasts_a_moment_without_bigquery(
    fault: Fault,
    warehouse: emulators.Warehouse,
    warehouse_tables: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with http_relay(warehouse.emulator.url, fault) as relay:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", relay.address)
        store = Warehouse(emulators.PROJECT, emulators.LOCATION)
        assert merge(store) == (3, 0)
        assert merge(store) == (0, 0), "nothing is left to write"
    assert fault.times == 0


@pytest.mark.usefixtures("short_pauses")
def test_a_long_query_outlasts_a_moment_without_bigquery(
    warehouse: emulators.Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its job goes on when the request that started it is answered, and its result is asked for again."""
    fault = Fault("GET", 503, times=2, body=AWAY)
    monkeypatch.setattr(jobs, "CALL_SECONDS", 2.0)
    with http_relay(warehouse.emulator.url, fault) as relay:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", relay.address)
        asked = jobs.Jobs(emulators.PROJECT, emulators.LOCATION)
        slow = "SELECT SUM(s) AS n, COUNT(pg_sleep(s)) AS pause FROM UNNEST([@s]) AS s"
        (row,) = asked.run(slow, {"s": 3})
        assert row["n"] == 3
        assert relay.count("POST") == 1
    assert fault.times == 0


@pytest.mark.usefixtures("staging")
def test_a_merge_without_bigquery_ends_with_its_own_error(
    warehouse: emulators.Warehouse,
    warehouse_tables: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failures, "RETRY_SECONDS", 0.5)
    with http_relay(warehouse.emulator.url, Fault("", 503, times=10_000, body=AWAY)) as relay:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", relay.address)
        with pytest.raises(WarehouseError, match=r"merge into bike_traffic_raw\.counts: .*away"):
            merge(Warehouse(emulators.PROJECT, emulators.LOCATION))
        assert relay.count("DELETE") == 1, "the temporary table is dropped with one call"


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize(
    "fault",
    [
        Fault("CreateReadSession", grpc.StatusCode.UNAVAILABLE, times=2),
        Fault("ReadRows", grpc.StatusCode.UNAVAILABLE, times=2),
        Fault("ReadRows", grpc.StatusCode.UNAVAILABLE, cut=1),
    ],
    ids=["session", "stream", "broken stream"],
)
def test_a_large_read_outlasts_a_broken_stream(
    fault: Fault,
    warehouse: emulators.Warehouse,
    store: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    merge(store)
    with grpc_relay(warehouse.emulator.storage_host, fault) as relay:
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", relay.address)
        reader = Warehouse(emulators.PROJECT, emulators.LOCATION)
        rows = reader.read(
            schemas.COUNTS, columns=["bike_count"], where="counted_at >= TIMESTAMP '2025-03-01'"
        )
    assert fault.times == 0
    assert sorted(rows["bike_count"].to_pylist()) == [0, 1, 2], "each row once"


def test_a_large_read_without_the_service_ends(
    warehouse: emulators.Warehouse, store: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's own default asks an unavailable service for up to a day."""
    merge(store)
    monkeypatch.setattr(failures, "RETRY_SECONDS", 0.5)
    for method in ("CreateReadSession", "ReadRows"):
        fault = Fault(method, grpc.StatusCode.UNAVAILABLE, times=10_000)
        with grpc_relay(warehouse.emulator.storage_host, fault) as relay:
            monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", relay.address)
            reader = Warehouse(emulators.PROJECT, emulators.LOCATION)
            with pytest.raises(WarehouseError, match=r"read of bike_traffic_raw\.counts: injected"):
                reader.read(schemas.COUNTS, columns=["counter_id"], where="counted_at IS NOT NULL")


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize(
    ("fault", "act"),
    [
        (Fault("POST /upload", 503, times=2), "write"),
        (Fault("POST /upload", 429, times=2), "write"),
        (Fault("GET /download", 503, times=2), "read"),
        (Fault("GET /download", 429, times=2), "read"),
        (Fault("GET /download", cut=40_000), "read"),
        (Fault("DELETE", 503, times=2), "delete"),
    ],
    ids=["write 503", "write 429", "read 503", "read 429", "read broken", "delete 503"],
)
def test_an_object_outlasts_a_moment_without_cloud_storage(
    fault: Fault,
    act: str,
    object_store: emulators.RunningObjectStore,
    storage_buckets: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = bytes(range(256)) * 400
    emulators.objects().write("x", data, content_type="text/plain")
    generation = emulators.objects().read("x").generation
    with http_relay(object_store.url, fault) as relay:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", relay.address)
        objects = emulators.objects()
        actions: dict[str, Callable[[], object]] = {
            "write": lambda: objects.write(
                "x", data, content_type="text/plain", if_generation=generation
            ),
            "read": lambda: objects.read("x").data,
            "delete": lambda: objects.delete("x"),
        }
        answer = actions[act]()
        assert answer == data or act != "read"
    assert fault.times == 0


def test_cloud_storage_that_stays_away_is_told_in_bounded_time(
    object_store: emulators.RunningObjectStore,
    storage_buckets: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gcs, "RETRY_SECONDS", 0.5)
    with http_relay(object_store.url, Fault("", 503, times=10_000)) as relay:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", relay.address)
        with pytest.raises((GoogleAPICallError, RetryError)):
            emulators.objects().read("x")


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED], ids=lambda c: c.name
)
def test_a_message_outlasts_a_moment_without_pubsub(
    code: grpc.StatusCode, topics: emulators.RunningPubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = Fault("Publish", code, times=2)
    with grpc_relay(topics.host, fault) as relay:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", relay.address)
        assert Publisher(emulators.PROJECT).publish("velocast-predict", PredictRequest())
    assert fault.times == 0
    assert len(topics.published("velocast-predict")) == 1
