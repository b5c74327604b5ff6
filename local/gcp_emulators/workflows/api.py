"""The Workflows and Executions APIs: REST for gcloud, gRPC for the client library."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.cloud.workflows.executions_v1 import types
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.grpc_handlers import unary_handler
from gcp_emulators.core.http_server import LOOPBACK
from gcp_emulators.core.rest import Json, json_endpoint, paginate
from gcp_emulators.workflows.executions import WorkflowExecutions

SERVICE = "google.cloud.workflows.executions.v1.Executions"
DEFAULT_PAGE = 100
_STATE_FILTER = re.compile(r'\bstate\s*=\s*"?([A-Z]+)"?')
_BASIC = ("name", "startTime", "endTime", "duration", "state", "workflowRevisionId", "createTime")


def executions_routes(store: WorkflowExecutions) -> list[BaseRoute]:
    """Return the REST routes: workflows list and get, executions create, list, get and cancel."""
    base = f"/v1/{store.parent}/workflows"

    def workflows(request: Request, _body: Json) -> Json:
        return {"workflows": [store.workflow(name) for name in store.workflows]}

    def workflow(request: Request, _body: Json) -> Json:
        return store.workflow(request.path_params["workflow"])

    def create(request: Request, body: Json) -> Json:
        return store.create(request.path_params["workflow"], body)

    def executions(request: Request, _body: Json) -> Json:
        query = request.query_params
        size, token = int(query.get("pageSize") or DEFAULT_PAGE), query.get("pageToken", "")
        full = query.get("view") == "FULL"
        workflow = request.path_params["workflow"]
        return _listing(store, workflow, query.get("filter", ""), size, token, full=full)

    def execution(request: Request, _body: Json) -> Json:
        return store.get(request.path_params["workflow"], request.path_params["id"])

    def cancel(request: Request, _body: Json) -> Json:
        return store.cancel(request.path_params["workflow"], request.path_params["id"])

    one = base + "/{workflow}/executions/{id}"
    return [
        Route(base, json_endpoint(workflows), methods=["GET"]),
        Route(base + "/{workflow}", json_endpoint(workflow), methods=["GET"]),
        Route(base + "/{workflow}/executions", json_endpoint(create), methods=["POST"]),
        Route(base + "/{workflow}/executions", json_endpoint(executions), methods=["GET"]),
        Route(one, json_endpoint(execution), methods=["GET"]),
        Route(one + ":cancel", json_endpoint(cancel), methods=["POST"]),
    ]


def _listing(
    store: WorkflowExecutions, workflow: str, where: str, size: int, token: str, *, full: bool
) -> Json:
    state = _STATE_FILTER.search(where)
    if where and not state:
        raise GoogleApiError(400, f'filter {where!r}: this stack understands state="..." only')
    found = store.list(workflow, state[1] if state else None)
    shown, following = paginate(found, size, token)
    if not full:
        shown = [{key: record[key] for key in _BASIC if key in record} for record in shown]
    return {"executions": shown} | ({"nextPageToken": following} if following else {})


def executions_grpc_server(store: WorkflowExecutions, port: int) -> grpc.Server:
    """Return a gRPC server for ExecutionsClient on `port` of the loopback address, not yet started.

    The client library has no REST transport and no servicer classes, so the handlers are built from its types.
    """

    def create(request: Any) -> Json:
        wanted = types.Execution.to_dict(request.execution)
        return store.create(_workflow(request.parent), wanted)

    def get(request: Any) -> Json:
        return store.get(_workflow(request.name), request.name.rpartition("/")[2])

    def listing(request: Any) -> Json:
        size = request.page_size or DEFAULT_PAGE
        full = request.view == types.ExecutionView.FULL
        where, token = request.filter, request.page_token
        return _listing(store, _workflow(request.parent), where, size, token, full=full)

    def cancel(request: Any) -> Json:
        return store.cancel(_workflow(request.name), request.name.rpartition("/")[2])

    handlers = {
        "CreateExecution": _handler(create, types.CreateExecutionRequest, types.Execution),
        "GetExecution": _handler(get, types.GetExecutionRequest, types.Execution),
        "ListExecutions": _handler(
            listing, types.ListExecutionsRequest, types.ListExecutionsResponse
        ),
        "CancelExecution": _handler(cancel, types.CancelExecutionRequest, types.Execution),
    }
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"{LOOPBACK}:{port}")
    return server


def _workflow(name: str) -> str:
    return name.split("/")[5] if name.count("/") >= 5 else name


def _handler(answer: Callable[[Any], Json], request_type: Any, response_type: Any) -> Any:
    def serve(request: Any) -> Any:
        return response_type.from_json(json.dumps(answer(request)), ignore_unknown_fields=True)

    return unary_handler(serve, request_type.deserialize, response_type.serialize)
