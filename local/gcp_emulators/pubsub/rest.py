"""Pub/Sub's REST interface, which gcloud uses, over the same handlers as the gRPC one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gcp_emulators.pubsub.api import PubSubApi
from gcp_emulators.pubsub.broker import Broker
from gcp_emulators.pubsub.journal import Resource
from gcp_emulators.pubsub.queue import PubSubError

Handler = Callable[[Resource], Resource]

_HTTP_CODES = {"NOT_FOUND": 404, "ALREADY_EXISTS": 409}


def rest_routes(broker: Broker) -> list[Route]:
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


def _endpoint(kind: str, handlers: dict[str, Handler]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        body = await request.body()
        short, colon, verb = request.path_params.get("name", "").partition(":")
        action = colon + verb if colon else request.method if short else "LIST"
        handler = handlers.get(action)
        if handler is None:
            return _refusal(PubSubError("INVALID_ARGUMENT", f"{kind} have no {action}"))
        name = f"projects/{request.path_params['project']}/{kind}/{short}"
        resource = _read(body) | ({"name": name} if action == "PUT" else {kind[:-1]: name})
        try:
            return JSONResponse(await run_in_threadpool(handler, resource))
        except PubSubError as error:
            return _refusal(error)

    return answer


def _read(body: bytes) -> Resource:
    resource: Resource = json.loads(body or b"{}")
    return resource


def _refusal(error: PubSubError) -> Response:
    code = _HTTP_CODES.get(error.status, 400)
    return JSONResponse(
        {"error": {"code": code, "message": str(error), "status": error.status}}, status_code=code
    )
