"""A cancelled retraining and the next one: the real file with the emulators' APIs, and a clock that stands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gcp_emulators.cloud_run.api import CloudRunApi
from gcp_emulators.cloud_run.jobs import CloudRun, Job
from gcp_emulators.core.clock import Clock
from gcp_emulators.core.documents import DocumentStore
from gcp_emulators.core.http_server import HttpServer, free_port
from gcp_emulators.storage.api import storage_routes
from gcp_emulators.storage.store import ObjectStore
from gcp_emulators.workflows.api import executions_routes
from gcp_emulators.workflows.executions import WorkflowExecutions
from velocast.core.datetimes import parse_instant

pytestmark = pytest.mark.emulator

SOURCE = Path(__file__).parents[2] / "workflows" / "retrain.yaml"
NAME, BUCKET, LEASE = "velocast-retrain", "p-models", "leases/retrain.json"
TOPIC = "/v1/projects/p/topics/velocast-alerts:publish"
VARIABLES = {
    "PATH": "/usr/bin:/bin",
    "VELOCAST_MODELS_BUCKET": BUCKET,
    "VELOCAST_ALERTS_TOPIC": "velocast-alerts",
    "VELOCAST_ENVIRONMENT": "dev",
}


class Cloud:
    """Workflows, Cloud Run and Cloud Storage at one address; every job sleeps."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        clock_file = folder / "clock"
        clock = Clock(clock_file)
        clock.set(parse_instant("2025-03-02T00:00:00Z"), force=True)
        (folder / "sleep.py").write_text("import time; time.sleep(120)")
        job = Job(script="sleep.py", memory_mb=512, timeout_seconds=300)
        self.jobs = CloudRun(
            {f"velocast-{step}": job for step in ("train", "evaluate", "promote")},
            scripts=folder,
            records=DocumentStore(folder / "job-executions"),
            logs=folder / "job-logs",
            clock=clock,
            environment=lambda _names: {},
        )
        self.objects = ObjectStore(folder / "objects")
        self.objects.ensure_bucket(BUCKET)
        port = free_port()
        self.executions = WorkflowExecutions(
            {NAME: SOURCE},
            project="p",
            location="l",
            records=DocumentStore(folder / "executions"),
            folder=folder / "workflow-logs",
            clock_file=clock_file,
            endpoint=f"http://127.0.0.1:{port}",
            environment=lambda: dict(VARIABLES),
            variable_prefix="VELOCAST_",
        )
        routes = [
            *executions_routes(self.executions),
            *CloudRunApi(self.jobs, "p", "l").routes(),
            *storage_routes(self.objects),
            Route("/bigquery/v2/projects/p/queries", self.answer, methods=["POST"]),
            Route(TOPIC, self.answer, methods=["POST"]),
        ]
        self.server = HttpServer(routes, port)

    def start(self) -> str:
        return str(self.executions.create(NAME, {})["name"]).rpartition("/")[2]

    def ended(self, execution_id: str) -> dict[str, Any] | None:
        """Return the result of an execution, None while it runs."""
        record = self.executions.get(NAME, execution_id)
        if record["state"] == "ACTIVE":
            return None
        assert record["state"] == "SUCCEEDED", record
        found: dict[str, Any] = json.loads(record["result"])
        return found

    def owner(self) -> str | None:
        """Return the execution that holds the lease."""
        address = f"{self.server.url}/storage/v1/b/{BUCKET}/o/{LEASE.replace('/', '%2F')}?alt=media"
        answer = httpx.get(address, trust_env=False)
        return str(answer.json()["owner"]) if answer.status_code == 200 else None

    async def answer(self, request: Request) -> Response:
        """Play BigQuery and Pub/Sub."""
        self.asked.append(request.url.path)
        return JSONResponse({"jobComplete": True})


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    with made.server:
        yield made
        made.executions.stop()
        made.jobs.stop()
    made.objects.close()


def wait_for(what: Callable[[], Any], seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return found


def test_the_next_one_starts_once_the_cancelled_ones_job_has_ended(cloud: Cloud) -> None:
    first = cloud.start()
    (job,) = wait_for(lambda: cloud.jobs.executions("velocast-train"))
    assert cloud.owner() == first

    second = cloud.start()
    while_it_works = wait_for(lambda: cloud.ended(second))
    assert (while_it_works["status"], while_it_works["holder_state"]) == ("BUSY", "ACTIVE")
    assert TOPIC not in cloud.asked

    cloud.executions.cancel(NAME, first)
    third = cloud.start()
    while_its_job_does = wait_for(lambda: cloud.ended(third))
    assert (while_its_job_does["status"], while_its_job_does["holder"]) == ("BUSY", first)
    assert while_its_job_does["holder_state"] == "JOB_RUNNING"
    assert TOPIC in cloud.asked
    assert cloud.owner() == first

    cloud.jobs.cancel(job["id"])
    fourth = cloud.start()
    wait_for(lambda: cloud.owner() == fourth)
    wait_for(lambda: len(cloud.jobs.executions("velocast-train")) == 2)
