"""The local Pub/Sub, through Google's own clients and over HTTP as gcloud speaks to it."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.api_core.exceptions import AlreadyExists, InvalidArgument, NotFound
from google.cloud import pubsub_v1

from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.http_server import HttpServer
from gcp_emulators.pubsub.broker import Broker
from gcp_emulators.pubsub.grpc_server import PubSubServer
from gcp_emulators.pubsub.rest import pubsub_routes
from tests.emulators import RunningPubSub

pytestmark = pytest.mark.emulator

PROJECT = "velocast-local"
NOW = datetime(2025, 3, 10, 4, 0, tzinfo=UTC)


class Receiver:
    """An HTTP server that notes the pushes it gets and answers with the next of `answers`, then 200."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.answers: list[int] = []
        self.under_way = 0
        self.most_under_way = 0
        self.seconds = 0.0
        self._lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.take(self.path, json.loads(body))
                self.send_response(status)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"said")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, path: str, body: dict[str, Any]) -> int:
        with self._lock:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            self.bodies.append(body)
            self.paths.append(path)
            status = self.answers.pop(0) if self.answers else 200
        time.sleep(self.seconds)
        with self._lock:
            self.under_way -= 1
        return status

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path, lambda: NOW, project=PROJECT, backoff=(0.01, 0.05))
    running.ensure_topic("velocast-fetch")
    running.ensure_topic("velocast-dead-letter")
    yield running
    running.close()


def push_subscription(url: str, **more: Any) -> dict[str, Any]:
    push_url = f"{url}/projects/{PROJECT}/topics/velocast-fetch"
    return {
        "name": "fetch",
        "topic": "velocast-fetch",
        "pushConfig": {"pushEndpoint": push_url},
    } | more


def dead_letter(attempts: int) -> dict[str, Any]:
    topic = f"projects/{PROJECT}/topics/velocast-dead-letter"
    return {"deadLetterPolicy": {"deadLetterTopic": topic, "maxDeliveryAttempts": attempts}}


def test_the_client_publishes_and_pulls(topics: RunningPubSub) -> None:
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    topic = publisher.topic_path(PROJECT, "velocast-alerts")
    message_id = publisher.publish(topic, b'{"a":1}', kind="event").result(timeout=10)

    path = subscriber.subscription_path(PROJECT, "velocast-alerts-kept")
    received = subscriber.pull(subscription=path, max_messages=5, timeout=10).received_messages
    subscriber.acknowledge(subscription=path, ack_ids=[received[0].ack_id], timeout=10)

    message = received[0].message
    assert (message.message_id, message.data, dict(message.attributes)) == (
        message_id,
        b'{"a":1}',
        {"kind": "event"},
    )
    assert message.publish_time == topics.now
    assert not subscriber.pull(subscription=path, max_messages=5, timeout=10).received_messages
    subscriber.close()


def test_the_client_manages_topics_and_subscriptions(topics: RunningPubSub) -> None:
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    topic = publisher.topic_path(PROJECT, "passing")
    path = subscriber.subscription_path(PROJECT, "passing-sub")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=path, topic=topic, ack_deadline_seconds=30)

    assert topic in [t.name for t in publisher.list_topics(project=f"projects/{PROJECT}")]
    assert list(publisher.list_topic_subscriptions(topic=topic)) == [path]
    assert subscriber.get_subscription(subscription=path).ack_deadline_seconds == 30
    with pytest.raises(AlreadyExists, match="exists already"):
        publisher.create_topic(name=topic)

    subscriber.delete_subscription(subscription=path)
    publisher.delete_topic(topic=topic)
    with pytest.raises(NotFound, match="does not exist"):
        publisher.get_topic(topic=topic)
    with pytest.raises(NotFound, match="does not exist"):
        subscriber.pull(subscription=path, max_messages=1, timeout=5)
    subscriber.close()


def test_publishing_to_no_topic_or_without_content_is_refused(topics: RunningPubSub) -> None:
    publisher = pubsub_v1.PublisherClient()
    with pytest.raises(NotFound, match="projects/velocast-local/topics/none"):
        publisher.publish(publisher.topic_path(PROJECT, "none"), b"x").result(timeout=10)
    with pytest.raises(InvalidArgument, match="at least one attribute"):
        publisher.publish(publisher.topic_path(PROJECT, "velocast-fetch"), b"").result(timeout=10)


def test_a_streaming_pull_gives_and_settles_messages(topics: RunningPubSub) -> None:
    subscriber = pubsub_v1.SubscriberClient()
    path = subscriber.subscription_path(PROJECT, "velocast-fetch-kept")
    got: list[bytes] = []

    def keep(message: Any) -> None:
        got.append(message.data)
        message.ack()

    stream = subscriber.subscribe(path, callback=keep)
    for number in range(3):
        topics.broker.publish("velocast-fetch", b"%d" % number)
    deadline = time.monotonic() + 10
    while len(got) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    stream.cancel()
    with suppress(FutureTimeout):
        stream.result(timeout=5)
    subscriber.close()

    assert sorted(got) == [b"0", b"1", b"2"]


def test_a_push_carries_the_wrapped_body(broker: Broker, receiver: Receiver) -> None:
    broker.put_subscription(push_subscription(receiver.url))
    message_id = broker.publish("velocast-fetch", b'{"as_of": null}', {"origin": "test"})
    assert broker.wait_idle(5)

    assert receiver.paths == [f"/projects/{PROJECT}/topics/velocast-fetch"]
    assert receiver.bodies == [
        {
            "message": {
                "data": base64.b64encode(b'{"as_of": null}').decode(),
                "attributes": {"origin": "test"},
                "messageId": message_id,
                "message_id": message_id,
                "publishTime": "2025-03-10T04:00:00.000000Z",
                "publish_time": "2025-03-10T04:00:00.000000Z",
            },
            "subscription": f"projects/{PROJECT}/subscriptions/fetch",
        }
    ]
    [delivery] = broker.deliveries()
    assert (delivery.attempts, delivery.outcome, delivery.status, delivery.error) == (
        1,
        "ok",
        200,
        None,
    )


@pytest.mark.parametrize("status", [201, 202, 204])
def test_every_success_acknowledges(broker: Broker, receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    broker.put_subscription(push_subscription(receiver.url))
    broker.publish("velocast-fetch", b"x")
    assert broker.wait_idle(5)
    assert len(receiver.bodies) == 1


def test_a_refused_push_is_repeated(broker: Broker, receiver: Receiver) -> None:
    receiver.answers = [500, 429, 301]
    broker.put_subscription(push_subscription(receiver.url))
    broker.publish("velocast-fetch", b"x")
    assert broker.wait_idle(5)

    assert len(receiver.bodies) == 4
    [delivery] = broker.deliveries()
    assert (delivery.attempts, delivery.outcome, delivery.status) == (4, "ok", 200)


def test_a_hopeless_message_goes_to_the_dead_letter_topic(
    broker: Broker, receiver: Receiver
) -> None:
    receiver.answers = [500] * 5
    broker.create_subscription({"name": "kept", "topic": "velocast-dead-letter"})
    broker.put_subscription(push_subscription(receiver.url, **dead_letter(5)))
    broker.publish("velocast-fetch", b"bad", {"origin": "test"})
    assert broker.wait_idle(5)

    assert [body["deliveryAttempt"] for body in receiver.bodies] == [1, 2, 3, 4, 5]
    [lease] = broker.pull("kept", 10)
    assert lease.message.data == b"bad"
    assert lease.message.attributes == {
        "origin": "test",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": "fetch",
        "CloudPubSubDeadLetterSourceSubscriptionProject": PROJECT,
        "CloudPubSubDeadLetterSourceTopicPublishTime": "2025-03-10T04:00:00.000000Z",
    }
    dead, kept = broker.deliveries()
    assert (dead.outcome, dead.attempts, dead.status, dead.error) == ("dead", 5, 500, "said")
    assert (kept.topic, kept.outcome) == (
        f"projects/{PROJECT}/topics/velocast-dead-letter",
        "waiting",
    )


def test_pushes_start_in_order_and_at_most_n_at_once(broker: Broker, receiver: Receiver) -> None:
    receiver.seconds = 0.03
    broker.put_subscription(push_subscription(receiver.url), concurrency=2)
    ids = [broker.publish("velocast-fetch", b"x") for _ in range(8)]
    assert not broker.idle()
    assert broker.wait_idle(5)

    assert receiver.most_under_way == 2
    started = [body["message"]["messageId"] for body in receiver.bodies]
    assert all(abs(started.index(i) - ids.index(i)) <= 1 for i in ids)


def test_one_at_a_time_keeps_the_order(broker: Broker, receiver: Receiver) -> None:
    broker.put_subscription(push_subscription(receiver.url), concurrency=1)
    ids = [broker.publish("velocast-fetch", b"x") for _ in range(20)]
    assert broker.wait_idle(5)
    assert [body["message"]["messageId"] for body in receiver.bodies] == ids


def test_a_push_arrives_within_milliseconds(broker: Broker, receiver: Receiver) -> None:
    broker.put_subscription(push_subscription(receiver.url))
    began = time.monotonic()
    for _ in range(20):
        broker.publish("velocast-fetch", b"x")
        assert broker.wait_idle(5)
    assert (time.monotonic() - began) / 20 < 0.1


def test_what_was_not_delivered_survives_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    nobody = push_subscription("http://127.0.0.1:9")
    first = Broker(tmp_path, lambda: NOW, project=PROJECT, backoff=(0.01, 0.05))
    first.ensure_topic("velocast-fetch")
    first.put_subscription(nobody)
    message_id = first.publish("velocast-fetch", b"still here")
    assert not first.wait_idle(0.1)
    first.close()

    second = Broker(tmp_path, lambda: NOW, project=PROJECT, backoff=(0.01, 0.05))
    second.ensure_topic("velocast-fetch")
    second.put_subscription(push_subscription(receiver.url))
    assert second.wait_idle(5)
    [delivery] = second.deliveries()
    second.close()

    assert [body["message"]["messageId"] for body in receiver.bodies] == [message_id]
    assert delivery.outcome == "ok"
    assert delivery.attempts > 1


def test_a_lease_that_runs_out_frees_the_message(broker: Broker) -> None:
    broker.create_subscription({"name": "kept", "topic": "velocast-fetch"})
    broker.publish("velocast-fetch", b"x")
    [lease] = broker.pull("kept", 10)
    assert broker.pull("kept", 10) == []

    broker.extend("kept", [lease.ack_id], 0)
    [again] = broker.pull("kept", 10, wait=1)
    broker.acknowledge("kept", [lease.ack_id])
    assert (again.message.id, again.attempt) == (lease.message.id, 2)


def test_a_pull_gets_a_refused_message_at_once_unless_a_retry_policy_delays_it(
    tmp_path: Path,
) -> None:
    slow = Broker(tmp_path, lambda: NOW, project=PROJECT, backoff=(60, 60))
    slow.ensure_topic("velocast-fetch")
    slow.create_subscription({"name": "kept", "topic": "velocast-fetch"})
    policy = {"minimumBackoff": "60s", "maximumBackoff": "600s"}
    slow.create_subscription({"name": "late", "topic": "velocast-fetch", "retryPolicy": policy})
    slow.publish("velocast-fetch", b"x")
    for subscription in ("kept", "late"):
        [lease] = slow.pull(subscription, 10)
        slow.extend(subscription, [lease.ack_id], 0)
    assert [len(slow.pull(subscription, 10)) for subscription in ("kept", "late")] == [1, 0]
    slow.close()


def test_an_endpoint_elsewhere_is_refused(broker: Broker) -> None:
    with pytest.raises(GoogleApiError, match=r"http://example\.org/x is not on this machine"):
        broker.put_subscription(
            {
                "name": "s",
                "topic": "velocast-fetch",
                "pushConfig": {"pushEndpoint": "http://example.org/x"},
            }
        )


def test_rest_as_gcloud_speaks_it(broker: Broker) -> None:
    base = f"/v1/projects/{PROJECT}"
    with HttpServer(pubsub_routes(broker)) as server, httpx.Client(base_url=server.url) as client:
        made = client.put(
            f"{base}/subscriptions/s", json={"topic": f"projects/{PROJECT}/topics/velocast-fetch"}
        )
        body = {"messages": [{"data": base64.b64encode(b"hello").decode(), "attributes": {}}]}
        published = client.post(f"{base}/topics/velocast-fetch:publish", json=body)
        pulled = client.post(f"{base}/subscriptions/s:pull", json={"maxMessages": 1}).json()
        [received] = pulled["receivedMessages"]
        acked = client.post(
            f"{base}/subscriptions/s:acknowledge", json={"ackIds": [received["ackId"]]}
        )
        nothing = client.post(f"{base}/subscriptions/s:pull", json={"maxMessages": 1})
        missing = client.post(f"{base}/topics/none:publish", json=body)
        listed = client.get(f"{base}/topics").json()
        unknown = client.post(f"{base}/topics/velocast-fetch:seek", json={})

    assert made.json()["ackDeadlineSeconds"] == 10
    assert published.json() == {"messageIds": [received["message"]["messageId"]]}
    assert base64.b64decode(received["message"]["data"]) == b"hello"
    assert (acked.json(), nothing.json()) == ({}, {})
    assert (missing.status_code, missing.json()["error"]["status"]) == (404, "NOT_FOUND")
    assert [t["name"].split("/")[-1] for t in listed["topics"]] == [
        "velocast-dead-letter",
        "velocast-fetch",
    ]
    assert unknown.status_code == 400


def test_a_server_starts_and_stops_on_a_port_of_its_own(broker: Broker) -> None:
    with PubSubServer(broker) as server:
        assert server.host == f"127.0.0.1:{server.port}"
