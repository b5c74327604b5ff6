"""The functions of a stack: their commands, environments, push subscriptions and the REST API of Cloud Functions."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.http_server import LOOPBACK
from gcp_emulators.core.rest import Json, json_endpoint
from velocast_local.stack.configuration import Function
from velocast_local.stack.environment import deployed_environment, process_environment
from velocast_local.stack.state import StackState

DEAD_LETTER_TOPIC = "velocast-dead-letter"
LONGEST_ACK_DEADLINE_SECONDS = 600


def function_command(name: str, function: Function, state: StackState) -> list[str]:
    """Return the command that serves a function with functions-framework, as in the cloud."""
    source = state.root / "functions" / name / "main.py"
    signature = "cloudevent" if function.topic else "http"
    arguments = {
        "--target": function.entry_point,
        "--source": str(source),
        "--signature-type": signature,
        "--host": LOOPBACK,
        "--port": str(state.ports[name]),
    }
    flat = [word for pair in arguments.items() for word in pair]
    return [sys.executable, "-m", "functions_framework", *flat]


def function_environment(name: str, function: Function, state: StackState) -> dict[str, str]:
    """Return the environment of a function's process: the variables in its configuration and those of the runtime."""
    return process_environment(state, function.environment) | {
        "K_SERVICE": name,
        "FUNCTION_TARGET": function.entry_point,
        "THREADS": str(function.concurrency),
        "WORKERS": "1",
        "GUNICORN_LOG_LEVEL": "warning",
    }


def push_subscription(name: str, function: Function, state: StackState) -> Json:
    """Return the push subscription of a function, with the same policies as in Terraform."""
    delivery = function.delivery
    topics = f"projects/{state.project}/topics"
    # functions-framework reads the topic for the event's source from the path of the request.
    port = state.relays.get(name, state.ports[name])
    push_endpoint = f"http://{LOOPBACK}:{port}/{topics}/{function.topic}"
    return {
        "name": f"projects/{state.project}/subscriptions/velocast-{name}",
        "topic": f"{topics}/{function.topic}",
        "ackDeadlineSeconds": min(function.timeout_seconds + 60, LONGEST_ACK_DEADLINE_SECONDS),
        "pushConfig": {"pushEndpoint": push_endpoint},
        "deadLetterPolicy": {
            "deadLetterTopic": f"{topics}/{DEAD_LETTER_TOPIC}",
            "maxDeliveryAttempts": delivery.max_attempts,
        },
        "retryPolicy": {
            "minimumBackoff": f"{delivery.min_backoff_seconds}s",
            "maximumBackoff": f"{delivery.max_backoff_seconds}s",
        },
    }


def function_routes(functions: Mapping[str, Function], state: StackState) -> list[BaseRoute]:
    """Return the routes of `gcloud functions list` and `describe` (API v2; v1 lists are empty).

    A function without a topic is not among them: it is deployed as a Cloud Run service.
    """
    functions = {name: function for name, function in functions.items() if function.topic}
    parent = f"projects/{state.project}/locations/{state.location}"

    def resource(name: str) -> Json:
        if name not in functions:
            raise GoogleApiError(
                404, f"function '{name}' not found; known are {', '.join(sorted(functions))}"
            )
        return _resource(name, functions[name], state, parent)

    def listing(_request: Request, _body: Json) -> Json:
        return {"functions": [resource(name) for name in functions]}

    def describe(request: Request, _body: Json) -> Json:
        return resource(request.path_params["function"])

    def none(key: str) -> Any:
        return lambda _request, _body: {key: []}

    any_region = f"/projects/{state.project}/locations/-/functions"
    return [
        Route(f"/v2/{parent}/functions", json_endpoint(listing), methods=["GET"]),
        Route(f"/v2{any_region}", json_endpoint(listing), methods=["GET"]),
        Route(f"/v2/{parent}/functions/{{function}}", json_endpoint(describe), methods=["GET"]),
        Route(f"/v1{any_region}", json_endpoint(none("functions")), methods=["GET"]),
        Route(
            f"/v1/projects/{state.project}/locations",
            json_endpoint(none("locations")),
            methods=["GET"],
        ),
    ]


def variables(function: Function, state: StackState) -> dict[str, str]:
    """Return the variables that a function is deployed with."""
    deployed = deployed_environment(state)
    return {name: deployed[name] for name in function.environment}


def _resource(name: str, function: Function, state: StackState, parent: str) -> Json:
    url = state.part_url(name)
    topic = f"projects/{state.project}/topics/{function.topic}"
    event = "google.cloud.pubsub.topic.v1.messagePublished"
    return {
        "name": f"{parent}/functions/{name}",
        "description": function.description,
        "state": "ACTIVE",
        "environment": "GEN_2",
        "url": url,
        "updateTime": "2025-01-01T00:00:00Z",
        "buildConfig": {"entryPoint": function.entry_point, "runtime": "python311"},
        "serviceConfig": {
            "uri": url,
            "service": f"{parent}/services/{name}",
            "availableMemory": f"{function.memory_mb}M",
            "timeoutSeconds": function.timeout_seconds,
            "environmentVariables": variables(function, state),
        },
        "eventTrigger": {"eventType": event, "pubsubTopic": topic},
    }
