"""Pub/Sub's REST interface, which gcloud uses, with the same methods as the gRPC one."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.routing import Route

from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.rest import Endpoint, Json, json_endpoint
from gcp_emulators.pubsub.api import PubSubApi
from gcp_emulators.pubsub.broker import Broker
from gcp_emulators.pubsub.journal import Resource

Handler = Callable[[Resource], Resource]


def pubsub_routes(broker: Broker) -> list[Route]:
    """Return the routes of topics and subscriptions below /v1/projects/{project}."""
    api = PubSubApi(broker)
    collections: dict[str, dict[str, Handler]] = {
        "topics": {
            "LIST": api.list_topics,
            "GET": api.get_topic,
            "PUT": api.create_topic,
            "DELETE": api.delete_topic,
            ":publish": api.publish,
        },
        "subscriptions": {
            "LIST": api.list_subscriptions,
            "GET": api.get_subscription,
            "PUT": api.create_subscription,
            "DELETE": api.delete_subscription,
            ":pull": api.pull,
            ":acknowledge": api.acknowledge,
            ":modifyAckDeadline": api.modify_ack_deadline,
            ":modifyPushConfig": api.modify_push_config,
        },
    }
    routes = []
    for kind, handlers in collections.items():
        base = f"/v1/projects/{{project}}/{kind}"
        endpoint = _endpoint(kind, handlers)
        routes.append(Route(base, endpoint, methods=["GET"]))
        routes.append(Route(base + "/{name}", endpoint, methods=["GET", "PUT", "POST", "DELETE"]))
    return routes


def _endpoint(kind: str, handlers: dict[str, Handler]) -> Endpoint:
    def answer(request: Request, body: Json) -> Json:
        short, colon, verb = request.path_params.get("name", "").partition(":")
        action = colon + verb if colon else request.method if short else "LIST"
        if action not in handlers:
            raise GoogleApiError(400, f"{kind} have no {action}")
        name = f"projects/{request.path_params['project']}/{kind}/{short}"
        return handlers[action](body | ({"name": name} if action == "PUT" else {kind[:-1]: name}))

    return json_endpoint(answer)
