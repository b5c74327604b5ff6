"""The local Cloud Logging, read with Google's discovery client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from googleapiclient import discovery
from googleapiclient.errors import HttpError

from gcp_emulators.cloud_logging.api import LogFile, logging_routes
from gcp_emulators.core.http_server import HttpServer

LABELS = "logging.googleapis.com/labels"
LINES = [
    {"severity": "INFO", "message": "late", "time": "2026-03-01T02:00:05Z", LABELS: {"a": "1"}},
    {"severity": "ERROR", "message": "early", "time": "2026-03-01T02:00:01.5+00:00"},
]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Any]:
    file = tmp_path / "a.log"
    text = "\n".join(json.dumps(line) for line in LINES) + "\nplain text\n"
    file.write_text(text, encoding="utf-8")
    files = [LogFile(file, "cloud_run_job", {"job_name": "j"}, {"run.x/name": "j-1"})]
    with (
        HttpServer(logging_routes("p", lambda: files)) as server,
        discovery.build(
            "logging",
            "v2",
            static_discovery=True,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": server.url},
        ) as client,
    ):
        yield client


def texts(api: Any, text: str, **body: Any) -> list[str]:
    request = api.entries().list(body={"resourceNames": ["projects/p"], "filter": text, **body})
    entries = request.execute().get("entries", [])
    return [e.get("textPayload") or e["jsonPayload"]["message"] for e in entries]


def test_entries_are_in_order_of_time_and_text_has_the_time_of_the_line_before(api: Any) -> None:
    assert texts(api, "") == ["early", "plain text", "late"]
    assert texts(api, "", orderBy="timestamp desc") == ["late", "early", "plain text"]
    (first, *_) = api.entries().list(body={"resourceNames": ["projects/p"]}).execute()["entries"]
    assert first["timestamp"] == "2026-03-01T02:00:01.500000Z"
    assert first["resource"] == {"type": "cloud_run_job", "labels": {"job_name": "j"}}
    assert first["severity"] == "ERROR"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('severity="ERROR"', ["early"]),
        ('labels.a="1" OR severity="ERROR"', ["early", "late"]),
        ('(labels.a="1" OR severity="ERROR") AND timestamp>="2026-03-01T02:00:02Z"', ["late"]),
        ('labels."run.x/name"="j-1" severity!="ERROR"', ["late"]),
        ('labels."run.x/name"="j-2"', []),
        ('jsonPayload.message="late"', ["late"]),
    ],
)
def test_filters(api: Any, text: str, found: list[str]) -> None:
    assert texts(api, text) == found


@pytest.mark.parametrize("text", ["severity", 'a="1" OR', '(a="1"', 'a =~ "b"', "%"])
def test_what_is_not_understood_is_refused(api: Any, text: str) -> None:
    with pytest.raises(HttpError, match="Unparseable filter"):
        texts(api, text)


def test_pages_follow_each_other(api: Any) -> None:
    body = {"resourceNames": ["projects/p"], "pageSize": 2}
    page = api.entries().list(body=body).execute()
    last = api.entries().list(body=body | {"pageToken": page["nextPageToken"]}).execute()
    assert (len(page["entries"]), len(last["entries"])) == (2, 1)
    assert "nextPageToken" not in last
