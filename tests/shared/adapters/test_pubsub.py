"""Messages from the publisher to a push subscriber."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core.exceptions import NotFound

from tests.emulators import PROJECT, RunningPubSub
from velocast.adapters.pubsub import Publisher
from velocast.core.notices import NOTICE, DriftDetected
from velocast.core.requests import FetchRequest, unpack

NOTE = DriftDetected(
    event_id="monitor:7:drift",
    occurred_at="2025-03-10T00:00:00Z",
    share=0.4,
    drifted_columns=("bike_count", "température"),
    columns=7,
    reference="a year earlier",
    report_uri="gs://reports/d.html",
)


@pytest.fixture
def receiver() -> Iterator[SimpleNamespace]:
    """An HTTP server that keeps the bodies pushed to it."""
    bodies: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_address[1]}/", bodies=bodies)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_notice_reaches_the_push_subscriber_as_it_was(
    topics: RunningPubSub, receiver: SimpleNamespace
):
    topics.broker.create_subscription(
        {
            "name": "pushed",
            "topic": "velocast-alerts",
            "pushConfig": {"pushEndpoint": receiver.url},
        }
    )
    message_id = Publisher(PROJECT).publish("velocast-alerts", NOTE)
    delivery = unpack(SimpleNamespace(data=receiver.bodies.get(timeout=10)))
    assert delivery.message_id == message_id
    assert delivery.published_at == topics.now
    assert NOTICE.validate_json(delivery.text) == NOTE


def test_only_a_notice_carries_its_event_as_an_attribute(topics: RunningPubSub):
    publisher = Publisher(PROJECT)
    publisher.publish("velocast-alerts", NOTE)
    publisher.publish("velocast-fetch", FetchRequest(as_of="2025-03-01T00:00:00Z"))
    [notice] = topics.published("velocast-alerts")
    [request] = topics.published("velocast-fetch")
    assert notice.attributes == {"event": "drift_detected"}
    assert request.attributes == {}
    assert json.loads(request.data) == {
        "as_of": "2025-03-01T00:00:00Z",
        "since": None,
        "until": None,
        "sweep_days": None,
    }


def test_a_topic_that_is_not_there_is_told(topics: RunningPubSub):
    with pytest.raises(NotFound, match="no-such-topic"):
        Publisher(PROJECT).publish("no-such-topic", NOTE)
