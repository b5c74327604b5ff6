"""The subscription of fetch while its one instance works and answers every other message with 429."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gcp_emulators.pubsub.broker import Broker
from tests import emulators
from velocast_local.stack import function_servers
from velocast_local.stack.configuration import Function, load_functions

pytestmark = pytest.mark.emulator

FUNCTIONS = Path(__file__).parents[3] / "terraform" / "config" / "functions.yaml"
BUSY_SECONDS = 3600.0
SPEED = 1200.0  # an hour passes in three seconds
MESSAGES = 4  # a backfill of four months, published at once


class BusyInstance:
    """Answers 429 until an hour of the subscription's time is over, then 200."""

    def __init__(self) -> None:
        self.done: set[str] = set()
        self.attempts = 0
        began, instance = time.monotonic(), self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                instance.attempts += 1
                busy = (time.monotonic() - began) * SPEED < BUSY_SECONDS
                if not busy:
                    instance.done.add(body.decode().split('"messageId": "')[1].split('"')[0])
                self.send_response(429 if busy else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def instance() -> Iterator[BusyInstance]:
    server = BusyInstance()
    yield server
    server.stop()


def dead_letters(folder: Path, instance: BusyInstance, function: Function) -> int:
    """Publish the backfill to the function's subscription; return the number of dead letters when all is settled."""
    state: Any = SimpleNamespace(
        project=emulators.PROJECT, relays={}, ports={"fetch": instance.port}
    )
    broker = Broker(
        folder,
        lambda: datetime(2025, 3, 10, tzinfo=UTC),
        project=emulators.PROJECT,
        retry_speed=SPEED,
    )
    try:
        for topic in ("velocast-fetch", function_servers.DEAD_LETTER_TOPIC):
            broker.ensure_topic(topic)
        broker.put_subscription({"name": "kept", "topic": function_servers.DEAD_LETTER_TOPIC})
        resource = function_servers.push_subscription("fetch", function, state)
        broker.put_subscription(resource, function.concurrency * function.max_instances)
        for _ in range(MESSAGES):
            broker.publish("velocast-fetch", b"{}")
        assert broker.wait_idle(timeout=60)
        return len(broker.pull("kept", MESSAGES))
    finally:
        broker.close()


def test_outlasts_an_hour_of_429(tmp_path: Path, instance: BusyInstance) -> None:
    fetch = load_functions(FUNCTIONS)["fetch"]
    assert dead_letters(tmp_path, instance, fetch) == 0
    assert len(instance.done) == MESSAGES
    assert instance.attempts < MESSAGES * fetch.delivery.max_attempts


def test_with_the_usual_five_attempts_every_message_would_be_a_dead_letter(
    tmp_path: Path, instance: BusyInstance
) -> None:
    fetch = load_functions(FUNCTIONS)["fetch"]
    usual = fetch.model_copy(update={"delivery": load_functions(FUNCTIONS)["predict"].delivery})
    assert dead_letters(tmp_path, instance, usual) == MESSAGES


def test_outlasts_it_even_if_pub_sub_never_waits_longer_than_the_shortest_time() -> None:
    """Google does not say how fast the waits grow."""
    delivery = load_functions(FUNCTIONS)["fetch"].delivery
    assert (delivery.max_attempts - 1) * delivery.min_backoff_seconds > BUSY_SECONDS
