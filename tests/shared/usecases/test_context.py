"""How a run that fails is reported, also when what failed is the place where reports go."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import yaml
from google.api_core.exceptions import GoogleAPICallError

from gcp_emulators.core.http_server import free_ports
from tests import emulators
from tests.terraform.tree import ROOT
from velocast.adapters import pubsub
from velocast.adapters.bigquery import failures
from velocast.core.audit_row import AuditRow
from velocast.core.errors import SHOWN_CHARACTERS, EventError, WarehouseError
from velocast.core.requests import FetchRequest
from velocast.core.settings import FetchSettings
from velocast.usecases import audit
from velocast.usecases.context import Run, Runtime, handle

EVENT = {"message": {"messageId": "1", "publishTime": "2025-03-10T04:30:00Z"}}


class Event:
    """A CloudEvent of Pub/Sub whose message has this data, which is not base64."""

    def __init__(self, data: str = "") -> None:
        self.data = {"message": EVENT["message"] | {"data": data}}


def fails(error: Exception) -> Callable[[FetchRequest, Run[FetchSettings]], list[AuditRow]]:
    def use_case(_: FetchRequest, __: Run[FetchSettings]) -> list[AuditRow]:
        raise error

    return use_case


def run(event: Event, error: Exception) -> None:
    runtime = Runtime(FetchSettings.load(), component="fetch")
    handle(event, FetchRequest, runtime, fails(error), event_type="INGESTION")


@pytest.fixture
def without_bigquery(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens where BigQuery should be."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.setattr(failures, "RETRY_SECONDS", 0.2)


def test_people_are_told_with_bigquery_down_and_the_error_stays(
    topics: emulators.RunningPubSub, without_bigquery: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError, match="the cause"):
        run(Event(), ZeroDivisionError("the cause"))
    (notice,) = topics.notices()
    assert notice["error"] == "ZeroDivisionError: the cause"
    first, *_, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["message"] == "fetch failed: the cause"
    assert last["message"].startswith("fetch failed, and its audit row could not be stored: merge")
    assert last["severity"] == "ERROR"


def test_bigquery_itself_is_what_failed(
    topics: emulators.RunningPubSub, without_bigquery: None
) -> None:
    def use_case(_: FetchRequest, run: Run[FetchSettings]) -> list[AuditRow]:
        run.warehouse.query("ingest_counters")
        raise AssertionError

    runtime = Runtime(FetchSettings.load(), component="fetch")
    with pytest.raises(WarehouseError, match=r"sql/ingest_counters\.sql"):
        handle(Event(), FetchRequest, runtime, use_case, event_type="INGESTION")
    (notice,) = topics.notices()
    assert "sql/ingest_counters.sql" in notice["error"]


def test_a_notice_that_cannot_be_published_hides_neither_the_row_nor_the_error(
    emulator_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[AuditRow] = []

    def refuse(*_: object) -> None:
        raise GoogleAPICallError("no such topic")  # type: ignore[no-untyped-call]

    monkeypatch.setattr(pubsub.Publisher, "publish", refuse)
    monkeypatch.setattr(audit, "write", lambda _, new, **__: rows.extend(new))
    with pytest.raises(ZeroDivisionError):
        run(Event(), ZeroDivisionError("x"))
    assert [row.status for row in rows] == ["FAILED"]


@pytest.mark.parametrize(
    "data",
    [
        "x" * 9_000_000,
        json.dumps({"as_of": "x" * 9_000_000}),
        "[" * 200_000,
        '{"as_of": ' + "9" * 5_000 + "}",
        json.dumps({"\ud800": 1}),
        "\ud800",
        json.dumps({"as_of": "0001-01-01T00:00:00+14:00"}),
        json.dumps({"as_of": "9999-12-31T23:59:59Z"}),
        json.dumps({"as_of": "0002-01-01T00:00:00Z"}),
    ],
    ids=["9 MB", "9 MB in a field", "deep", "digits", "escape", "surrogate", "year 1", "year 9999", "year 2"],
)  # fmt: skip
def test_a_bad_event_is_reported_once_and_briefly(
    data: str,
    emulator_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows: list[AuditRow] = []
    notices: list[str] = []
    monkeypatch.setattr(audit, "write", lambda _, new, **__: rows.extend(new))
    monkeypatch.setattr(
        pubsub.Publisher, "publish", lambda *given: notices.append(given[2].model_dump_json())
    )
    with pytest.raises(EventError):
        run(Event(data), AssertionError("the use case must not be called"))
    (row,), (notice,) = rows, notices
    stored = json.dumps(audit._values(row, "dev"), default=str)
    assert len(stored.encode("utf-8")) < 3 * SHOWN_CHARACTERS
    assert len(notice.encode("utf-8")) < 2 * SHOWN_CHARACTERS
    assert json.loads(capsys.readouterr().out)["code"] == "bad_event"
    assert row.as_of == datetime(2025, 3, 10, 4, 30, tzinfo=UTC)


def test_a_call_without_bigquery_leaves_a_function_time_to_report_it() -> None:
    """By the limits: the call that fails, the notice, and the audit row with the drop of its temporary table."""
    call = failures.CALL_SECONDS + failures.RETRY_SECONDS
    worst = call + pubsub.PUBLISH_SECONDS + call + failures.DROP_SECONDS
    functions = yaml.safe_load((ROOT / "terraform/config/functions.yaml").read_text("utf-8"))
    limits = {name: told["timeout_seconds"] for name, told in functions.items() if name != "serve"}
    assert len(limits) == 4
    assert {name: seconds for name, seconds in limits.items() if seconds <= worst} == {}
