"""The function monitor under the Functions Framework."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from google.cloud import bigquery
from google.cloud.workflows.executions_v1 import CreateExecutionRequest

from tests import emulators
from tests.audit_rows import audit_rows
from tests.functions.dataset_roles import granted_roles, needed_roles
from tests.functions.deployed import FOLDER, Deployed
from tests.shared.adapters.executions_server import executions_server
from tests.shared.usecases import small_city

PUBLISHED = "2025-03-10T04:00:00Z"


@pytest.fixture
def started(
    emulator_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[CreateExecutionRequest]]:
    """The requested executions."""
    del emulator_environment  # set before the address below
    with executions_server() as (host, requests):
        monkeypatch.setenv("WORKFLOWS_EXECUTIONS_EMULATOR_HOST", host)
        yield requests


@pytest.fixture
def monitor(
    storage_buckets: dict[str, str],
    warehouse_tables: bigquery.Client,
    topics: emulators.RunningPubSub,
    started: list[CreateExecutionRequest],
) -> Deployed:
    """The function with empty emulators."""
    del storage_buckets, warehouse_tables, topics, started
    return Deployed("monitor")


def test_a_message_leaves_two_rows_and_starts_one_execution_however_often_it_comes(
    monitor: Deployed, warehouse_tables: bigquery.Client, started: list[CreateExecutionRequest]
) -> None:
    small_city.store(small_city.make(days=25))

    for _ in range(2):
        assert monitor.deliver(b"{}", message_id="17", published=PUBLISHED) == 200

    rows = audit_rows(warehouse_tables)
    assert [row["event_id"] for row in rows] == ["monitor:17:drift", "monitor:17:validation"]
    assert {row["status"] for row in rows} == {"UNKNOWN"}
    assert {row["retrain_decision"] for row in rows} == {"FIRST"}
    (request,) = started
    assert json.loads(request.execution.argument)["as_of"] == PUBLISHED


def test_its_account_may_do_what_it_does_and_no_more(monitor: Deployed) -> None:
    small_city.store(small_city.make(days=25))

    with needed_roles() as needed:
        assert monitor.deliver(b"{}", message_id="17", published=PUBLISHED) == 200
        assert monitor.deliver(b'{"digest": true}', message_id="18", published=PUBLISHED) == 200

    assert needed == granted_roles("monitor")


def test_check_only_starts_nothing(
    monitor: Deployed, started: list[CreateExecutionRequest]
) -> None:
    small_city.store(small_city.make(days=25))

    assert monitor.deliver(b'{"check_only": true}', message_id="18", published=PUBLISHED) == 200

    assert started == []


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'{"kind": "xgboost"}', "kind: Input should be 'blend', 'gbm', 'rf', 'nn' or 'affluence'"),
        (b'{"check_only": "perhaps"}', "check_only: Input should be a valid boolean"),
        (b'{"as_of": "2026-01-01T00:00:00Z"}', "is later than the event itself"),
    ],
)
def test_a_malformed_message_is_refused_and_starts_nothing(
    data: bytes,
    error: str,
    monitor: Deployed,
    warehouse_tables: bigquery.Client,
    started: list[CreateExecutionRequest],
) -> None:
    assert monitor.deliver(data, message_id="19", published=PUBLISHED) == 500

    (row,) = audit_rows(warehouse_tables)
    assert (row["status"], row["event_id"]) == ("FAILED", "monitor:19:failed")
    assert error in row["error_message"]
    assert started == []


def test_a_workflow_that_cannot_be_started_fails_the_run_and_is_retried(
    monitor: Deployed,
    warehouse_tables: bigquery.Client,
    started: list[CreateExecutionRequest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_city.store(small_city.make(days=25))
    with monkeypatch.context() as nobody:
        nobody.setenv("WORKFLOWS_EXECUTIONS_EMULATOR_HOST", "127.0.0.1:9")
        assert monitor.deliver(b"{}", message_id="20", published=PUBLISHED) == 500
    failed = [row["event_id"] for row in audit_rows(warehouse_tables)]
    assert failed == ["monitor:20:failed"]

    assert monitor.deliver(b"{}", message_id="20", published=PUBLISHED) == 200

    assert len(started) == 1


def test_a_cold_start_does_not_load_evidently(emulator_environment: dict[str, str]) -> None:
    code = "import sys, main; sys.exit(sum(m in sys.modules for m in ('evidently', 'sklearn')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=FOLDER / "monitor",
        env=os.environ | emulator_environment,
        check=False,
    )
    assert done.returncode == 0
