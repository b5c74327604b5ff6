"""workflows/retrain.yaml itself, executed against real object and BigQuery emulators and jobs that only leave files."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gcp_emulators.core.clock import Clock
from gcp_emulators.core.http_server import HttpServer
from gcp_emulators.workflows import interpreter
from tests import emulators
from tests.audit_rows import audit_rows
from velocast.adapters.gcs import Objects
from velocast.core.datetimes import parse_instant
from velocast.core.notices import NOTICE, RetrainingBlocked, TrainingFailed
from velocast.core.requests import RetrainArgument

if TYPE_CHECKING:
    from google.cloud import bigquery

SOURCE = Path(__file__).parents[2] / "workflows" / "retrain.yaml"
JOBS = Path(__file__).parents[2] / "terraform" / "config" / "jobs.yaml"
NOW = "2025-03-02T00:00:00Z"
EXECUTION = "5f2c7a10-execution"
LEASE = "leases/retrain.json"
TRAINED = {"version": 7, "run_id": "run-7", "task": "affluence"}
JUDGED = {"version": 7, "run_id": "run-7", "kind": "gbm", "reason": "gain 0.11 > 0.02"}


@dataclass
class Cloud:
    """Plays Cloud Run and Pub/Sub: a job writes the files that the test gave it, or fails; remembers what was asked."""

    objects: Objects
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    runs: list[tuple[str, list[str]]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    lease_seen: list[dict[str, Any]] = field(default_factory=list)
    executions: dict[str, str] = field(default_factory=dict)  # id to state; others are unknown
    running_jobs: list[tuple[str, str]] = field(default_factory=list)  # job, its execution's id
    out_of_order: bool = False

    def run_job(self, request: Request) -> Response:
        job = request.path_params["job"]
        overrides = json.loads(request.scope["body"])["overrides"]
        self.runs.append((job, overrides["containerOverrides"][0]["args"]))
        self.lease_seen.append(self.objects.read_json(LEASE)[0])
        operation: dict[str, Any] = {
            "name": f"projects/p/locations/l/operations/{job}",
            "done": True,
        }
        if job in self.failures:
            return JSONResponse(operation | {"error": {"code": 10, "message": self.failures[job]}})
        for name, value in self.files.items():
            self.objects.write_json(f"runs/{EXECUTION}/{name}", value)
        return JSONResponse(operation | {"response": {"succeededCount": 1}})

    async def run(self, request: Request) -> Response:
        request.scope["body"] = await request.body()
        from starlette.concurrency import run_in_threadpool

        return await run_in_threadpool(self.run_job, request)

    async def publish(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.messages += body["messages"]
        return JSONResponse({"messageIds": ["1"]})

    async def execution(self, request: Request) -> Response:
        found = self.executions.get(request.path_params["id"])
        if self.out_of_order or found is None:
            return JSONResponse({"error": {}}, status_code=403 if self.out_of_order else 404)
        return JSONResponse({"name": request.path_params["id"], "state": found})

    async def job_executions(self, request: Request) -> Response:
        job = request.path_params["job"]
        shown: list[dict[str, Any]] = [
            {"template": {"containers": [{"args": [f"--execution-id={owner}"]}]}}
            for running, owner in self.running_jobs
            if running == job
        ]
        ended = {"template": {"containers": [{}]}, "completionTime": "2025-03-01T00:00:00Z"}
        return JSONResponse({"executions": [*shown, ended]} if shown else {})

    def routes(self) -> list[Route]:
        place = f"projects/{emulators.PROJECT}/locations/{emulators.LOCATION}"
        executions = f"/v1/{place}/workflows/velocast-retrain/executions/{{id}}"
        job = f"/v2/projects/{emulators.PROJECT}/locations/{emulators.LOCATION}/jobs/{{job}}:run"
        topic = f"/v1/projects/{emulators.PROJECT}/topics/velocast-alerts:publish"
        return [
            Route(job, self.run, methods=["POST"]),
            Route(topic, self.publish, methods=["POST"]),
            Route(executions, self.execution),
            Route(f"/v2/{place}/jobs/{{job}}/executions", self.job_executions),
        ]

    def notices(self) -> list[Any]:
        return [NOTICE.validate_json(base64.b64decode(m["data"])) for m in self.messages]


@pytest.fixture
def cloud(storage_buckets: dict[str, str]) -> Cloud:
    objects = Objects(emulators.PROJECT, storage_buckets["models"])
    decision = JUDGED | {"decision": "DEPLOY"}
    return Cloud(objects, {"train.json": TRAINED, "decision.json": decision, "promotion.json": {}})


@pytest.fixture
def run(
    cloud: Cloud,
    object_store: emulators.RunningObjectStore,
    warehouse: emulators.Warehouse,
    warehouse_tables: bigquery.Client,
    emulator_environment: dict[str, str],
    tmp_path: Path,
) -> Iterator[Any]:
    clock = Clock(tmp_path / "clock")
    clock.set(parse_instant(NOW), force=True)
    environment = emulator_environment | {
        "GOOGLE_CLOUD_PROJECT_ID": emulators.PROJECT,
        "GOOGLE_CLOUD_LOCATION": emulators.LOCATION,
        "GOOGLE_CLOUD_WORKFLOW_ID": "velocast-retrain",
        "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID": EXECUTION,
    }
    with HttpServer(cloud.routes()) as server:
        endpoints = {
            "run": server.url,
            "pubsub": server.url,
            "workflowexecutions": server.url,
            "storage": object_store.url,
            "bigquery": warehouse.emulator.url,
        }

        def execute(argument: Any = None) -> dict[str, Any]:
            return interpreter.execute(
                interpreter.ExecutionInputs(
                    SOURCE, argument, endpoints, clock, environment, "VELOCAST_"
                )
            )

        yield execute


def expressions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from expressions(item)
    elif isinstance(node, str):
        yield from re.findall(r"\$\{(.*?)\}", node, flags=re.DOTALL)


def test_the_source_keeps_to_the_limits_of_workflows() -> None:
    assert len(SOURCE.read_bytes()) < 128 * 1024
    found = list(expressions(yaml.safe_load(SOURCE.read_text())))
    assert len(found) > 50
    assert max(map(len, found)) < 400


def test_it_waits_longer_for_a_job_than_the_job_and_its_retries_may_take() -> None:
    workflow = yaml.safe_load(SOURCE.read_text())
    every = yaml.safe_load(JOBS.read_text())
    jobs = {name: job for name, job in every.items() if job["workflow"] == "velocast-retrain"}
    asked = {s["args"]["job"] for s in _steps(workflow) if s.get("call") == "run_job"}
    assert asked == set(jobs)
    (waits,) = [s["timeout"] for s in _steps(workflow["run_job"]) if "timeout" in s]
    assert waits > max(j["timeout_seconds"] * (j["max_retries"] + 1) for j in jobs.values())
    (mine,) = [s["mine"] for s in _steps(workflow["take_lease"]) if "mine" in s]
    lease = re.search(r"sys\.now\(\) \+ (\d+)", mine["expires_at"])
    assert lease is not None
    assert len(jobs) * waits < int(lease[1])


def _steps(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _steps(item)


def test_deploy_runs_all_three_jobs_and_gives_the_lease_back(
    run: Any, cloud: Cloud, warehouse_tables: bigquery.Client
) -> None:
    argument = RetrainArgument(force=True, kind="rf", reason="R2 0.61, below 0.65").model_dump()
    ended = run(argument)
    assert ended["state"] == "SUCCEEDED", ended
    assert json.loads(ended["result"]) == JUDGED | {
        "status": "OK",
        "decision": "DEPLOY",
        "as_of": cloud.runs[0][1][1].removeprefix("--as-of="),
        "execution_id": EXECUTION,
    }
    assert [job for job, _ in cloud.runs] == [
        "velocast-train",
        "velocast-evaluate",
        "velocast-promote",
    ]
    execution, as_of, *rest = cloud.runs[0][1]
    assert execution == f"--execution-id={EXECUTION}"
    assert parse_instant(as_of.removeprefix("--as-of=")) == parse_instant(NOW)
    assert rest == [
        "--kind=rf",
        "--force=true",
        "--test-mode=false",
        "--reason=R2 0.61, below 0.65",
    ]
    assert (
        cloud.runs[1][1]
        == cloud.runs[2][1]
        == [
            execution,
            as_of,
            "--version=7",
            "--task=affluence",
        ]
    )
    assert [lease["owner"] for lease in cloud.lease_seen] == [EXECUTION] * 3
    assert not cloud.objects.exists(LEASE)
    assert cloud.messages == []
    assert audit_rows(warehouse_tables) == []  # the jobs write theirs


@pytest.mark.parametrize("decision", ["SKIP", "REJECT"])
def test_a_challenger_that_is_not_better_is_not_promoted(
    run: Any, cloud: Cloud, decision: str
) -> None:
    cloud.files["decision.json"] = JUDGED | {"decision": decision}
    ended = run({"as_of": "2025-03-01T00:00:00+01:00"})
    result = json.loads(ended["result"])
    assert (ended["state"], result["decision"], result["version"]) == ("SUCCEEDED", decision, 7)
    assert result["as_of"] == "2025-03-01T00:00:00+01:00"
    assert [job for job, _ in cloud.runs] == ["velocast-train", "velocast-evaluate"]
    assert not cloud.objects.exists(LEASE)


def test_a_second_execution_ends_at_once_and_names_the_holder(
    run: Any, cloud: Cloud, warehouse_tables: bigquery.Client
) -> None:
    held = {"owner": "somebody-else", "expires_at": "2025-03-02T05:00:00Z"}
    cloud.objects.write_json(LEASE, held)
    cloud.executions["somebody-else"] = "ACTIVE"
    ended = run({"force": True})
    result = json.loads(ended["result"])
    assert (ended["state"], result["status"], result["holder"]) == (
        "SUCCEEDED",
        "BUSY",
        "somebody-else",
    )
    assert "2025-03-02T05:00:00Z" in result["reason"]
    assert cloud.runs == []
    assert cloud.objects.read_json(LEASE)[0] == held
    (row,) = audit_rows(warehouse_tables)
    assert (row["status"], row["event_type"]) == ("BUSY", "TRAINING")
    assert "somebody-else" in row["error_message"]
    assert cloud.messages == []  # a retraining at work is no event


@pytest.mark.parametrize("state", ["CANCELLED", "FAILED", "SUCCEEDED", None])
def test_the_lease_of_an_execution_that_has_ended_is_taken_over_at_once(
    run: Any, cloud: Cloud, state: str | None
) -> None:
    """The clock stands, as on a laptop, so the lease of 7 hours would never end. None: forgotten after 90 days."""
    cloud.objects.write_json(LEASE, {"owner": "ended", "expires_at": "2025-03-02T06:59:00Z"})
    if state:
        cloud.executions["ended"] = state
    cloud.running_jobs = [("velocast-evaluate", "by-hand")]  # another's job does not matter
    assert json.loads(run({})["result"])["status"] == "OK"
    assert cloud.lease_seen[0]["owner"] == EXECUTION
    assert not cloud.objects.exists(LEASE)
    assert cloud.messages == []


@pytest.mark.parametrize("job", ["velocast-train", "velocast-evaluate", "velocast-promote"])
def test_a_cancelled_execution_keeps_its_lease_while_a_job_of_it_runs_and_people_are_told(
    run: Any, cloud: Cloud, warehouse_tables: bigquery.Client, job: str
) -> None:
    held = {"owner": "ended", "expires_at": "2025-03-02T06:59:00Z"}
    cloud.objects.write_json(LEASE, held)
    cloud.executions["ended"] = "CANCELLED"
    cloud.running_jobs = [(job, "ended")]
    result = json.loads(run({})["result"])
    assert (result["status"], result["holder_state"]) == ("BUSY", "JOB_RUNNING")
    assert cloud.runs == []
    assert cloud.objects.read_json(LEASE)[0] == held
    (row,) = audit_rows(warehouse_tables)
    assert row["status"] == "BUSY"
    (notice,) = cloud.notices()
    assert isinstance(notice, RetrainingBlocked)
    assert (notice.holder, notice.holder_state) == ("ended", "JOB_RUNNING")
    assert notice.until == "2025-03-02T06:59:00Z"
    assert f"(CANCELLED) but its job {job} still runs" in notice.reason
    assert cloud.messages[0]["attributes"] == {"event": "retraining_blocked"}


def test_a_holder_at_work_keeps_its_lease_whatever_the_clock_says(run: Any, cloud: Cloud) -> None:
    cloud.objects.write_json(LEASE, {"owner": "slow", "expires_at": "2025-03-01T00:00:00Z"})
    cloud.executions["slow"] = "ACTIVE"
    assert json.loads(run({})["result"])["status"] == "BUSY"
    assert cloud.objects.read_json(LEASE)[0]["owner"] == "slow"


@pytest.mark.parametrize(
    ("expires_at", "status"), [("2025-03-02T06:59:00Z", "BUSY"), ("2025-03-01T00:00:00Z", "OK")]
)
def test_while_nobody_can_be_asked_the_lease_holds_until_it_expires(
    run: Any, cloud: Cloud, expires_at: str, status: str
) -> None:
    cloud.objects.write_json(LEASE, {"owner": "unknown", "expires_at": expires_at})
    cloud.out_of_order = True
    result = json.loads(run({})["result"])
    assert result["status"] == status
    told = [(n.event, n.holder_state) for n in cloud.notices()]
    assert told == ([("retraining_blocked", "UNKNOWN")] if status == "BUSY" else [])


def test_an_expired_lease_is_taken_over(run: Any, cloud: Cloud) -> None:
    cloud.objects.write_json(LEASE, {"owner": "dead", "expires_at": "2025-03-01T23:59:59.5Z"})
    ended = run({})
    assert json.loads(ended["result"])["status"] == "OK"
    assert cloud.lease_seen[0]["owner"] == EXECUTION
    assert parse_instant(cloud.lease_seen[0]["expires_at"]) == parse_instant("2025-03-02T07:00:00Z")
    assert not cloud.objects.exists(LEASE)


def test_its_own_lease_from_an_answer_that_got_lost_counts_as_taken(run: Any, cloud: Cloud) -> None:
    cloud.objects.write_json(LEASE, {"owner": EXECUTION, "expires_at": "2025-03-02T06:00:00Z"})
    assert json.loads(run({})["result"])["status"] == "OK"
    assert not cloud.objects.exists(LEASE)


@pytest.mark.parametrize("step", ["train", "evaluate", "promote"])
def test_a_failed_job_leaves_an_audit_row_a_notice_and_no_lease(
    run: Any, cloud: Cloud, warehouse_tables: bigquery.Client, step: str
) -> None:
    cloud.failures[f"velocast-{step}"] = "task exited with 1"
    ended = run({"as_of": NOW})
    assert ended["state"] == "FAILED"
    assert "task exited with 1" in ended["error"]["payload"]
    assert not cloud.objects.exists(LEASE)
    (row,) = audit_rows(warehouse_tables)
    assert row["event_id"] == f"retrain:{EXECUTION}:failed"
    assert (row["status"], row["event_type"], row["environment"]) == ("FAILED", "TRAINING", "dev")
    assert row["as_of"] == parse_instant(NOW)
    assert row["error_message"].startswith(f"{step} failed, ")
    (notice,) = cloud.notices()
    assert isinstance(notice, TrainingFailed)
    assert notice.step == step
    assert "task exited with 1" in notice.error
    assert notice.execution_id == EXECUTION
    assert EXECUTION in notice.log_url
    assert cloud.messages[0]["attributes"] == {"event": "training_failed"}


def test_what_the_job_said_goes_into_the_notice(run: Any, cloud: Cloud) -> None:
    cloud.failures["velocast-train"] = "task exited with 1"
    said = "too_little_history: 9 days of counts; train needs 14"
    left = {"step": "train", "error": said + "x" * 3000}
    cloud.objects.write_json(f"runs/{EXECUTION}/error.json", left)
    run({})
    assert cloud.notices()[0].error.startswith(said)
    assert len(cloud.notices()[0].error) == 1500


def test_what_another_step_said_before_its_retry_went_well_is_not_told(
    run: Any, cloud: Cloud
) -> None:
    cloud.failures["velocast-evaluate"] = "task exited with 137"
    left = {"step": "train", "error": "registry: MLflow did not answer"}
    cloud.objects.write_json(f"runs/{EXECUTION}/error.json", left)
    run({})
    (notice,) = cloud.notices()
    assert (notice.step, "137" in notice.error) == ("evaluate", True)


def test_a_failed_execution_reported_twice_leaves_one_row(
    run: Any, cloud: Cloud, warehouse_tables: bigquery.Client
) -> None:
    cloud.failures["velocast-train"] = "no"
    run({"as_of": NOW})
    run({"as_of": NOW})
    assert len(audit_rows(warehouse_tables)) == 1
    assert len({notice.event_id for notice in cloud.notices()}) == 1


def test_a_lost_result_is_a_failure(run: Any, cloud: Cloud) -> None:
    del cloud.files["decision.json"]
    ended = run({})
    assert ended["state"] == "FAILED"
    assert cloud.notices()[0].step == "evaluate"


def test_a_decision_nobody_knows_is_a_failure(run: Any, cloud: Cloud) -> None:
    cloud.files["decision.json"] = JUDGED | {"decision": "PERHAPS"}
    assert run({})["state"] == "FAILED"
    assert "needs DEPLOY, SKIP or REJECT" in cloud.notices()[0].error


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"forced": True}, "forced is unknown; the fields are"),
        ({"force": "yes"}, "force must be true or false"),
        ({"test_mode": 1}, "test_mode must be true or false"),
        ({"kind": "tree"}, "kind must be blend, gbm, rf, nn or affluence"),
        ({"reason": 3}, "reason must be a string"),
        ({"as_of": 3}, "as_of must be an RFC 3339 time"),
        ({"as_of": "yesterday"}, "as_of yesterday is not an RFC 3339 time"),
        ({"as_of": "2025-03-02T00:06:00Z"}, "is in the future"),
        ([1], "give a JSON object"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_runs(
    run: Any, cloud: Cloud, warehouse_tables: bigquery.Client, argument: Any, said: str
) -> None:
    ended = run(argument)
    assert ended["state"] == "FAILED"
    assert said in ended["error"]["payload"]
    assert cloud.runs == []
    assert not cloud.objects.exists(LEASE)
    assert cloud.notices()[0].step == "argument"
    assert said in audit_rows(warehouse_tables)[0]["error_message"]
