"""Cloud Run's two REST APIs over one store: v2 for client libraries and workflows, v1 (Knative) for gcloud."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from gcp_emulators.cloud_run.jobs import (
    CANCELLED,
    FAILED,
    RUNNING,
    SUCCEEDED,
    CloudRun,
    RunOverrides,
    tasks_of,
)
from gcp_emulators.core.documents import Document
from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.http_server import original_host
from gcp_emulators.core.rest import Json, json_endpoint, paginate

RUN_HOST_SUFFIX = "-run.stack.internal"
_EXECUTION_TYPE = "type.googleapis.com/google.cloud.run.v2.Execution"
_CONDITION_V2 = {
    RUNNING: "CONDITION_RECONCILING",
    SUCCEEDED: "CONDITION_SUCCEEDED",
    FAILED: "CONDITION_FAILED",
    CANCELLED: "CONDITION_FAILED",
}
_CONDITION_V1 = {RUNNING: "Unknown", SUCCEEDED: "True", FAILED: "False", CANCELLED: "False"}
_COUNT = {
    RUNNING: "runningCount",
    SUCCEEDED: "succeededCount",
    FAILED: "failedCount",
    CANCELLED: "cancelledCount",
}
# Jobs exist as long as their configuration, so any time before the simulated one will do.
_CREATED = "2025-01-01T00:00:00Z"


class CloudRunApi:
    """Endpoints for one project and region."""

    def __init__(self, store: CloudRun, project: str, location: str) -> None:
        self._store = store
        self._project = project
        self._location = location
        self._parent = f"projects/{project}/locations/{location}"

    def routes(self) -> list[BaseRoute]:
        """Return the routes of both APIs."""
        v2, v1 = "/v2/" + self._parent, f"/apis/run.googleapis.com/v1/namespaces/{self._project}"
        return [
            _post(v2 + "/jobs/{job}:run", self._run_v2),
            _get(v2 + "/jobs", self._jobs_v2),
            _get(v2 + "/jobs/{job}", lambda r, _: self._job_v2(r.path_params["job"])),
            _get(v2 + "/jobs/{job}/executions", self._executions_v2),
            _get(
                v2 + "/jobs/{job}/executions/{id}", lambda r, _: self._execution_v2(self._find(r))
            ),
            _post(
                v2 + "/jobs/{job}/executions/{id}:cancel",
                lambda r, _: self._operation(self._cancel(r)),
            ),
            _get(v2 + "/operations/{id}", lambda r, _: self._operation(self._find(r))),
            _post(v1 + "/jobs/{job}:run", self._run_v1),
            _get(v1 + "/jobs", self._jobs_v1),
            _get(v1 + "/jobs/{job}", self._get_job_v1),
            _get(v1 + "/executions", self._executions_v1),
            _get(v1 + "/executions/{id}", lambda r, _: self._execution_v1(self._find(r))),
            _post(v1 + "/executions/{id}:cancel", lambda r, _: self._execution_v1(self._cancel(r))),
        ]

    def _find(self, request: Request) -> Document:
        return self._store.execution(request.path_params["id"])

    def _cancel(self, request: Request) -> Document:
        return self._store.cancel(request.path_params["id"])

    def _parallelism(self, record: Document) -> int:
        tasks = tasks_of(record)
        return min(self._store.job(record["job"]).parallelism or tasks, tasks)

    # API v2

    def _run_v2(self, request: Request, body: Json) -> Json:
        return self._operation(
            self._store.run(request.path_params["job"], RunOverrides.from_body(body))
        )

    def _jobs_v2(self, request: Request, _body: Json) -> Json:
        return {"jobs": [self._job_v2(name) for name in self._store.jobs]}

    def _job_v2(self, name: str) -> Json:
        job = self._store.job(name)
        container = {"image": job.image, "args": list(job.args)}
        template = {
            "containers": [container],
            "timeout": f"{job.timeout_seconds}s",
            "maxRetries": job.max_retries,
        }
        return {
            "name": f"{self._parent}/jobs/{name}",
            "createTime": _CREATED,
            "template": {
                "taskCount": job.task_count,
                "parallelism": job.parallelism,
                "template": template,
            },
            "executionCount": len(self._store.executions(name)),
            "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
        }

    def _executions_v2(self, request: Request, _body: Json) -> Json:
        job = request.path_params["job"]
        found = [self._execution_v2(e) for e in self._store.executions(None if job == "-" else job)]
        query = request.query_params
        shown, token = paginate(found, int(query.get("pageSize", 0)), query.get("pageToken", ""))
        return {"executions": shown} | ({"nextPageToken": token} if token else {})

    def _execution_v2(self, record: Document) -> Json:
        state = record["state"]
        condition = {
            "type": "Completed",
            "state": _CONDITION_V2[state],
            "message": record["message"],
        }
        ended = {"completionTime": record["ended"]} if "ended" in record else {}
        return (
            {
                "name": f"{self._parent}/jobs/{record['job']}/executions/{record['id']}",
                "uid": record["id"],
                "generation": "1",
                "observedGeneration": "1",
                "job": record["job"],
                "createTime": record["created"],
                "startTime": record["created"],
                "taskCount": tasks_of(record),
                "parallelism": self._parallelism(record),
                "template": {
                    "containers": [
                        {"image": self._store.job(record["job"]).image, "args": record["args"]}
                    ]
                },
                "conditions": [condition],
                "logUri": "file://" + record["log"],
                "retriedCount": record.get("retried", 0),
            }
            | _counts(record)
            | ended
        )

    def _operation(self, record: Document) -> Json:
        execution: Json = {"@type": _EXECUTION_TYPE, **self._execution_v2(record)}
        operation: Json = {
            "name": f"{self._parent}/operations/{record['id']}",
            "metadata": execution,
        }
        if record["state"] == RUNNING:
            return operation | {"done": False}
        if record["state"] == SUCCEEDED:
            return operation | {"done": True, "response": execution}
        code = 1 if record["state"] == CANCELLED else 10
        return operation | {"done": True, "error": {"code": code, "message": record["message"]}}

    # API v1

    def _check_region(self, request: Request) -> None:
        region = asked_region(original_host(request.scope))
        if region not in (None, self._location):
            raise GoogleApiError(
                404, f"no job in region {region}; this stack is in {self._location}"
            )

    def _run_v1(self, request: Request, body: Json) -> Json:
        self._check_region(request)
        return self._execution_v1(
            self._store.run(request.path_params["job"], RunOverrides.from_body(body))
        )

    def _jobs_v1(self, request: Request, _body: Json) -> Json:
        region = asked_region(original_host(request.scope))
        names = list(self._store.jobs) if region in (None, self._location) else []
        return {"metadata": {}, "items": [self._job_v1(name) for name in names]}

    def _get_job_v1(self, request: Request, _body: Json) -> Json:
        self._check_region(request)
        return self._job_v1(request.path_params["job"])

    def _job_v1(self, name: str) -> Json:
        job, executions = self._store.job(name), self._store.executions(name)
        container = {"image": job.image, "args": list(job.args)}
        task = {
            "containers": [container],
            "maxRetries": job.max_retries,
            "timeoutSeconds": str(job.timeout_seconds),
        }
        status: Json = {
            "observedGeneration": 1,
            "conditions": [{"type": "Ready", "status": "True"}],
            "executionCount": len(executions),
        }
        if executions:
            newest = {"name": executions[0]["id"], "creationTimestamp": executions[0]["created"]}
            status["latestCreatedExecution"] = newest
        tasks = {"taskCount": job.task_count, "parallelism": job.parallelism}
        spec = {"template": {"metadata": {}, "spec": {**tasks, "template": {"spec": task}}}}
        return self._knative("Job", name, _CREATED, {}) | {"spec": spec, "status": status}

    def _executions_v1(self, request: Request, _body: Json) -> Json:
        selector = request.query_params.get("labelSelector", "")
        job = selector.partition("=")[2].strip() or None
        region = asked_region(original_host(request.scope))
        found = self._store.executions(job) if region in (None, self._location) else []
        return {"metadata": {}, "items": [self._execution_v1(record) for record in found]}

    def _execution_v1(self, record: Document) -> Json:
        state = record["state"]
        completed = {
            "type": "Completed",
            "status": _CONDITION_V1[state],
            "message": record["message"],
        }
        # gcloud waits for `Started`, and polls forever without it.
        begun = [{"type": name, "status": "True"} for name in ("ResourcesAvailable", "Started")]
        status = {
            "observedGeneration": 1,
            "conditions": [completed, *begun],
            "startTime": record["created"],
        }
        status |= _counts(record) | {"logUri": "file://" + record["log"]}
        if "ended" in record:
            status["completionTime"] = record["ended"]
        container = {"image": self._store.job(record["job"]).image, "args": record["args"]}
        labels = {"run.googleapis.com/job": record["job"]}
        return self._knative("Execution", record["id"], record["created"], labels) | {
            "spec": {
                "taskCount": tasks_of(record),
                "parallelism": self._parallelism(record),
                "template": {"spec": {"containers": [container]}},
            },
            "status": status,
        }

    def _knative(self, kind: str, name: str, created: str, labels: dict[str, str]) -> Json:
        metadata = {
            "name": name,
            "namespace": self._project,
            "generation": 1,
            "creationTimestamp": created,
            "labels": {"cloud.googleapis.com/location": self._location, **labels},
        }
        return {"apiVersion": "run.googleapis.com/v1", "kind": kind, "metadata": metadata}


def _counts(record: Document) -> Json:
    """Return the number of tasks in each state; while an execution runs, all of them count as running."""
    counts = record.get("counts") or {record["state"]: tasks_of(record)}
    return {_COUNT[state]: number for state, number in counts.items()}


def asked_region(host: str) -> str | None:
    """Return the region that gcloud put in front of the host name, None if there is none."""
    name = host.partition(":")[0]
    return name.removesuffix(RUN_HOST_SUFFIX) if name.endswith(RUN_HOST_SUFFIX) else None


def _get(path: str, answer: Any) -> Route:
    return Route(path, json_endpoint(answer), methods=["GET"])


def _post(path: str, answer: Any) -> Route:
    return Route(path, json_endpoint(answer), methods=["POST"])
