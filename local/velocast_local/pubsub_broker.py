"""The local Pub/Sub: takes messages, pushes them to functions or keeps them for pulls, retries, gives up.

Delivery is at least once: what was not acknowledged before a stop is delivered after the next start.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from velocast_local.pubsub_journal import Delivery, Journal, Message, Resource
from velocast_local.pubsub_push import push, push_body

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class PubSubError(Exception):
    """A refusal, with the status that Pub/Sub's gRPC and REST interfaces give it."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Lease:
    """A message handed to a puller: until `until` (monotonic s) nobody else gets it."""

    message: Message
    ack_id: str
    attempt: int
    until: float


@dataclass
class _Queue:
    """What one subscription still has to deliver: (available from, message id), in that order."""

    resource: Resource
    waiting: list[tuple[float, int]] = field(default_factory=list)
    leases: dict[str, Lease] = field(default_factory=dict)
    pushing: int = 0
    workers: list[threading.Thread] = field(default_factory=list)
    removed: bool = False

    @property
    def endpoint(self) -> str:
        """Where messages are pushed to, empty for a subscription that is pulled."""
        return str(self.resource.get("pushConfig", {}).get("pushEndpoint", ""))

    @property
    def deadline_seconds(self) -> int:
        """How long a receiver may take."""
        return int(self.resource.get("ackDeadlineSeconds") or 10)

    @property
    def dead_letter(self) -> tuple[str, int] | None:
        """Topic for messages that fail, and after how many attempts; None: try for ever."""
        policy = self.resource.get("deadLetterPolicy") or {}
        if not policy.get("deadLetterTopic"):
            return None
        return policy["deadLetterTopic"], int(policy.get("maxDeliveryAttempts") or 5)


class Broker:
    """Topics, subscriptions and the messages between them, kept in `folder`.

    now: the simulated clock; gives the publish times, nothing else.
    backoff: seconds before the second attempt, and the most between two; each wait doubles the last. It
    stands for the subscriptions' retry policies, which count in the cloud's minutes.
    """

    def __init__(
        self,
        folder: Path,
        now: Callable[[], datetime],
        *,
        project: str = "velocast-local",
        backoff: tuple[float, float] = (0.1, 2.0),
    ) -> None:
        self.project = project
        self._now = now
        self._backoff = backoff
        self._changed = threading.Condition(threading.RLock())
        self._journal = Journal(folder / "pubsub.sqlite")
        self._topics = {r["name"]: r for r in self._journal.resources("topic")}
        self._queues: dict[str, _Queue] = {}
        self._closed = False
        for resource in self._journal.resources("subscription"):
            # its receiver may be elsewhere now: nothing is pushed until the subscription is put again
            parked = resource | {"pushConfig": {}}
            self._queues[resource["name"]] = _Queue(parked, self._open(resource["name"]))

    def close(self) -> None:
        """Stop delivering and close the file; what is under way is delivered again after the next start."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            workers = [worker for queue in self._queues.values() for worker in queue.workers]
        for worker in workers:
            worker.join(timeout=2)
        with self._changed:
            self._journal.close()

    # topics and subscriptions: resources in the shape of Pub/Sub's JSON

    def topic_name(self, topic: str) -> str:
        """Return the full name of a topic given by its full or short name."""
        return topic if "/" in topic else f"projects/{self.project}/topics/{topic}"

    def subscription_name(self, subscription: str) -> str:
        """Return the full name of a subscription given by its full or short name."""
        return (
            subscription
            if "/" in subscription
            else f"projects/{self.project}/subscriptions/{subscription}"
        )

    def ensure_topic(self, topic: str) -> Resource:
        """Return a topic, made now if there is none."""
        name = self.topic_name(topic)
        with self._changed:
            if name not in self._topics:
                self.create_topic({"name": name})
            return self._topics[name]

    def create_topic(self, resource: Resource) -> Resource:
        """Make a topic; raises ALREADY_EXISTS."""
        with self._changed:
            if resource["name"] in self._topics:
                raise PubSubError("ALREADY_EXISTS", f"Topic {resource['name']} exists already")
            self._topics[resource["name"]] = resource
            self._journal.save_resource("topic", resource)
        return resource

    def topic(self, topic: str) -> Resource:
        """Return a topic; raises NOT_FOUND."""
        name = self.topic_name(topic)
        if name not in self._topics:
            raise PubSubError(
                "NOT_FOUND", f"Topic {name} does not exist; have {sorted(self._topics)}"
            )
        return self._topics[name]

    def topics(self) -> list[Resource]:
        """Return all topics by name."""
        return [self._topics[name] for name in sorted(self._topics)]

    def delete_topic(self, topic: str) -> None:
        """Remove a topic; its subscriptions stay, as Pub/Sub keeps them, and get nothing more."""
        with self._changed:
            name = str(self.topic(topic)["name"])
            del self._topics[name]
            self._journal.delete_resource("topic", name)

    def create_subscription(self, resource: Resource, concurrency: int = 4) -> Resource:
        """Make a subscription; raises ALREADY_EXISTS, or NOT_FOUND without its topic."""
        with self._changed:
            if self.subscription_name(resource["name"]) in self._queues:
                raise PubSubError(
                    "ALREADY_EXISTS", f"Subscription {resource['name']} exists already"
                )
            return self.put_subscription(resource, concurrency)

    def put_subscription(self, resource: Resource, concurrency: int = 4) -> Resource:
        """Make a subscription or give the existing one another push endpoint; its messages stay.

        resource: `name`, `topic` and, as in Pub/Sub's JSON, `pushConfig.pushEndpoint`, `ackDeadlineSeconds`,
        `deadLetterPolicy`. concurrency: pushes under way at once; they start in the order of publishing.
        Raises NOT_FOUND without the topic, INVALID_ARGUMENT for an endpoint off this machine.
        """
        name = self.subscription_name(resource["name"])
        topic = str(self.topic(resource["topic"])["name"])
        resource = (
            {"ackDeadlineSeconds": 10, "pushConfig": {}} | resource | {"name": name, "topic": topic}
        )
        endpoint = resource["pushConfig"].get("pushEndpoint", "")
        if endpoint and urlsplit(endpoint).hostname not in _LOOPBACK:
            raise PubSubError("INVALID_ARGUMENT", f"{name}: {endpoint} is not on this machine")
        with self._changed:
            queue = self._queues.setdefault(name, _Queue(resource))
            queue.resource = resource
            self._journal.save_resource("subscription", resource)
            while endpoint and len(queue.workers) < concurrency:
                worker = threading.Thread(target=self._work, args=(queue,), name=name, daemon=True)
                queue.workers.append(worker)
                worker.start()
            self._changed.notify_all()
        return resource

    def subscription(self, subscription: str) -> Resource:
        """Return a subscription; raises NOT_FOUND."""
        return self._queue(subscription).resource

    def subscriptions(self) -> list[Resource]:
        """Return all subscriptions by name."""
        return [self._queues[name].resource for name in sorted(self._queues)]

    def delete_subscription(self, subscription: str) -> None:
        """Remove a subscription and what it had still to deliver."""
        with self._changed:
            queue = self._queue(subscription)
            queue.removed = True
            del self._queues[queue.resource["name"]]
            self._journal.delete_resource("subscription", queue.resource["name"])
            self._changed.notify_all()

    # messages

    def publish(self, topic: str, data: bytes, attributes: dict[str, str] | None = None) -> str:
        """Take a message, published at the simulated now, and return its id; raises NOT_FOUND."""
        published_at = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        with self._changed:
            name = str(self.topic(topic)["name"])
            queues = [q for q in self._queues.values() if q.resource["topic"] == name]
            names = [queue.resource["name"] for queue in queues]
            message = self._journal.add_message(name, data, attributes or {}, published_at, names)
            for queue in queues:
                heapq.heappush(queue.waiting, (0.0, message))
            self._changed.notify_all()
        return str(message)

    def deliveries(self, limit: int = 1000) -> list[Delivery]:
        """Return how the newest deliveries stand, oldest first: the delivery log."""
        with self._changed:
            return self._journal.deliveries(limit)

    def idle(self) -> bool:
        """Return whether no push is under way or waiting; messages kept for a pull do not count."""
        with self._changed:
            return not any(q.pushing or q.waiting for q in self._queues.values() if q.endpoint)

    def wait_idle(self, timeout: float) -> bool:
        """Wait until idle, at most `timeout` s; return whether it is."""
        with self._changed:
            return self._changed.wait_for(self.idle, timeout)

    # pull

    def pull(self, subscription: str, limit: int, wait: float = 0.0) -> list[Lease]:
        """Lease up to `limit` messages for the subscription's deadline, waiting up to `wait` s for one."""
        deadline = time.monotonic() + wait
        with self._changed:
            queue = self._queue(subscription)
            while not (found := self._lease(queue, limit)) and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, 0.1))
        return found

    def acknowledge(self, subscription: str, ack_ids: list[str]) -> None:
        """Settle leased messages; an id whose lease is over is passed by, as Pub/Sub does."""
        with self._changed:
            queue = self._queue(subscription)
            for lease in (queue.leases.pop(ack_id, None) for ack_id in ack_ids):
                if lease:
                    self._journal.settle(lease.message.id, queue.resource["name"], "ok", None, None)

    def extend(self, subscription: str, ack_ids: list[str], seconds: float) -> None:
        """Give leased messages `seconds` from now; 0 gives them back at once, as a failed attempt."""
        with self._changed:
            queue = self._queue(subscription)
            for ack_id in ack_ids:
                lease = queue.leases.pop(ack_id, None)
                if lease is None:
                    continue
                until = time.monotonic() + seconds
                queue.leases[ack_id] = Lease(lease.message, ack_id, lease.attempt, until)
            self._sweep(queue)
            self._changed.notify_all()

    # inside; all but _work under the lock

    def _open(self, subscription: str) -> list[tuple[float, int]]:
        return [(0.0, message) for message in self._journal.open_messages(subscription)]

    def _queue(self, subscription: str) -> _Queue:
        name = self.subscription_name(subscription)
        if name not in self._queues:
            raise PubSubError(
                "NOT_FOUND", f"Subscription {name} does not exist; have {sorted(self._queues)}"
            )
        return self._queues[name]

    def _lease(self, queue: _Queue, limit: int) -> list[Lease]:
        self._sweep(queue)
        leases = []
        while len(leases) < limit and (taken := self._take(queue)):
            message, attempt = taken
            lease = Lease(
                message, uuid.uuid4().hex, attempt, time.monotonic() + queue.deadline_seconds
            )
            queue.leases[lease.ack_id] = lease
            leases.append(lease)
        return leases

    def _sweep(self, queue: _Queue) -> None:
        for lease in [lease for lease in queue.leases.values() if lease.until <= time.monotonic()]:
            del queue.leases[lease.ack_id]
            self._fail(queue, lease.message, lease.attempt, None, "not acknowledged in time")

    def _take(self, queue: _Queue) -> tuple[Message, int] | None:
        if not queue.waiting or queue.waiting[0][0] > time.monotonic():
            return None
        _, number = heapq.heappop(queue.waiting)
        attempt = self._journal.begin_attempt(number, queue.resource["name"])
        return self._journal.message(number), attempt

    def _work(self, queue: _Queue) -> None:
        while taken := self._next_push(queue):
            message, attempt = taken
            counted = attempt if queue.dead_letter else None
            body = push_body(message, queue.resource["name"], counted)
            result = push(queue.endpoint, body, queue.deadline_seconds)
            with self._changed:
                queue.pushing -= 1
                if self._closed or queue.removed:
                    return
                if result.acknowledged:
                    self._journal.settle(
                        message.id, queue.resource["name"], "ok", result.status, None
                    )
                else:
                    self._fail(queue, message, attempt, result.status, result.error)
                self._changed.notify_all()

    def _next_push(self, queue: _Queue) -> tuple[Message, int] | None:
        with self._changed:
            while not (self._closed or queue.removed):
                taken = self._take(queue) if queue.endpoint else None
                if taken:
                    queue.pushing += 1
                    return taken
                available = queue.waiting[0][0] if queue.waiting and queue.endpoint else math.inf
                left = available - time.monotonic()
                self._changed.wait(None if left == math.inf else max(left, 0.001))
        return None

    def _fail(
        self, queue: _Queue, message: Message, attempt: int, status: int | None, error: str | None
    ) -> None:
        name = queue.resource["name"]
        letter = queue.dead_letter
        if letter and attempt >= letter[1] and letter[0] in self._topics:
            self.publish(
                letter[0], message.data, message.attributes | _origin(message, name, attempt)
            )
            self._journal.settle(message.id, name, "dead", status, error)
            return
        self._journal.settle(message.id, name, "retrying", status, error)
        shortest, longest = self._backoff
        wait = min(longest, shortest * 2.0 ** min(attempt - 1, 30))
        heapq.heappush(queue.waiting, (time.monotonic() + wait, message.id))


def _origin(message: Message, subscription: str, attempt: int) -> dict[str, str]:
    """Return the attributes Pub/Sub adds to a message it sends to a dead-letter topic."""
    _, project, _, name = subscription.split("/")
    return {
        "CloudPubSubDeadLetterSourceDeliveryCount": str(attempt),
        "CloudPubSubDeadLetterSourceSubscription": name,
        "CloudPubSubDeadLetterSourceSubscriptionProject": project,
        "CloudPubSubDeadLetterSourceTopicPublishTime": message.published_at,
    }
