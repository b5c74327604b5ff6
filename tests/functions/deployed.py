"""A function as it is deployed: its main.py under the Functions Framework, pushed to as Pub/Sub does."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from functions_framework import create_app
from google.cloud import bigquery

FOLDER = Path(__file__).parents[2] / "functions"


class Deployed:
    """One function of this process. Make it after the environment is set: it reads its settings at start."""

    def __init__(self, name: str) -> None:
        app = create_app(name, str(FOLDER / name / "main.py"), "cloudevent")
        # an error becomes the status 500 that makes Pub/Sub deliver again, as outside tests
        app.config["PROPAGATE_EXCEPTIONS"] = False
        self.name = name
        self._client = app.test_client()

    def deliver(self, data: bytes, *, message_id: str, published: str) -> int:
        """Push a message and return the status that Pub/Sub takes for an answer."""
        message = {
            "data": base64.b64encode(data).decode(),
            "messageId": message_id,
            "publishTime": published,
            "attributes": {},
        }
        subscription = f"projects/velocast-local/subscriptions/velocast-{self.name}"
        body = {"message": message, "subscription": subscription}
        return self._client.post("/", json=body).status_code


def audit_rows(client: bigquery.Client) -> list[dict[str, Any]]:
    """Return all audit rows by event id, their details as a dict."""
    rows = client.query_and_wait(
        "SELECT * FROM monitoring_audit.logs WHERE timestamp > '2000-01-01' ORDER BY event_id"
    )
    found = [dict(row) for row in rows]
    return [r | {"details": _value(r["details"])} for r in found]


def _value(details: Any) -> Any:
    return json.loads(details) if isinstance(details, str) else details
