"""The undelivered messages of one subscription."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.pubsub.journal import PublishedMessage, Resource

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Lease:
    """A message given to a puller; nobody else receives it before `until` (monotonic s)."""

    message: PublishedMessage
    ack_id: str
    attempt: int
    until: float


@dataclass
class SubscriptionQueue:
    """Undelivered messages of one subscription, as (available from, message id), in that order."""

    resource: Resource
    waiting: list[tuple[float, int]] = field(default_factory=list)
    leases: dict[str, Lease] = field(default_factory=dict)
    pushing: int = 0
    workers: list[threading.Thread] = field(default_factory=list)
    removed: bool = False

    @property
    def endpoint(self) -> str:
        """URL that messages are pushed to; empty for a pull subscription."""
        return str(self.resource.get("pushConfig", {}).get("pushEndpoint", ""))

    @property
    def deadline_seconds(self) -> int:
        """Acknowledgement deadline, in s."""
        return int(self.resource.get("ackDeadlineSeconds") or 10)

    @property
    def dead_letter(self) -> tuple[str, int] | None:
        """Dead-letter topic and the number of attempts before it gets a message; None: retry forever."""
        policy = self.resource.get("deadLetterPolicy") or {}
        if not policy.get("deadLetterTopic"):
            return None
        return policy["deadLetterTopic"], int(policy.get("maxDeliveryAttempts") or 5)

    @property
    def backoff_seconds(self) -> tuple[float, float]:
        """Shortest and longest wait between two attempts; without a retry policy a message is repeated at once."""
        policy = self.resource.get("retryPolicy")
        if policy is None:
            return 0.0, 0.0
        return _seconds(policy, "minimumBackoff", 10), _seconds(policy, "maximumBackoff", 600)

    def seconds_to_next(self) -> float | None:
        """Seconds until the next message may be pushed; None if there is none to push."""
        if not self.waiting or not self.endpoint:
            return None
        return max(self.waiting[0][0] - time.monotonic(), 0.001)


def _seconds(policy: Resource, key: str, otherwise: float) -> float:
    return float(str(policy.get(key) or otherwise).removesuffix("s"))


def new_subscription(name: str, topic: str, asked: Resource) -> Resource:
    """Return a subscription's resource; raises INVALID_ARGUMENT for an endpoint on another machine."""
    resource: Resource = (
        {"ackDeadlineSeconds": 10, "pushConfig": {}} | asked | {"name": name, "topic": topic}
    )
    endpoint = resource["pushConfig"].get("pushEndpoint", "")
    if endpoint and urlsplit(endpoint).hostname not in _LOOPBACK:
        raise GoogleApiError(400, f"{name}: {endpoint} is not on this machine")
    return resource


def origin_attributes(message: PublishedMessage, subscription: str, attempt: int) -> dict[str, str]:
    """Return the attributes that Pub/Sub adds to a message sent to a dead-letter topic."""
    _, project, _, name = subscription.split("/")
    return {
        "CloudPubSubDeadLetterSourceDeliveryCount": str(attempt),
        "CloudPubSubDeadLetterSourceSubscription": name,
        "CloudPubSubDeadLetterSourceSubscriptionProject": project,
        "CloudPubSubDeadLetterSourceTopicPublishTime": message.published_at,
    }
