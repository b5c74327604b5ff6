"""The gRPC side of the Workflows Executions API, as far as `create_execution` needs it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.cloud.workflows.executions_v1 import CreateExecutionRequest, Execution


@contextmanager
def executions_server() -> Iterator[tuple[str, list[CreateExecutionRequest]]]:
    """Serve while the block runs; gives the host and the requests that came."""
    requests: list[CreateExecutionRequest] = []

    def create(request: CreateExecutionRequest, _context: Any) -> Execution:
        requests.append(request)
        return Execution(name=f"{request.parent}/executions/execution-{len(requests)}")

    handler = grpc.unary_unary_rpc_method_handler(
        create, CreateExecutionRequest.deserialize, Execution.serialize
    )
    service = "google.cloud.workflows.executions.v1.Executions"
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"CreateExecution": handler}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}", requests
        server.stop(None).wait()
