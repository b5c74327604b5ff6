"""Reads the audit table `monitoring_audit.logs` for tests."""

from __future__ import annotations

import json
from typing import Any

from google.cloud import bigquery

from velocast.core import schemas


def audit_rows(client: bigquery.Client) -> list[dict[str, Any]]:
    """Return all audit rows, sorted by event id; `details` is a Python value."""
    sql = f"SELECT * FROM {schemas.LOGS} WHERE timestamp > '2000-01-01' ORDER BY event_id"
    rows = [dict(row) for row in client.query_and_wait(sql)]
    return [row | {"details": _parsed(row["details"])} for row in rows]


def _parsed(details: Any) -> Any:
    return json.loads(details) if isinstance(details, str) else details
