"""`velocast runs` and `velocast logs` against BigQuery and Cloud Logging on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from google.cloud import bigquery
from typer.testing import CliRunner, Result

from gcp_emulators.cloud_logging.api import LogFile, logging_routes
from gcp_emulators.core.http_server import HttpServer
from tests import emulators
from velocast.adapters.bigquery.client import Warehouse
from velocast.core.audit_row import AuditRow
from velocast.usecases import audit
from velocast_cli.main import app
from velocast_cli.operations import deployment
from velocast_cli.operations.run_commands import Component

FIRST = datetime(2026, 3, 1, 2, tzinfo=UTC)


def velocast(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def row(event_id: str, hours: int, **columns: Any) -> AuditRow:
    at = FIRST + timedelta(hours=hours)
    columns.setdefault("execution_id", event_id.split(":")[1])
    return AuditRow(event_id=event_id, timestamp=at, as_of=at, **columns)


@pytest.fixture
def filled(warehouse_tables: bigquery.Client) -> bigquery.Client:
    """A fetch that failed and one that did not, forecasts, a validation, and one retraining."""
    workflow = "5a1c9b1e-1111-4222-8333-444455556666"
    rows = [
        row(
            "fetch:17:failed",
            0,
            event_type="INGESTION",
            status="FAILED",
            error_message="city_unreachable: no answer [from] the city after 5 tries, the last at 02:09",
        ),
        row("fetch:18:ingestion", 1, event_type="INGESTION", details={"inserted": 48}),
        row("predict:19:prediction", 2, event_type="PREDICTION", details={"forecasts": 360}),
        row("monitor:20:validation", 3, event_type="VALIDATION", r2=0.9, retrain_decision="WAIT"),
        row(
            f"train:{workflow}:training",
            4,
            event_type="TRAINING",
            details={"version": 2, "kind": "gbm", "reason": "FIRST"},
        ),
        row(
            f"promote:{workflow}:deployment",
            4,
            event_type="DEPLOYMENT",
            deployment_decision="DEPLOY",
            details={"version": 2},
        ),
    ]
    audit.write(Warehouse(emulators.PROJECT, emulators.LOCATION), rows, environment="dev")
    return warehouse_tables


def found(*arguments: str) -> list[str]:
    answer = velocast("runs", "--json", *arguments)
    assert answer.exit_code == 0, answer.output
    return [run["event_id"].split(":")[0] for run in json.loads(answer.stdout)["runs"]]


def test_runs_are_filtered_newest_first(filled: bigquery.Client) -> None:
    assert found() == ["train", "promote", "monitor", "predict", "fetch", "fetch"]
    assert found("--last", "2") == ["train", "promote"]
    assert found("--function", "fetch") == ["fetch", "fetch"]
    assert found("--status", "FAILED") == ["fetch"]
    assert found("--since", "2026-03-01T04:30:00Z") == ["train", "promote", "monitor"]


def test_the_table_fits_80_columns_and_cuts_nothing(filled: bigquery.Client) -> None:
    shown = velocast("runs").stdout
    assert max(map(len, shown.splitlines())) <= 80
    flat = "".join(shown.split())
    assert "city_unreachable:noanswer[from]thecityafter5tries,thelastat02:09" in flat
    for text in ("48 new, 0 changed", "R2 0.900, WAIT", "DEPLOY version 2"):
        assert text in shown


@pytest.fixture
def logged(
    tmp_path: Path, filled: bigquery.Client, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Two log files: a function's, and that of a job's execution that did not get far."""
    now = datetime.now(UTC)

    def line(message: str, execution_id: str, seconds: int, **fields: Any) -> str:
        entry = {"severity": "INFO", "message": message, **fields}
        entry["time"] = (now - timedelta(seconds=60 - seconds)).isoformat()
        labels = {"component": "fetch", "execution_id": execution_id}
        return json.dumps(entry | {"logging.googleapis.com/labels": labels}) + "\n"

    function, job = tmp_path / "fetch.log", tmp_path / "velocast-train-abcde.log"
    function.write_text(
        line("fetch INGESTION OK", "18", 3)
        + line("somebody else", "99", 2)
        + line("names not updated", "18", 1, severity="WARNING"),
        encoding="utf-8",
    )
    job.write_text("ModuleNotFoundError: no module named velocast\n", encoding="utf-8")
    files = [
        LogFile(function, "cloud_run_revision", {"service_name": "velocast-fetch"}),
        LogFile(
            job,
            "cloud_run_job",
            {"job_name": "velocast-train"},
            {"run.googleapis.com/execution_name": "velocast-train-abcde"},
        ),
    ]
    with HttpServer(logging_routes(emulators.PROJECT, lambda: files)) as server:
        monkeypatch.setenv("GOOGLE_APIS_EMULATOR_HOST", server.url)
        yield function


def test_logs_show_rows_and_lines_of_one_execution_in_order(logged: Path) -> None:
    answer = velocast("logs", "18", "--json")
    assert answer.exit_code == 0, answer.output
    said = json.loads(answer.stdout)
    assert [r["event_id"] for r in said["audit"]] == ["fetch:18:ingestion"]
    assert [(x["message"], x["severity"], x["source"]) for x in said["lines"]] == [
        ("names not updated", "WARNING", "fetch"),
        ("fetch INGESTION OK", "INFO", "fetch"),
    ]
    shown = velocast("logs", "18").stdout
    assert shown.index("48 new") < shown.index("names not updated")


def test_a_job_that_left_no_row_has_its_lines(logged: Path) -> None:
    answer = velocast("logs", "velocast-train-abcde")
    assert answer.exit_code == 0
    assert "velocast-train ModuleNotFoundError: no module named velocast" in answer.stdout


def test_the_beginning_of_an_id_suffices_if_it_is_unique(logged: Path) -> None:
    answer = velocast("logs", "5a1c9b1e-1111-4222", "--json")
    assert json.loads(answer.stdout)["execution"] == "5a1c9b1e-1111-4222-8333-444455556666"
    assert [r["component"] for r in json.loads(answer.stdout)["audit"]] == ["promote", "train"]
    ambiguous = velocast("logs", "1")
    assert ambiguous.exit_code == 1
    assert "3 executions begin with '1': 17, 18, 19" in ambiguous.stderr
    unknown = velocast("logs", "nobody")
    assert unknown.exit_code == 1
    assert "there is no run or log line of nobody" in unknown.stdout


def test_without_a_log_service_it_says_so(
    filled: bigquery.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APIS_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr("velocast_cli.operations.google_apis.RETRIES", 0)
    answer = velocast("logs", "18")
    assert answer.exit_code == 1
    assert "read the log of 18" in answer.stderr


def test_the_filter_knows_every_component() -> None:
    assert get_args(Component) == deployment.COMPONENTS
