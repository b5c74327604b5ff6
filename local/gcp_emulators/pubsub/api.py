"""Pub/Sub's methods, from JSON to JSON, shared by the gRPC and the REST interface."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator

import grpc

from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.pubsub.broker import Broker
from gcp_emulators.pubsub.journal import Resource
from gcp_emulators.pubsub.push import message_json
from gcp_emulators.pubsub.subscription_queue import Lease

# how long pulls wait for the first message, s
_PULL_WAIT = 0.25
_STREAM_WAIT = 0.5


class PubSubApi:
    """The methods of Pub/Sub's Publisher and Subscriber, from JSON to JSON."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    def create_topic(self, request: Resource) -> Resource:
        """Publisher.CreateTopic."""
        return self.broker.create_topic(request)

    def get_topic(self, request: Resource) -> Resource:
        """Publisher.GetTopic."""
        return self.broker.topic(request["topic"])

    def list_topics(self, _request: Resource) -> Resource:
        """Publisher.ListTopics, all on one page."""
        return {"topics": self.broker.topics()}

    def list_topic_subscriptions(self, request: Resource) -> Resource:
        """Publisher.ListTopicSubscriptions."""
        name = self.broker.topic(request["topic"])["name"]
        return {
            "subscriptions": [s["name"] for s in self.broker.subscriptions() if s["topic"] == name]
        }

    def delete_topic(self, request: Resource) -> Resource:
        """Publisher.DeleteTopic."""
        self.broker.delete_topic(request["topic"])
        return {}

    def publish(self, request: Resource) -> Resource:
        """Publisher.Publish; raises INVALID_ARGUMENT for a message with neither data nor attributes."""
        self.broker.topic(request["topic"])
        messages = request.get("messages", [])
        if not messages or not all(m.get("data") or m.get("attributes") for m in messages):
            raise GoogleApiError(400, "each message needs data or at least one attribute")
        ids = [
            self.broker.publish(
                request["topic"], base64.b64decode(m.get("data", "")), m.get("attributes", {})
            )
            for m in messages
        ]
        return {"messageIds": ids}

    def create_subscription(self, request: Resource) -> Resource:
        """Subscriber.CreateSubscription."""
        return self.broker.create_subscription(request)

    def get_subscription(self, request: Resource) -> Resource:
        """Subscriber.GetSubscription."""
        return self.broker.subscription(request["subscription"])

    def list_subscriptions(self, _request: Resource) -> Resource:
        """Subscriber.ListSubscriptions, all on one page."""
        return {"subscriptions": self.broker.subscriptions()}

    def delete_subscription(self, request: Resource) -> Resource:
        """Subscriber.DeleteSubscription."""
        self.broker.delete_subscription(request["subscription"])
        return {}

    def modify_push_config(self, request: Resource) -> Resource:
        """Subscriber.ModifyPushConfig."""
        found = self.broker.subscription(request["subscription"])
        self.broker.put_subscription(found | {"pushConfig": request.get("pushConfig", {})})
        return {}

    def pull(self, request: Resource) -> Resource:
        """Subscriber.Pull; the response is empty if no message arrives within a quarter of a second."""
        wait = 0.0 if request.get("returnImmediately") else _PULL_WAIT
        limit = int(request.get("maxMessages") or 1)
        return self._received(self.broker.pull(request["subscription"], limit, wait), request)

    def _received(self, leases: list[Lease], request: Resource) -> Resource:
        counted = bool(self.broker.subscription(request["subscription"]).get("deadLetterPolicy"))
        received = [_lease_json(lease, counted=counted) for lease in leases]
        return {"receivedMessages": received} if received else {}

    def acknowledge(self, request: Resource) -> Resource:
        """Subscriber.Acknowledge."""
        self.broker.acknowledge(request["subscription"], request.get("ackIds", []))
        return {}

    def modify_ack_deadline(self, request: Resource) -> Resource:
        """Subscriber.ModifyAckDeadline."""
        seconds = int(request.get("ackDeadlineSeconds") or 0)
        self.broker.extend(request["subscription"], request.get("ackIds", []), seconds)
        return {}

    def streaming_pull(
        self, requests: Iterator[Resource], active: Callable[[], bool]
    ) -> Iterator[Resource]:
        """Subscriber.StreamingPull: yields messages while `active`, and accepts acknowledgements meanwhile."""
        first = next(requests)
        reader = threading.Thread(
            target=self._take_acks, args=(first["subscription"], requests), daemon=True
        )
        reader.start()
        limit = int(first.get("maxOutstandingMessages") or 100)
        while active():
            leases = self.broker.pull(first["subscription"], limit, _STREAM_WAIT)
            if not active():
                # a cancelled stream must not hold messages until their leases expire
                self.broker.extend(first["subscription"], [lease.ack_id for lease in leases], 0)
            elif leases:
                yield self._received(leases, first)

    def _take_acks(self, subscription: str, requests: Iterator[Resource]) -> None:
        try:
            for request in requests:
                self.broker.acknowledge(subscription, request.get("ackIds", []))
                deadlines = request.get("modifyDeadlineSeconds", [])
                for ack_id, seconds in zip(
                    request.get("modifyDeadlineAckIds", []), deadlines, strict=True
                ):
                    self.broker.extend(subscription, [ack_id], seconds)
        except grpc.RpcError:
            return


def _lease_json(lease: Lease, *, counted: bool) -> Resource:
    received: Resource = {"ackId": lease.ack_id, "message": message_json(lease.message)}
    return received | ({"deliveryAttempt": lease.attempt} if counted else {})
