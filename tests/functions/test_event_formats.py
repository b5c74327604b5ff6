"""Every format in which a Pub/Sub message may reach a function ends as the same request.

The formats, and what must come of them, are those of Google's conformance tests of Functions Frameworks
(GoogleCloudPlatform/functions-framework-conformance: pubsub_text, pubsub_binary, legacy_pubsub).
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.functions.deployed import load_function
from velocast.core.audit_row import AuditRow
from velocast.core.requests import FetchRequest
from velocast.core.settings import FetchSettings
from velocast.usecases.context import Run
from velocast.usecases.ingest import requested

ID = "aaaaaa-1111-bbbb-2222-cccccccccccc"
TIME = "2026-03-01T02:00:00.123Z"
TOPIC = "projects/sample-project/topics/velocast-fetch"
SUBSCRIPTION = "projects/sample-project/subscriptions/velocast-fetch"
TYPE = "google.cloud.pubsub.topic.v1.messagePublished"
BODY = b'{"since": "2026-02-01T00:00:00Z", "until": "2026-02-08T00:00:00Z"}'
ENCODED = base64.b64encode(BODY).decode()
MESSAGE: dict[str, Any] = {
    "@type": "type.googleapis.com/google.pubsub.v1.PubsubMessage",
    "messageId": ID,
    "publishTime": TIME,
    "attributes": {"attr1": "attr1-value"},
    "data": ENCODED,
}
ATTRIBUTES = {
    "specversion": "1.0",
    "type": TYPE,
    "source": f"//pubsub.googleapis.com/{TOPIC}",
    "id": ID,
    "time": TIME,
}
DATA = {"subscription": SUBSCRIPTION, "message": MESSAGE}
CALLS: dict[str, dict[str, Any]] = {
    "push": {"json": {"subscription": SUBSCRIPTION, "message": MESSAGE}},
    "push to the topic's path": {"path": f"/{TOPIC}", "json": DATA},
    "push with both spellings": {
        "json": DATA | {"message": MESSAGE | {"message_id": ID, "publish_time": TIME}}
    },
    "structured CloudEvent": {
        "data": json.dumps(ATTRIBUTES | {"datacontenttype": "application/json", "data": DATA}),
        "headers": {"Content-Type": "application/cloudevents+json"},
    },
    "binary CloudEvent": {
        "data": json.dumps(DATA),
        "headers": {"Content-Type": "application/json"}
        | {f"ce-{name}": value for name, value in ATTRIBUTES.items()},
    },
    "legacy event": {
        "json": {
            "eventId": ID,
            "timestamp": TIME,
            "eventType": "providers/cloud.pubsub/eventTypes/topic.publish",
            "resource": TOPIC,
            "data": {key: MESSAGE[key] for key in ("@type", "attributes", "data")},
        }
    },
    "legacy event with a context": {
        "json": {
            "context": {
                "eventId": ID,
                "timestamp": TIME,
                "eventType": "google.pubsub.topic.publish",
                "resource": {"service": "pubsub.googleapis.com", "name": TOPIC, "type": "x"},
            },
            "data": {key: MESSAGE[key] for key in ("@type", "attributes", "data")},
        }
    },
}
Asked = list[tuple[FetchRequest, str, datetime]]


@pytest.fixture
def asked(emulator_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the use case of the function `fetch` is asked for."""
    found: Asked = []

    def use_case(request: FetchRequest, run: Run[FetchSettings]) -> list[AuditRow]:
        found.append((request, run.execution_id, run.as_of))
        return []

    monkeypatch.setattr(requested, "ingest_city_data", use_case)
    return found


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_each_format_is_the_same_request(call: dict[str, Any], asked: Asked) -> None:
    client = load_function("fetch").test_client()
    answer = client.post(**({"path": "/"} | call))
    assert answer.status_code == 200, answer.text
    expected = FetchRequest(since="2026-02-01T00:00:00Z", until="2026-02-08T00:00:00Z")
    assert asked == [(expected, ID, datetime(2026, 3, 1, 2, 0, 0, 123_000, tzinfo=UTC))]


def test_a_message_with_empty_data_is_a_request_with_defaults(asked: Asked) -> None:
    answer = (
        load_function("fetch")
        .test_client()
        .post("/", json=DATA | {"message": MESSAGE | {"data": ""}})
    )
    assert answer.status_code == 200, answer.text
    assert asked[0][0] == FetchRequest()


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b"{}", b'{"message": 3}'])
def test_what_is_no_event_is_refused_and_runs_nothing(body: bytes, asked: Asked) -> None:
    client = load_function("fetch").test_client()
    client.application.config["PROPAGATE_EXCEPTIONS"] = False
    answer = client.post("/", data=body, content_type="application/json")
    assert answer.status_code >= 400
    assert asked == []
