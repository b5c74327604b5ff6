"""Deployed functions behind push endpoints, each with one instance that answers 429 while it is busy."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gcp_emulators.core.http_server import HttpServer
from tests import emulators
from tests.functions.deployed import Deployed
from velocast_cli.operations import deployment


@dataclass
class OneInstance:
    """A function with one instance that takes one request at a time, as fetch is deployed.

    seconds: how long a request holds the instance at least. statuses: what was answered.
    """

    function: Deployed
    seconds: float = 0.0
    statuses: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def deliver(self, message: dict[str, str]) -> int:
        """Return the status that Pub/Sub receives for a message."""
        if not self.lock.acquire(blocking=False):
            return 429
        try:
            time.sleep(self.seconds)
            data = base64.b64decode(message.get("data", ""))
            return self.function.deliver(
                data, message_id=message["messageId"], published=message["publishTime"]
            )
        finally:
            self.lock.release()


@contextmanager
def pushed(
    topics: emulators.RunningPubSub, *instances: OneInstance, attempts: int = 5
) -> Iterator[None]:
    """Push the topics of the functions to them while the block runs; dead letters are kept as in production."""
    topics.broker.put_subscription(
        {"name": deployment.DEAD_LETTERS, "topic": "velocast-dead-letter"}
    )
    routes = [Route(f"/{i.function.name}", _endpoint(i), methods=["POST"]) for i in instances]
    names = [f"velocast-{i.function.name}" for i in instances]
    with HttpServer(routes) as server:
        for instance, name in zip(instances, names, strict=True):
            topics.broker.put_subscription(
                {
                    "name": name,
                    "topic": name,
                    "ackDeadlineSeconds": 60,
                    "pushConfig": {"pushEndpoint": f"{server.url}/{instance.function.name}"},
                    "deadLetterPolicy": {
                        "deadLetterTopic": f"projects/{emulators.PROJECT}/topics/velocast-dead-letter",
                        "maxDeliveryAttempts": attempts,
                    },
                }
            )
        try:
            yield
        finally:
            topics.broker.wait_idle(30)
            for name in names:
                topics.broker.delete_subscription(name)


def _endpoint(instance: OneInstance):
    async def answer(request: Request) -> Response:
        body = await request.json()
        status = await run_in_threadpool(instance.deliver, body["message"])
        instance.statuses.append(status)
        return JSONResponse({}, status_code=status)

    return answer
