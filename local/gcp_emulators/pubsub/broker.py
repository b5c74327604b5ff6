"""The local Pub/Sub: accepts messages, pushes them to endpoints or keeps them for pulls, and retries.

Delivery is at least once: messages that were not acknowledged before a stop are delivered after the next start.
"""

from __future__ import annotations

import heapq
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.pubsub.journal import DeliveryRecord, Journal, PublishedMessage, Resource
from gcp_emulators.pubsub.push import push, push_body
from gcp_emulators.pubsub.subscription_queue import (
    Lease,
    SubscriptionQueue,
    new_subscription,
    origin_attributes,
)

# push threads per subscription, whatever concurrency is requested: this is one machine
MAX_WORKERS = 16


class Broker:
    """Topics, subscriptions and the messages between them, kept in `folder`.

    now: the simulated clock; used only for publish times.
    backoff: seconds before the second attempt, and the maximum between two attempts; each wait is twice the previous
    one. It replaces the subscriptions' retry policies, which wait for minutes.
    retry_speed: keep to the retry policies instead, this many times faster than they say.
    """

    def __init__(
        self,
        folder: Path,
        now: Callable[[], datetime],
        *,
        project: str,
        backoff: tuple[float, float] = (0.1, 2.0),
        retry_speed: float | None = None,
    ) -> None:
        self.project = project
        self._now = now
        self._backoff = backoff
        self._retry_speed = retry_speed
        self._changed = threading.Condition(threading.RLock())
        self._journal = Journal(folder / "pubsub.sqlite")
        self._topics: dict[str, Resource] = {r["name"]: r for r in self._journal.resources("topic")}
        self._queues: dict[str, SubscriptionQueue] = {}
        self._closed = False
        for resource in self._journal.resources("subscription"):
            # its endpoint may have moved: nothing is pushed until the subscription is put again
            waiting = [(0.0, message) for message in self._journal.open_messages(resource["name"])]
            self._queues[resource["name"]] = SubscriptionQueue(
                resource | {"pushConfig": {}}, waiting
            )

    def close(self) -> None:
        """Stop delivering and close the file; deliveries in progress are repeated after the next start."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            workers = [worker for queue in self._queues.values() for worker in queue.workers]
        for worker in workers:
            worker.join(timeout=2)
        with self._changed:
            self._journal.close()

    def topic_name(self, topic: str) -> str:
        """Return the full name of a topic given by its full or short name."""
        return self._full_name("topics", topic)

    def subscription_name(self, subscription: str) -> str:
        """Return the full name of a subscription given by its full or short name."""
        return self._full_name("subscriptions", subscription)

    def _full_name(self, kind: str, name: str) -> str:
        return name if "/" in name else f"projects/{self.project}/{kind}/{name}"

    def ensure_topic(self, topic: str) -> Resource:
        """Return a topic; create it if it does not exist."""
        name = self.topic_name(topic)
        with self._changed:
            return self._topics.get(name) or self.create_topic({"name": name})

    def create_topic(self, resource: Resource) -> Resource:
        """Create a topic; raises ALREADY_EXISTS."""
        with self._changed:
            if resource["name"] in self._topics:
                raise GoogleApiError(409, f"Topic {resource['name']} exists already")
            self._topics[resource["name"]] = resource
            self._journal.save_resource("topic", resource)
        return resource

    def topic(self, topic: str) -> Resource:
        """Return a topic; raises NOT_FOUND."""
        name = self.topic_name(topic)
        if name not in self._topics:
            raise GoogleApiError(404, f"Topic {name} does not exist; have {sorted(self._topics)}")
        return self._topics[name]

    def topics(self) -> list[Resource]:
        """Return all topics, sorted by name."""
        return [self._topics[name] for name in sorted(self._topics)]

    def delete_topic(self, topic: str) -> None:
        """Delete a topic; its subscriptions remain, as in Pub/Sub, and receive nothing more."""
        with self._changed:
            name = str(self.topic(topic)["name"])
            del self._topics[name]
            self._journal.delete_resource("topic", name)

    def create_subscription(self, resource: Resource, concurrency: int = 4) -> Resource:
        """Create a subscription; raises ALREADY_EXISTS, or NOT_FOUND if its topic does not exist."""
        with self._changed:
            if self.subscription_name(resource["name"]) in self._queues:
                raise GoogleApiError(409, f"Subscription {resource['name']} exists already")
            return self.put_subscription(resource, concurrency)

    def put_subscription(self, resource: Resource, concurrency: int = 4) -> Resource:
        """Create a subscription, or replace an existing one and keep its messages.

        resource: `name`, `topic` and, as in Pub/Sub's JSON, `pushConfig.pushEndpoint`, `ackDeadlineSeconds`,
        `deadLetterPolicy`, `retryPolicy`. concurrency: maximum number of simultaneous pushes, at most MAX_WORKERS,
        started in order. Raises NOT_FOUND if the topic does not exist, INVALID_ARGUMENT for an endpoint on another
        machine.
        """
        name = self.subscription_name(resource["name"])
        topic = str(self.topic(resource["topic"])["name"])
        resource = new_subscription(name, topic, resource)
        endpoint = resource["pushConfig"].get("pushEndpoint", "")
        with self._changed:
            queue = self._queues.setdefault(name, SubscriptionQueue(resource))
            queue.resource = resource
            self._journal.save_resource("subscription", resource)
            while endpoint and len(queue.workers) < min(concurrency, MAX_WORKERS):
                worker = threading.Thread(target=self._work, args=(queue,), name=name, daemon=True)
                queue.workers.append(worker)
                worker.start()
            self._changed.notify_all()
        return resource

    def subscription(self, subscription: str) -> Resource:
        """Return a subscription; raises NOT_FOUND."""
        return self._queue(subscription).resource

    def subscriptions(self) -> list[Resource]:
        """Return all subscriptions, sorted by name."""
        return [self._queues[name].resource for name in sorted(self._queues)]

    def delete_subscription(self, subscription: str) -> None:
        """Delete a subscription and its undelivered messages."""
        with self._changed:
            name = str(self.subscription(subscription)["name"])
            self._queues.pop(name).removed = True
            self._journal.delete_resource("subscription", name)
            self._changed.notify_all()

    def publish(self, topic: str, data: bytes, attributes: dict[str, str] | None = None) -> str:
        """Accept a message, published at the simulated time, and return its id; raises NOT_FOUND."""
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

    def deliveries(self, limit: int = 1000) -> list[DeliveryRecord]:
        """Return the status of the newest `limit` deliveries, oldest first."""
        with self._changed:
            return self._journal.deliveries(limit)

    def idle(self) -> bool:
        """Return whether no push is in progress or waiting; messages kept for pulls do not count."""
        with self._changed:
            return not any(q.pushing or q.waiting for q in self._queues.values() if q.endpoint)

    def wait_idle(self, timeout: float) -> bool:
        """Wait until idle, at most `timeout` s; return whether it is."""
        with self._changed:
            return self._changed.wait_for(self.idle, timeout)

    def pull(self, subscription: str, limit: int, wait: float = 0.0) -> list[Lease]:
        """Lease up to `limit` messages for the subscription's deadline; wait up to `wait` s for the first."""
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
        """Acknowledge leased messages; ids with an expired lease are ignored, as in Pub/Sub."""
        with self._changed:
            queue = self._queue(subscription)
            for lease in (queue.leases.pop(ack_id, None) for ack_id in ack_ids):
                if lease:
                    self._journal.settle(lease.message.id, queue.resource["name"], "ok", None, None)

    def extend(self, subscription: str, ack_ids: list[str], seconds: float) -> None:
        """Let leases end `seconds` from now; 0 returns the messages at once, as a failed attempt."""
        until = time.monotonic() + seconds
        with self._changed:
            queue = self._queue(subscription)
            for ack_id in queue.leases.keys() & set(ack_ids):
                queue.leases[ack_id] = replace(queue.leases[ack_id], until=until)
            self._sweep(queue)
            self._changed.notify_all()

    def _queue(self, subscription: str) -> SubscriptionQueue:
        name = self.subscription_name(subscription)
        if name not in self._queues:
            raise GoogleApiError(
                404, f"Subscription {name} does not exist; have {sorted(self._queues)}"
            )
        return self._queues[name]

    def _lease(self, queue: SubscriptionQueue, limit: int) -> list[Lease]:
        self._sweep(queue)
        leases: list[Lease] = []
        while len(leases) < limit and (taken := self._take(queue)):
            message, attempt = taken
            lease = Lease(
                message, uuid.uuid4().hex, attempt, time.monotonic() + queue.deadline_seconds
            )
            queue.leases[lease.ack_id] = lease
            leases.append(lease)
        return leases

    def _sweep(self, queue: SubscriptionQueue) -> None:
        for lease in [lease for lease in queue.leases.values() if lease.until <= time.monotonic()]:
            del queue.leases[lease.ack_id]
            self._fail(queue, lease.message, lease.attempt, None, "not acknowledged in time")

    def _take(self, queue: SubscriptionQueue) -> tuple[PublishedMessage, int] | None:
        if not queue.waiting or queue.waiting[0][0] > time.monotonic():
            return None
        _, number = heapq.heappop(queue.waiting)
        attempt = self._journal.begin_attempt(number, queue.resource["name"])
        return self._journal.message(number), attempt

    def _work(self, queue: SubscriptionQueue) -> None:
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

    def _next_push(self, queue: SubscriptionQueue) -> tuple[PublishedMessage, int] | None:
        with self._changed:
            while not (self._closed or queue.removed):
                taken = self._take(queue) if queue.endpoint else None
                if taken:
                    queue.pushing += 1
                    return taken
                self._changed.wait(queue.seconds_to_next())
        return None

    def _fail(
        self,
        queue: SubscriptionQueue,
        message: PublishedMessage,
        attempt: int,
        status: int | None,
        error: str | None,
    ) -> None:
        name = queue.resource["name"]
        letter = queue.dead_letter
        if letter and attempt >= letter[1] and letter[0] in self._topics:
            attributes = message.attributes | origin_attributes(message, name, attempt)
            self.publish(letter[0], message.data, attributes)
            self._journal.settle(message.id, name, "dead", status, error)
            return
        self._journal.settle(message.id, name, "retrying", status, error)
        wait = self._wait(queue, attempt)
        heapq.heappush(queue.waiting, (time.monotonic() + wait, message.id))

    def _wait(self, queue: SubscriptionQueue, attempt: int) -> float:
        """Return the seconds until a message is delivered again after this attempt."""
        if not queue.endpoint and not queue.resource.get("retryPolicy"):
            return 0.0  # Pub/Sub gives it to the next pull at once
        speed = self._retry_speed
        shortest, longest = queue.backoff_seconds if speed else self._backoff
        return min(longest, shortest * 2.0 ** min(attempt - 1, 30)) / (speed or 1.0)
