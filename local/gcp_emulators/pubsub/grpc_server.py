"""Pub/Sub's gRPC interface, which google-cloud-pubsub uses.

Requests are converted to the JSON form of Pub/Sub's messages, and responses back from it, so that the methods can be
shared with the REST interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format
from google.pubsub_v1 import types

from gcp_emulators.core.grpc_handlers import stream_handler, unary_handler
from gcp_emulators.core.http_server import LOOPBACK
from gcp_emulators.pubsub.api import PubSubApi
from gcp_emulators.pubsub.broker import Broker
from gcp_emulators.pubsub.journal import Resource


class PubSubServer:
    """Serves gRPC on a port of the loopback address; `host` is the value of PUBSUB_EMULATOR_HOST."""

    def __init__(self, broker: Broker, port: int = 0) -> None:
        api = PubSubApi(broker)
        # each streaming pull occupies one thread
        self._server = grpc.server(ThreadPoolExecutor(max_workers=32, thread_name_prefix="pubsub"))
        self._server.add_generic_rpc_handlers((_publisher(api), _subscriber(api)))
        self.port = int(self._server.add_insecure_port(f"{LOOPBACK}:{port}"))
        self.host = f"{LOOPBACK}:{self.port}"

    def start(self) -> PubSubServer:
        """Start serving."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop serving and wait for calls in progress to end."""
        self._server.stop(grace=0.5).wait()

    def __enter__(self) -> PubSubServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


Handler = Callable[[Resource], Resource]
StreamHandler = Callable[[Iterator[Resource], Callable[[], bool]], Iterator[Resource]]


def _publisher(api: PubSubApi) -> grpc.GenericRpcHandler:
    methods = {
        "CreateTopic": _unary(api.create_topic, types.Topic, types.Topic),
        "GetTopic": _unary(api.get_topic, types.GetTopicRequest, types.Topic),
        "ListTopics": _unary(api.list_topics, types.ListTopicsRequest, types.ListTopicsResponse),
        "ListTopicSubscriptions": _unary(
            api.list_topic_subscriptions,
            types.ListTopicSubscriptionsRequest,
            types.ListTopicSubscriptionsResponse,
        ),
        "DeleteTopic": _unary(api.delete_topic, types.DeleteTopicRequest, None),
        "Publish": _unary(api.publish, types.PublishRequest, types.PublishResponse),
    }
    return grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", methods)


def _subscriber(api: PubSubApi) -> grpc.GenericRpcHandler:
    methods = {
        "CreateSubscription": _unary(
            api.create_subscription, types.Subscription, types.Subscription
        ),
        "GetSubscription": _unary(
            api.get_subscription, types.GetSubscriptionRequest, types.Subscription
        ),
        "ListSubscriptions": _unary(
            api.list_subscriptions, types.ListSubscriptionsRequest, types.ListSubscriptionsResponse
        ),
        "DeleteSubscription": _unary(
            api.delete_subscription, types.DeleteSubscriptionRequest, None
        ),
        "ModifyPushConfig": _unary(api.modify_push_config, types.ModifyPushConfigRequest, None),
        "Pull": _unary(api.pull, types.PullRequest, types.PullResponse),
        "Acknowledge": _unary(api.acknowledge, types.AcknowledgeRequest, None),
        "ModifyAckDeadline": _unary(api.modify_ack_deadline, types.ModifyAckDeadlineRequest, None),
        "StreamingPull": _streaming(
            api.streaming_pull, types.StreamingPullRequest, types.StreamingPullResponse
        ),
    }
    return grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", methods)


def _unary(handler: Handler, request_type: Any, answer_type: Any) -> grpc.RpcMethodHandler:
    def answer(request: Any) -> Any:
        return _from_json(answer_type, handler(_to_json(request)))

    return unary_handler(answer, request_type.deserialize, _serialize)


def _streaming(
    handler: StreamHandler, request_type: Any, answer_type: Any
) -> grpc.RpcMethodHandler:
    def answer(requests: Iterator[Any], active: Callable[[], bool]) -> Iterator[Any]:
        for resource in handler(map(_to_json, requests), active):
            yield _from_json(answer_type, resource)

    return stream_handler(answer, request_type.deserialize, _serialize)


def _to_json(request: Any) -> Resource:
    resource: Resource = json_format.MessageToDict(type(request).pb(request))
    return resource


def _from_json(kind: Any, resource: Resource) -> Any:
    message = empty_pb2.Empty() if kind is None else kind.pb(kind())
    return json_format.ParseDict(resource, message, ignore_unknown_fields=True)


def _serialize(message: Any) -> bytes:
    return bytes(message.SerializeToString())
