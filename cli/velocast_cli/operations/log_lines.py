"""Log lines of one execution, from Cloud Logging."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from velocast.core.datetimes import parse_instant, rfc3339
from velocast_cli.operations.google_apis import call, google_api

PAGE = 1000
# Labels that hold an execution's id: our own lines', Cloud Run jobs' and workflows'.
LABELS = (
    "labels.execution_id",
    'labels."run.googleapis.com/execution_name"',
    'labels."workflows.googleapis.com/execution_id"',
)


@dataclass(frozen=True)
class LogLine:
    """One log entry: when it was written, by what, and what it says."""

    at: datetime
    severity: str
    source: str
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return the line with JSON's types."""
        return vars(self) | {"at": rfc3339(self.at)}


def read_log_lines(
    project: str, execution_id: str, *, since: datetime, until: datetime, most: int
) -> list[LogLine]:
    """Return the first `most` lines of an execution that were written in a range of time, in order.

    Without bounds on time Cloud Logging searches only the last day. Raises GoogleApiRefused.
    """
    either = " OR ".join(f'{label}="{execution_id}"' for label in LABELS)
    body: dict[str, Any] = {
        "resourceNames": [f"projects/{project}"],
        "filter": f'({either}) AND timestamp>="{rfc3339(since)}" AND timestamp<="{rfc3339(until)}"',
        "orderBy": "timestamp asc",
        "pageSize": min(PAGE, most),
    }
    found: list[dict[str, Any]] = []
    with google_api("logging") as api:
        request = api.entries().list(body=body)
        while request is not None and len(found) < most:
            page = call(request, f"read the log of {execution_id}")
            found += page.get("entries", [])
            token = page.get("nextPageToken")
            request = api.entries().list(body=body | {"pageToken": token}) if token else None
    return [_line(entry) for entry in found[:most]]


def search_range(now: datetime, days: int) -> tuple[datetime, datetime]:
    """Return the range of time to search: the last `days` days, and an hour more for clocks that differ."""
    return now - timedelta(days=days), now + timedelta(hours=1)


def _line(entry: dict[str, Any]) -> LogLine:
    labels = entry.get("labels", {})
    resource = entry.get("resource", {}).get("labels", {})
    payload = entry.get("jsonPayload", {})
    text = entry.get("textPayload") or payload.get("message") or ""
    if trace := payload.get("stack_trace"):
        text = f"{text}\n{trace}"
    source = labels.get("component") or resource.get("job_name") or resource.get("service_name")
    return LogLine(
        at=parse_instant(entry["timestamp"], name="timestamp"),
        severity=str(entry.get("severity", "DEFAULT")),
        source=str(source or resource.get("workflow_id") or "?"),
        message=str(text),
    )
