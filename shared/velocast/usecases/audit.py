"""Audit rows: what every run of every function and job leaves in `monitoring_audit.logs`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from velocast.core import schemas
from velocast.core.audit_row import AuditRow

if TYPE_CHECKING:
    from velocast.adapters.bigquery.client import Warehouse


def write(warehouse: Warehouse, rows: list[AuditRow], *, environment: str) -> None:
    """Store audit rows, once for each `event_id`: a run that happens again replaces its row.

    Raises WarehouseError. No rows, no call.
    """
    if not rows:
        return
    import pyarrow as pa

    columns = schemas.table(schemas.LOGS).columns
    # The last of two rows with one id wins, as it would in two writes.
    values = list({row.event_id: _values(row, environment) for row in rows}.values())
    table = pa.table({name: [v[name] for v in values] for name in columns})
    warehouse.merge(schemas.LOGS, table, keys=["event_id"])


def _values(row: AuditRow, environment: str) -> dict[str, Any]:
    return dict(row) | {"environment": environment, "details": _json(row.details)}


def _json(details: dict[str, Any]) -> str:
    """Write the details as JSON; NaN and infinity, which JSON lacks, become null."""
    text = to_json(details, inf_nan_mode="null", fallback=str)
    return json.dumps(json.loads(text), ensure_ascii=False)
