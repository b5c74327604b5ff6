"""Reads the audit trail: the rows of `monitoring_audit.logs`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.datetimes import rfc3339
from velocast.core.errors import EventError

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
ALL_ROWS = 1_000_000


@dataclass(frozen=True)
class AuditedRun:
    """One audit row. `timestamp` is the time as of which the run worked; unknown numbers are None."""

    event_id: str
    timestamp: datetime
    event_type: str
    execution_id: str
    status: str
    r2: float | None
    drift_share: float | None
    retrain_decision: str | None
    deployment_decision: str | None
    old_champion_run_id: str | None
    new_champion_run_id: str | None
    error_message: str | None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def component(self) -> str:
        """The function, job or command that wrote the row."""
        return self.event_id.partition(":")[0]

    def as_dict(self) -> dict[str, Any]:
        """Return the row with JSON's types."""
        return vars(self) | {"timestamp": rfc3339(self.timestamp), "component": self.component}


def read_runs(
    warehouse: Warehouse,
    *,
    since: datetime = BEGINNING,
    event_type: str = "",
    component: str = "",
    status: str = "",
    execution_id: str = "",
    newest: int = ALL_ROWS,
) -> list[AuditedRun]:
    """Return the newest audit rows that pass the filters, newest first. Raises WarehouseError.

    execution_id: a prefix suffices. An empty filter lets every row pass.
    """
    frame = warehouse.query(
        "operate_runs",
        since=since,
        event_type=event_type,
        component=component,
        status=status,
        execution_id=execution_id,
        newest=newest,
    )
    return [_audited_run(row) for row in frame.to_dict("records")]


def read_execution(warehouse: Warehouse, execution_id: str) -> list[AuditedRun]:
    """Return the rows of one execution, oldest first; an empty list if it has left none.

    execution_id: its id, or the beginning of it. Raises EventError when several executions begin so; WarehouseError.
    """
    found = read_runs(warehouse, execution_id=execution_id)
    exact = [run for run in found if run.execution_id == execution_id]
    names = sorted({run.execution_id for run in found})
    if not exact and len(names) > 1:
        raise EventError(
            f"{len(names)} executions begin with {execution_id!r}: {', '.join(names[:5])}; write more of the id"
        )
    return list(reversed(exact or found))


def _audited_run(row: dict[Any, Any]) -> AuditedRun:
    plain: dict[str, Any] = {
        str(name): None if value != value else value for name, value in row.items()
    }
    details = json.loads(plain.pop("details") or "{}")
    moment = plain.pop("timestamp").to_pydatetime()
    plain["execution_id"] = plain["execution_id"] or ""
    return AuditedRun(timestamp=moment, details=_unwrapped(details), **plain)


def _unwrapped(details: Any) -> dict[str, Any]:
    """Return the details as a dict; the workflow stores them as a JSON string in JSON."""
    if isinstance(details, str):
        details = json.loads(details)
    return details if isinstance(details, dict) else {"value": details}
