"""Audit rows: every run of every function and job writes them to `monitoring_audit.logs`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from velocast.core import schemas
from velocast.core.audit_row import AuditRow

if TYPE_CHECKING:
    from velocast.adapters.bigquery.client import Warehouse

FAULTS_LOOK_BACK = timedelta(days=60)


def write(warehouse: Warehouse, rows: list[AuditRow], *, environment: str) -> None:
    """Store audit rows by `event_id`: a repeated run replaces its row.

    Does nothing without rows. Raises WarehouseError.
    """
    if not rows:
        return
    import pyarrow as pa

    columns = schemas.table(schemas.LOGS).columns
    # Of rows with the same id the last is kept, as it would be in separate writes.
    values = list({row.event_id: _values(row, environment) for row in rows}.values())
    table = pa.table({name: [v[name] for v in values] for name in columns})
    warehouse.merge(schemas.LOGS, table, keys=["event_id"])


def read_known_faults(warehouse: Warehouse, *, as_of: datetime) -> list[dict[str, Any]]:
    """Return the faults of counters that the newest ingestion before `as_of` named, as `Episode` has them.

    Raises WarehouseError.
    """
    rows = warehouse.query("ingest_known_faults", since=as_of - FAULTS_LOOK_BACK, as_of=as_of)
    known: list[dict[str, Any]] = json.loads(rows["faults"].iloc[0]) if len(rows) else []
    return known


def _values(row: AuditRow, environment: str) -> dict[str, Any]:
    return dict(row) | {"environment": environment, "details": _json(row.details)}


def _json(details: dict[str, Any]) -> str:
    """Return the details as JSON; NaN and infinity, which JSON lacks, become null."""
    text = to_json(details, inf_nan_mode="null", fallback=str)
    return json.dumps(json.loads(text), ensure_ascii=False)
