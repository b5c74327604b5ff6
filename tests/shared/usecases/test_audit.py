"""Audit rows as stored."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud import bigquery

from tests.audit_rows import audit_rows
from tests.emulators import LOCATION, PROJECT
from velocast.adapters.bigquery.client import Warehouse
from velocast.core import schemas
from velocast.core.audit_row import AuditRow
from velocast.usecases import audit

AS_OF = datetime(2026, 3, 1, 2, tzinfo=UTC)


def row(event_id: str, **changes: Any) -> AuditRow:
    values = {"timestamp": AS_OF, "event_type": "DRIFT", "as_of": AS_OF}
    return AuditRow(event_id=event_id, **{**values, **changes})


def test_the_row_has_the_columns_of_the_table():
    assert {*AuditRow.model_fields, "environment"} == set(schemas.table(schemas.LOGS).columns)


@pytest.mark.parametrize("field", schemas.table(schemas.LOGS).fields, ids=lambda f: f.name)
def test_what_the_table_requires_the_row_never_lacks(field: schemas.Field):
    if field.mode == "REQUIRED" and field.name != "environment":
        assert row("a").model_dump()[field.name] is not None


def test_rows_are_stored_with_all_they_say(warehouse_tables: bigquery.Client):
    details = {"share": math.nan, "columns": ["é"], "at": AS_OF, "deep": {"a": None}}
    rows = [
        row("a", drift_detected=True, drift_share=0.5, drifted_features_count=2, details=details),
        row("b", status="UNKNOWN", error_message="too few rows"),
    ]
    audit.write(Warehouse(PROJECT, LOCATION), rows, environment="dev")
    first, second = audit_rows(warehouse_tables)
    expected = rows[0].model_dump() | {"environment": "dev"}
    expected["details"] = {
        "share": None,
        "columns": ["é"],
        "at": "2026-03-01T02:00:00Z",
        "deep": {"a": None},
    }
    assert first == expected
    assert (second["status"], second["error_message"]) == ("UNKNOWN", "too few rows")
    assert second["details"] == {}


def test_a_run_that_happens_again_replaces_its_row(warehouse_tables: bigquery.Client):
    warehouse = Warehouse(PROJECT, LOCATION)
    audit.write(warehouse, [row("a", status="FAILED")], environment="dev")
    audit.write(warehouse, [row("a", details={"seconds": 2}), row("b")], environment="dev")
    found = [(r["event_id"], r["status"], r["details"]) for r in audit_rows(warehouse_tables)]
    assert found == [("a", "OK", {"seconds": 2}), ("b", "OK", {})]


def test_of_two_rows_with_one_id_the_last_is_stored(warehouse_tables: bigquery.Client):
    rows = [row("a", status="UNKNOWN"), row("a", status="OK")]
    audit.write(Warehouse(PROJECT, LOCATION), rows, environment="prod")
    assert [(r["status"], r["environment"]) for r in audit_rows(warehouse_tables)] == [
        ("OK", "prod")
    ]


def test_no_rows_need_no_warehouse():
    audit.write(Warehouse("no-project", LOCATION), [], environment="dev")
