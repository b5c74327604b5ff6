"""Starting a workflow, by the real client against a small Executions server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.cloud.workflows.executions_v1 import CreateExecutionRequest, Execution

from velocast.adapters import workflows
from velocast.core.errors import WorkflowError
from velocast.core.requests import RetrainArgument

WORKFLOW = "projects/p/locations/europe-west1/workflows/velocast-retrain"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[CreateExecutionRequest]]:
    """The requests to a server that knows one workflow."""
    requests: list[CreateExecutionRequest] = []

    def create(request: CreateExecutionRequest, context: Any) -> Execution:
        if request.parent != WORKFLOW:
            context.abort(grpc.StatusCode.NOT_FOUND, f"workflow {request.parent} not found")
        requests.append(request)
        return Execution(name=f"{request.parent}/executions/abc-{len(requests)}")

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
        monkeypatch.setenv("WORKFLOWS_EXECUTIONS_EMULATOR_HOST", f"127.0.0.1:{port}")
        yield requests
        server.stop(None).wait()


def test_the_argument_and_the_cause_arrive(asked: list[CreateExecutionRequest]):
    argument = RetrainArgument(force=True, as_of="2025-03-01T00:00:00Z", reason="drift 0.6")
    found = workflows.start_execution(
        "p", "europe-west1", "velocast-retrain", argument, label="Monitor:12 é"
    )
    assert found == "abc-1"
    [request] = asked
    assert RetrainArgument(**json.loads(request.execution.argument)) == argument
    assert dict(request.execution.labels) == {"velocast-cause": "monitor-12--"}


def test_a_refusal_names_the_workflow_and_says_why(asked: list[CreateExecutionRequest]):
    with pytest.raises(
        WorkflowError, match=r"workflow other in europe-west1 was not started: .*not found"
    ):
        workflows.start_execution("p", "europe-west1", "other", RetrainArgument(), label="x")


def test_nobody_there_is_an_error_that_may_pass(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORKFLOWS_EXECUTIONS_EMULATOR_HOST", "127.0.0.1:9")
    with pytest.raises(WorkflowError, match="was not started") as caught:
        workflows.start_execution("p", "europe-west1", "w", RetrainArgument(), label="x")
    assert caught.value.retryable
