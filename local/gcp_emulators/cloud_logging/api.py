"""entries.list of Cloud Logging's API v2 over log files, one entry a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from gcp_emulators.cloud_logging.filters import Entry, parse_filter
from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.rest import Json, json_endpoint, paginate
from gcp_emulators.core.times import parse_instant

LABELS = "logging.googleapis.com/labels"
DEFAULT_PAGE = 50


@dataclass(frozen=True)
class LogFile:
    """A file of log lines, and the monitored resource and labels of its entries."""

    path: Path
    resource_type: str
    resource_labels: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


def logging_routes(project: str, files: Callable[[], Iterable[LogFile]]) -> list[BaseRoute]:
    """Return the route of entries.list. files: returns the files that there are now."""

    def entries(_request: Request, body: Json) -> Json:
        if body.get("resourceNames") != [f"projects/{project}"]:
            raise GoogleApiError(404, f"resourceNames must be [projects/{project}]")
        accepts = parse_filter(body.get("filter", ""))
        found = [entry for file in files() for entry in read_entries(file, project)]
        newest_first = body.get("orderBy", "timestamp asc") == "timestamp desc"
        found = sorted(filter(accepts, found), key=lambda e: e["timestamp"], reverse=newest_first)
        size = int(body.get("pageSize") or DEFAULT_PAGE)
        shown, token = paginate(found, size, body.get("pageToken", ""))
        return {"entries": shown} | ({"nextPageToken": token} if token else {})

    return [Route("/v2/entries:list", json_endpoint(entries), methods=["POST"])]


def read_entries(file: LogFile, project: str) -> Iterator[Entry]:
    """Yield the entries of a file. A line that is JSON is read as Cloud Run's agent does; others are text.

    A line without a time has that of the line before it, the first one that of the file.
    """
    if not file.path.is_file():
        return
    at = f"{datetime.fromtimestamp(file.path.stat().st_mtime, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    first: str | None = None
    with file.path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            payload = _payload(line)
            first = _time(payload) or first
            yield _entry(file, project, number, first or at, line.rstrip("\n"), payload)


def _entry(
    file: LogFile, project: str, number: int, at: str, line: str, payload: dict[str, Any] | None
) -> Entry:
    entry: Entry = {
        "logName": f"projects/{project}/logs/run.googleapis.com%2Fstdout",
        "insertId": f"{file.path.stem}-{number}",
        "timestamp": at,
        "resource": {"type": file.resource_type, "labels": file.resource_labels},
        "labels": dict(file.labels),
    }
    if payload is None:
        return entry | {"textPayload": line}
    entry["labels"] |= payload.pop(LABELS, {})
    entry["severity"] = payload.pop("severity", "DEFAULT")
    return entry | {"jsonPayload": payload}


def _payload(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _time(payload: dict[str, Any] | None) -> str | None:
    """Take the time out of a payload; None if it has none. All have microseconds and a Z, so that they sort as text."""
    try:
        moment = parse_instant(str((payload or {}).pop("time", "")))
    except ValueError:
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
