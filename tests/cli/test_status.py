"""`velocast status` on the emulators: what it prints with and without data, and how it fails."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from google.cloud import bigquery
from typer.testing import CliRunner, Result

from tests.emulators import LOCATION, PROJECT
from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.revisions import Remembering
from velocast.core import schemas
from velocast.core.audit_row import AuditRow
from velocast.usecases import audit
from velocast_cli.main import app

pytestmark = pytest.mark.usefixtures("storage_buckets")
EARLY, LATE = datetime(2026, 3, 1, 2, tzinfo=UTC), datetime(2026, 3, 2, 2, tzinfo=UTC)


def velocast(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def row(event_id: str, at: datetime, **columns: Any) -> AuditRow:
    return AuditRow(event_id=event_id, timestamp=at, as_of=at, **columns)


def fill(client: bigquery.Client) -> None:
    """Two validations, a failed deployment and one count."""
    rows = [
        row("a", EARLY, event_type="VALIDATION", r2=0.5, retrain_decision="RETRAIN"),
        row("b", LATE, event_type="VALIDATION", r2=0.9, retrain_decision="SKIP"),
        row("c", EARLY, event_type="DEPLOYMENT", status="FAILED", error_message="no [red] model"),
    ]
    audit.write(Warehouse(PROJECT, LOCATION), rows, environment="dev")
    client.query_and_wait(
        f"INSERT INTO `{PROJECT}.{schemas.COUNTS}` (counter_id, counted_at, bike_count, ingested_at) "
        "VALUES ('100-101', TIMESTAMP '2026-03-01T21:00:00Z', 7, TIMESTAMP '2026-03-02T02:00:00Z')"
    )


def test_json_has_the_newest_run_of_each_event_type(warehouse_tables: bigquery.Client) -> None:
    fill(warehouse_tables)
    shown = velocast("status", "--json")
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    assert found["counts"] == {"newest": "2026-03-01T21:00:00Z", "counters": 1}
    assert found["champion"] is None
    assert found["lateness"] is None
    deployment, validation = found["runs"]
    assert deployment == {
        "event_type": "DEPLOYMENT",
        "timestamp": "2026-03-01T02:00:00Z",
        "status": "FAILED",
        "r2": None,
        "drift_share": None,
        "retrain_decision": None,
        "deployment_decision": None,
        "error_message": "no [red] model",
    }
    assert (validation["timestamp"], validation["r2"]) == ("2026-03-02T02:00:00Z", 0.9)


def test_it_tells_how_late_counts_come(warehouse_tables: bigquery.Client) -> None:
    """Hours of 50 days: each known 7 h after its end, one in ten after three days, one in fifty after eleven."""
    began, hours = datetime(2026, 1, 1, tzinfo=UTC), range(-24 * 20, 24 * 50)
    rows, corrected = [], []
    for n in hours:
        ended = began + timedelta(hours=n + 1)
        late = timedelta(days=11) if n % 50 == 0 else timedelta(days=3) if n % 10 == 1 else None
        known = began if n < 0 else ended + (late or timedelta(hours=7))
        rows.append(("a", ended - timedelta(hours=1), n % 7, None, known))
        if n % 20 == 4:
            corrected.append(
                ("a", ended - timedelta(hours=1), n % 7 + 1, None, known + timedelta(days=1))
            )
    store = Warehouse(PROJECT, LOCATION)
    for delivered in (rows, corrected):
        table = pa.Table.from_pylist(
            [
                dict(zip(schemas.arrow(schemas.COUNTS).names, each, strict=True))
                for each in delivered
            ],
            schema=schemas.arrow(schemas.COUNTS),
        )
        history = Remembering(datetime(2026, 6, 1, tzinfo=UTC))
        store.merge(
            schemas.COUNTS,
            table,
            keys=["counter_id", "counted_at"],
            update=["bike_count"],
            history=history,
        )

    found = json.loads(velocast("status", "--json").stdout)["lateness"]

    newest = max(row[4] for row in rows)
    ages = [
        (n, k - (h + timedelta(hours=1)), newest - h - timedelta(hours=1))
        for n, (_, h, _, _, k) in zip(hours, rows, strict=True)
        if n >= 0
    ]
    for days in (1, 2, 7, 30):
        old = [delay for _, delay, age in ages if age >= timedelta(days=days)]
        share = sum(delay <= timedelta(days=days) for delay in old) / len(old)
        assert found["known_after"][str(days)] == pytest.approx(share, abs=1e-4), days
    assert found["known_after"]["2"] == pytest.approx(0.88, abs=0.01)
    assert found["corrected"] == pytest.approx(0.05, abs=0.003)
    assert found["hours_behind"] == 7.0  # of the hours that were the newest when they were learned
    shown = velocast("status").stdout
    assert "corrected later" in shown
    assert "newest hour 7 h old when fetched" in shown


def test_the_table_shows_decisions_and_errors(warehouse_tables: bigquery.Client) -> None:
    fill(warehouse_tables)
    shown = velocast("status").stdout
    assert "1 counters, newest hour 2026-03-01T21:00:00Z" in shown
    assert "no [red] model" in shown
    assert "SKIP" in shown


def test_empty_tables_are_shown_as_none(warehouse_tables: bigquery.Client) -> None:
    shown = velocast("status")
    assert shown.exit_code == 0, shown.output
    assert "none yet; forecasts are the mean of similar days" in shown.stdout
    assert "0 counters, newest hour none" in shown.stdout
    assert json.loads(velocast("status", "--json").stdout)["runs"] == []


def test_without_a_project_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    shown = velocast("status")
    assert shown.exit_code == 1
    assert "GOOGLE_CLOUD_PROJECT" in shown.stderr
    assert 'eval "$(velocast local env)"' in shown.stderr
