"""The control plane as client libraries see it, without the children of a whole stack."""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.api_core.exceptions import InvalidArgument, NotFound
from google.cloud.workflows import executions_v1
from google.cloud.workflows.executions_v1.services.executions.transports import (
    ExecutionsGrpcTransport,
)

from gcp_emulators.core.clock import Clock, ClockRefused
from gcp_emulators.core.documents import DocumentStore
from gcp_emulators.core.processes import MARKER
from gcp_emulators.scheduler import scheduler
from gcp_emulators.storage.preconditions import Preconditions
from tests.local.velocast_local.tiny_stack import make_state, running_control_plane
from velocast.core.city import load_city
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.requests import PredictRequest
from velocast.usecases.notifications.alert_message import AlertMessage
from velocast_local.stack.configuration import load_schedules
from velocast_local.stack.control_plane import ControlPlane
from velocast_local.stack.environment import (
    process_environment,
    shell_environment,
    stack_environment,
)

pytestmark = pytest.mark.emulator

NOW = "2026-03-01T01:30:00Z"
STATES = executions_v1.Execution.State


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    state = make_state(tmp_path_factory.mktemp("stack"))
    with running_control_plane(state) as running:
        running.clock.set(parse_instant(NOW))
        yield running


@pytest.fixture
def api(plane: ControlPlane) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=plane.state.url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def executions(plane: ControlPlane) -> Iterator[executions_v1.ExecutionsClient]:
    channel = grpc.insecure_channel(f"127.0.0.1:{plane.state.ports['executions']}")
    yield executions_v1.ExecutionsClient(transport=ExecutionsGrpcTransport(channel=channel))
    channel.close()


def wait_for(what: Callable[[], Any], seconds: float = 30) -> Any:
    """Return the first true answer of `what`."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.02)
    return answer


WORKFLOW = "projects/velocast-local/locations/europe-west1/workflows/velocast-retrain"


# workflows


def test_an_execution_runs_the_job_and_is_the_same_over_grpc_and_rest(
    plane: ControlPlane, api: httpx.Client, executions: executions_v1.ExecutionsClient
) -> None:
    made = executions.create_execution(
        parent=WORKFLOW,
        execution=executions_v1.Execution(
            argument=json.dumps({"jobs_args": ["--x"]}), labels={"by": "test"}
        ),
    )
    assert made.state == STATES.ACTIVE
    assert api.get("/local/idle").json() == {"idle": False, "delivering": False, "running": True}
    assert api.get("/local/idle", params={"wait": 25}).json()["idle"]  # answered when it has ended

    def ended() -> Any:
        found = executions.get_execution(name=made.name)
        return found if found.state != STATES.ACTIVE else None

    found = wait_for(ended)
    assert found.state == STATES.SUCCEEDED, found.error
    assert json.loads(found.result) == {
        "decision": "DEPLOY",
        "succeeded": 1,
        "at": "2026-03-01T01:30:00.000000Z",
    }
    assert dict(found.labels) == {"by": "test"}
    assert found.start_time == parse_instant(NOW)
    assert found.end_time > found.start_time
    rest = api.get(f"/v1/{made.name}").json()
    assert (rest["state"], rest["result"]) == ("SUCCEEDED", found.result)
    listed = executions.list_executions(
        request={"parent": WORKFLOW, "filter": 'state="SUCCEEDED"', "page_size": 1}
    )
    assert made.name in [execution.name for execution in listed]
    log = plane.jobs.executions("velocast-train")[0]["log"]
    assert "args ['--x']" in Path(log).read_text(encoding="utf-8")


def test_a_failed_job_fails_the_execution_with_its_reason(
    executions: executions_v1.ExecutionsClient,
) -> None:
    argument = json.dumps({"jobs_args": ["--fail"]})
    made = executions.create_execution(
        parent=WORKFLOW, execution=executions_v1.Execution(argument=argument)
    )
    found = wait_for(
        lambda: (e := executions.get_execution(name=made.name)).state != STATES.ACTIVE and e
    )
    assert found.state == STATES.FAILED
    payload = json.loads(found.error.payload)
    assert payload["tags"] == ["OperationError"]
    assert "exit code 3" in payload["operation"]["error"]["message"]
    assert 'in step "train"' in found.error.context


def test_a_cancelled_execution_ends_its_process(
    executions: executions_v1.ExecutionsClient, plane: ControlPlane
) -> None:
    argument = json.dumps({"jobs_args": ["--sleep"]})
    made = executions.create_execution(
        parent=WORKFLOW, execution=executions_v1.Execution(argument=argument)
    )
    wait_for(plane.jobs.active)
    assert executions.cancel_execution(name=made.name).state == STATES.CANCELLED
    assert executions.get_execution(name=made.name).state == STATES.CANCELLED
    with pytest.raises(InvalidArgument, match="has ended already: CANCELLED"):
        executions.cancel_execution(name=made.name)
    # The job it started goes on, as in the cloud.
    job = plane.jobs.executions("velocast-train")[0]
    assert job["state"] == "RUNNING"
    plane.jobs.cancel(job["id"])
    wait_for(lambda: plane.jobs.execution(job["id"])["state"] == "CANCELLED")


def test_what_cannot_be_executed_is_refused(executions: executions_v1.ExecutionsClient) -> None:
    with pytest.raises(InvalidArgument, match="not a JSON text"):
        executions.create_execution(
            parent=WORKFLOW, execution=executions_v1.Execution(argument="{")
        )
    with pytest.raises(InvalidArgument, match="32768 are allowed"):
        executions.create_execution(
            parent=WORKFLOW, execution=executions_v1.Execution(argument=json.dumps("x" * 40_000))
        )
    with pytest.raises(NotFound, match="workflow 'other' not found"):
        executions.create_execution(
            parent=WORKFLOW.replace("velocast-retrain", "other"),
            execution=executions_v1.Execution(),
        )
    with pytest.raises(NotFound, match="execution 'none' of workflow"):
        executions.get_execution(name=f"{WORKFLOW}/executions/none")


# jobs

JOBS = "/v2/projects/velocast-local/locations/europe-west1/jobs"


def finished(api: httpx.Client, operation: dict[str, Any]) -> dict[str, Any]:
    """Poll an operation until it is done."""

    def poll() -> Any:
        answer = api.get(f"/v2/{operation['name']}").json()
        return answer if answer["done"] else None

    found: dict[str, Any] = wait_for(poll)
    return found


def test_a_job_run_replaces_args_and_adds_to_the_environment_its_configuration_lists(
    plane: ControlPlane, api: httpx.Client
) -> None:
    container = {"args": ["--version=7"], "env": [{"name": "EXTRA", "value": "1"}]}
    body = {"overrides": {"containerOverrides": [container]}}
    operation = api.post(f"{JOBS}/velocast-evaluate:run", json=body).json()
    assert operation["done"] is False
    assert operation["metadata"]["@type"] == "type.googleapis.com/google.cloud.run.v2.Execution"
    done = finished(api, operation)
    assert done["response"]["succeededCount"] == 1
    assert done["response"]["conditions"][0]["state"] == "CONDITION_SUCCEEDED"
    text = Path(plane.jobs.executions("velocast-evaluate")[0]["log"]).read_text(encoding="utf-8")
    assert text.splitlines() == [
        "attempt 0 args ['--version=7']",
        "sees ['VELOCAST_DATASETS_BUCKET', 'VELOCAST_MODELS_BUCKET', 'VELOCAST_SITE_BUCKET']",
        "extra 1",
    ]


def test_a_failing_job_is_tried_again_and_then_fails_its_operation(
    plane: ControlPlane, api: httpx.Client
) -> None:
    body = {"overrides": {"containerOverrides": [{"args": ["--fail"]}]}}
    done = finished(api, api.post(f"{JOBS}/velocast-train:run", json=body).json())
    assert "exit code 3" in done["error"]["message"]
    assert done["metadata"]["failedCount"] == 1
    record = plane.jobs.executions("velocast-train")[0]
    text = Path(record["log"]).read_text(encoding="utf-8")
    assert [line.split()[1] for line in text.splitlines() if "attempt" in line] == ["0", "1"]


def test_tasks_of_an_execution_run_at_a_time_and_one_that_fails_fails_it(
    plane: ControlPlane, api: httpx.Client
) -> None:
    body = {"overrides": {"taskCount": 5, "containerOverrides": [{"args": ["--fail-task=3"]}]}}
    began = api.post(f"{JOBS}/velocast-forecast-tasks:run", json=body).json()
    assert {n: began["metadata"][n] for n in ("taskCount", "parallelism", "runningCount")} == {
        "taskCount": 5,
        "parallelism": 5,
        "runningCount": 5,
    }
    done = finished(api, began)
    assert done["error"]["message"].startswith("Task 3: The container exited with an error")
    found = done["metadata"]
    assert (found["succeededCount"], found["failedCount"], found["retriedCount"]) == (4, 1, 2)
    record = plane.jobs.executions("velocast-forecast-tasks")[0]
    lines = Path(record["log"]).read_text(encoding="utf-8").splitlines()
    tasks = sorted(line for line in lines if line.startswith("task "))
    expected = [f"task {n} of 5 attempt 0" for n in range(5)]
    assert tasks == sorted([*expected, "task 3 of 5 attempt 1", "task 3 of 5 attempt 2"])
    v1 = api.get(f"/apis/run.googleapis.com/v1/namespaces/velocast-local/executions/{record['id']}")
    assert v1.json()["spec"]["taskCount"] == 5
    assert v1.json()["status"]["succeededCount"] == 4


def test_a_job_of_one_task_at_a_time_runs_its_tasks_one_after_the_other(
    plane: ControlPlane, api: httpx.Client
) -> None:
    body = {"overrides": {"taskCount": 3}}
    began = api.post(f"{JOBS}/velocast-evaluate:run", json=body).json()
    assert (began["metadata"]["taskCount"], began["metadata"]["parallelism"]) == (3, 1)
    assert finished(api, began)["response"]["succeededCount"] == 3
    log = Path(plane.jobs.executions("velocast-evaluate")[0]["log"])
    text = log.read_text(encoding="utf-8").splitlines()
    assert [line for line in text if line.startswith("task")] == [
        f"task {n} of 3 attempt 0" for n in range(3)
    ]


def test_a_cancelled_execution_ends_all_its_tasks(plane: ControlPlane, api: httpx.Client) -> None:
    body = {"overrides": {"taskCount": 3, "containerOverrides": [{"args": ["--sleep"]}]}}
    began = api.post(f"{JOBS}/velocast-forecast-tasks:run", json=body).json()
    execution = began["metadata"]["name"]
    api.post(f"/v2/{execution}:cancel")
    done = finished(api, began)
    assert done["error"]["code"] == 1
    assert done["metadata"]["cancelledCount"] == 3


def test_a_job_that_takes_too_long_is_ended(api: httpx.Client) -> None:
    container = {"args": ["--sleep"]}
    body = {"overrides": {"containerOverrides": [container], "timeout": "1s"}}
    done = finished(api, api.post(f"{JOBS}/velocast-promote:run", json=body).json())
    assert "ended after its timeout of 1 s" in done["error"]["message"]


def test_gcloud_finds_jobs_in_the_stacks_region_only(api: httpx.Client) -> None:
    path = "/apis/run.googleapis.com/v1/namespaces/velocast-local/jobs"
    with httpx.Client(proxy=str(api.base_url), trust_env=False) as proxied:
        here = proxied.get(f"http://europe-west1-run.stack.internal{path}").json()
        assert [j["metadata"]["name"] for j in here["items"]] == [
            "velocast-train",
            "velocast-evaluate",
            "velocast-promote",
            "velocast-forecast-tasks",
            "velocast-forecast-publish",
        ]
        elsewhere = f"http://us-east1-run.stack.internal{path}"
        assert proxied.get(elsewhere).json() == {"metadata": {}, "items": []}
        refused = proxied.get(f"{elsewhere}/velocast-train")
    assert (refused.status_code, refused.json()["error"]["status"]) == (404, "NOT_FOUND")


# clock, scheduler, Pub/Sub


def test_the_clock_goes_forward_only_unless_forced(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    assert clock.now().minute == 0
    start = datetime(2020, 1, 1, tzinfo=UTC)
    assert clock.set(start) == clock.now() == start, "a new clock may be set anywhere once"
    with pytest.raises(ClockRefused, match="it is 2020-01-01T00:00:00Z and cannot go back"):
        clock.set(datetime(2019, 12, 31, tzinfo=UTC))
    with pytest.raises(ClockRefused, match="has no zone"):
        clock.set(datetime(2021, 1, 1))
    later = clock.set(datetime(2020, 2, 1, tzinfo=UTC))
    assert Clock(tmp_path / "clock").now() == later
    assert clock.set(start, force=True) == start


def test_the_clock_over_http(api: httpx.Client) -> None:
    assert api.get("/local/clock").json() == {"now": NOW}
    back = api.post("/local/clock", json={"now": "2026-02-01T00:00:00Z"})
    assert back.status_code == 400
    assert "cannot go back" in back.json()["error"]["message"]
    assert api.post("/local/clock", json={"now": "soon"}).status_code == 400
    assert api.post("/local/clock", content=b"[]").status_code == 400


def test_scheduler_publishes_at_the_simulated_time(plane: ControlPlane, api: httpx.Client) -> None:
    plane.broker.put_subscription({"name": "watch", "topic": "velocast-fetch"})
    base = "/v1/projects/velocast-local/locations/europe-west1/jobs"
    listed = api.get(base).json()["jobs"]
    crons = ["0 2 * * *", "0 3 * * 1", "30 3 2 * *", "0 4 * * *", "0 0 * * 0", "0 6 * * 1"]
    assert [j["schedule"] for j in listed] == crons
    assert listed[0]["scheduleTime"] == "2026-03-01T02:00:00Z"
    ran = api.post(f"{base}/velocast-fetch:run", json={}).json()
    assert ran["lastAttemptTime"] == NOW
    pulled = api.post(
        "/v1/projects/velocast-local/subscriptions/watch:pull", json={"maxMessages": 1}
    ).json()
    message = pulled["receivedMessages"][0]["message"]
    assert base64.b64decode(message["data"]) == b"{}"
    assert message["publishTime"].startswith("2026-03-01T01:30:00")
    assert api.post(f"{base}/velocast-fetch:pause").json()["state"] == "PAUSED"
    until = parse_instant("2026-03-02T02:00:00Z")
    assert [name for _, name in plane.scheduler.due(parse_instant(NOW), until)] == [
        "velocast-predict"
    ]
    assert api.post(f"{base}/velocast-fetch:resume").json()["state"] == "ENABLED"
    assert api.get(f"{base}/none").status_code == 404


def test_due_lists_runs_after_the_first_and_up_to_the_last_moment(plane: ControlPlane) -> None:
    file = plane.state.config / "schedules.yaml"
    after, until = parse_instant("2026-02-28T02:00:00Z"), parse_instant("2026-03-01T02:00:00Z")
    assert scheduler.due(load_schedules(file), after, until) == [
        (parse_instant("2026-02-28T04:00:00Z"), "velocast-predict"),
        (parse_instant("2026-03-01T00:00:00Z"), "velocast-monitor"),
        (parse_instant("2026-03-01T02:00:00Z"), "velocast-fetch"),
    ]


def test_what_waits_is_sent_every_hour_where_a_city_has_quiet_hours(plane: ControlPlane) -> None:
    file, held = plane.state.config / "schedules.yaml", "velocast-notify-held"
    assert held not in load_schedules(file)
    quiet = {"quiet_hours": {"all": {"since": "22:00", "until": "07:00"}}}
    city = load_city("demoville")
    city = city.model_copy(update={"messages": city.messages.model_validate(quiet)})
    jobs = {held: load_schedules(file, city)[held]}
    after, until = parse_instant("2026-02-28T02:00:00Z"), parse_instant("2026-03-01T02:00:00Z")
    assert len(scheduler.due(jobs, after, until)) == 24
    assert AlertMessage.model_validate(jobs[held].payload).release_held


def test_counts_are_fetched_every_hour_where_a_city_lists_hours_within_the_day(
    plane: ControlPlane,
) -> None:
    file = plane.state.config / "schedules.yaml"
    assert not [name for name in load_schedules(file) if name.endswith("-within-day")]
    city = load_city("demoville").model_copy(update={"within_day": (10, 15)})
    jobs = {n: job for n, job in load_schedules(file, city).items() if n.endswith("-within-day")}
    after = parse_instant("2026-02-28T02:00:00Z")
    runs = scheduler.due(jobs, after, after + timedelta(hours=1))
    assert [name for _, name in runs] == [
        "velocast-fetch-within-day",
        "velocast-predict-within-day",
    ]
    assert PredictRequest.model_validate(jobs["velocast-predict-within-day"].payload).within_day


# metrics, functions, secrets, forwarding, proxy


def test_the_newest_value_of_each_series_is_served_as_prometheus_text(
    plane: ControlPlane, api: httpx.Client
) -> None:
    code = """
from velocast.core.telemetry import Metrics
for value in (0.5, 0.875):
    metrics = Metrics("otlp", project="p")
    metrics.set("bike/model_r2", value, role="champion", test='a "quoted" one')
    metrics.set("bike/forecast_rmse", 12)
    metrics.flush()
"""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": plane.state.url}
    subprocess.run([sys.executable, "-c", code], check=True, env=variables, timeout=60)
    lines = api.get("/metrics").text.splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "bike_forecast_rmse 12",
        'bike_model_r2{role="champion",test="a \\"quoted\\" one"} 0.875',
    ]
    assert "# TYPE bike_model_r2 gauge" in lines
    assert api.post("/v1/metrics", content=b"nonsense").status_code == 400


def test_functions_are_listed_with_their_local_addresses(
    plane: ControlPlane, api: httpx.Client
) -> None:
    base = "/v2/projects/velocast-local/locations/europe-west1/functions"
    urls = {f["name"].split("/")[-1]: f["url"] for f in api.get(base).json()["functions"]}
    assert urls["fetch"] == plane.state.part_url("fetch")
    assert api.get(f"{base}/fetch").json()["serviceConfig"]["uri"] == urls["fetch"]
    assert "serve" not in urls, "the API is a Cloud Run service"
    assert api.get(f"{base}/none").status_code == 404


def test_secrets_come_from_the_files_and_from_nowhere_else(api: httpx.Client) -> None:
    base = "/v1/projects/velocast-local/secrets"
    answer = api.get(f"{base}/velocast-api-keys/versions/latest:access").json()
    assert base64.b64decode(answer["payload"]["data"]) == b"local:secret-of-the-test\n"
    for name in ("..%2Fclock", "api-keys", "velocast-discord-webhook"):  # the last has no file here
        assert api.get(f"{base}/{name}/versions/latest:access").status_code == 404


def test_permissions_are_those_that_terraform_grants(api: httpx.Client) -> None:
    def held(account: str, topic: str) -> Any:
        email = f"{account}@velocast-local.iam.gserviceaccount.com"
        made = api.post(f"/v1/projects/-/serviceAccounts/{email}:generateAccessToken", json={})
        answer = api.post(
            f"/v1/projects/velocast-local/topics/{topic}:testIamPermissions",
            json={"permissions": ["pubsub.topics.publish"]},
            headers={"Authorization": f"Bearer {made.json()['accessToken']}"},
        )
        return answer.json()

    granted = {"permissions": ["pubsub.topics.publish"]}
    assert held("velocast-predict", "velocast-alerts") == granted
    assert held("velocast-predict", "velocast-fetch") == {}
    assert held("velocast-notify", "velocast-alerts") == {}


def test_a_function_tells_the_variables_that_its_configuration_lists(api: httpx.Client) -> None:
    base = "/v2/projects/velocast-local/locations/europe-west1"
    config = api.get(f"{base}/functions/predict").json()["serviceConfig"]
    service = api.get(f"{base}/services/velocast-serve").json()["template"]["containers"][0]
    predict = config["environmentVariables"]
    serve = {variable["name"]: variable["value"] for variable in service["env"]}
    assert predict["VELOCAST_MODELS_BUCKET"] == "velocast-local-models"
    assert serve["VELOCAST_MODELS_BUCKET"] == "velocast-local-models"
    assert "VELOCAST_ALERTS_TOPIC" in predict
    assert "VELOCAST_ALERTS_TOPIC" not in serve


def test_a_new_day_brings_a_backup_of_mlflows_database(
    plane: ControlPlane, api: httpx.Client
) -> None:
    database = plane.state.home / "mlflow" / "mlflow.sqlite"
    database.parent.mkdir(exist_ok=True)
    database.touch()
    base = "/v1/projects/velocast-local/instances/velocast-mlflow/backupRuns"
    start = plane.clock.now()
    for hours in (1, 2, 26):
        moment = rfc3339(start + timedelta(hours=hours))
        api.post("/local/clock", json={"now": moment}).raise_for_status()
    ends = [backup["endTime"] for backup in api.get(base).json()["items"]]
    assert ends == [rfc3339(start + timedelta(hours=hours)) for hours in (26, 1)]


def test_start_page_and_deliveries(plane: ControlPlane, api: httpx.Client) -> None:
    page = api.get("/")
    assert plane.state.part_url("mlflow") in page.text
    assert set(api.get("/local/deliveries").json()["deliveries"][0]) >= {"topic", "outcome"}


def test_bigquery_is_a_404_while_its_emulator_is_down(api: httpx.Client) -> None:
    answer = api.get("/bigquery/v2/projects/velocast-local/datasets")
    assert answer.status_code == 404
    assert "does not answer" in answer.text


def test_the_proxy_serves_made_up_names_and_tunnels_to_this_machine_only(
    plane: ControlPlane,
) -> None:
    ports = plane.state.ports
    made_up = http.client.HTTPConnection("127.0.0.1", ports["proxy"], timeout=10)
    host = "http://europe-west1-run.stack.internal"
    made_up.request("GET", host + "/apis/run.googleapis.com/v1/namespaces/velocast-local/jobs")
    answer = made_up.getresponse()
    assert len(json.loads(answer.read())["items"]) == 5
    made_up.close()

    tunnel = http.client.HTTPConnection("127.0.0.1", ports["proxy"], timeout=10)
    tunnel.set_tunnel("127.0.0.1", ports["http"])
    tunnel.request("GET", "/local/clock")
    assert json.loads(tunnel.getresponse().read()) == {"now": rfc3339(plane.clock.now())}
    tunnel.close()

    outside = http.client.HTTPConnection("127.0.0.1", ports["proxy"], timeout=10)
    outside.set_tunnel("example.org", 80)
    with pytest.raises(OSError, match="403 only ports of this machine"):
        outside.request("GET", "/")
    outside.close()


# environment and records


def test_a_process_sees_what_its_configuration_lists_and_no_proxy_of_the_shell(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "CLOUDSDK_CORE_PROJECT", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "http://elsewhere.test")
    monkeypatch.setenv("VELOCAST_REQUESTS_PER_MINUTE", "0")
    seen = process_environment(plane.state, ["GOOGLE_CLOUD_PROJECT", "VELOCAST_MODELS_BUCKET"])
    assert seen["VELOCAST_MODELS_BUCKET"] == "velocast-local-models"
    assert seen["PUBSUB_EMULATOR_HOST"] == f"127.0.0.1:{plane.state.ports['pubsub']}"
    assert seen["VELOCAST_REQUESTS_PER_MINUTE"] == "0"
    assert seen["MLFLOW_DISABLE_TELEMETRY"] == "true"
    hidden = {"http_proxy", "CLOUDSDK_CORE_PROJECT", "MLFLOW_TRACKING_URI", "VELOCAST_WORKFLOW"}
    assert not hidden & set(seen)


def test_the_configuration_lists_only_variables_the_stack_sets(plane: ControlPlane) -> None:
    known = set(stack_environment(plane.state))
    read = {name: function.environment for name, function in plane.functions.items()}
    read |= {name: job.environment for name, job in plane.jobs.jobs.items()}
    for name, variables in read.items():
        assert set(variables) <= known, name


def test_no_process_of_a_shell_is_taken_for_one_of_the_stack(plane: ControlPlane) -> None:
    assert MARKER not in shell_environment(plane.state)


def test_records_keep_their_order_over_restarts_and_updates(tmp_path: Path) -> None:
    records = DocumentStore(tmp_path)
    for key in ("b", "a", "c"):
        records.put(key, {"key": key, "n": 1})
    records.update("b", n=2)
    again = DocumentStore(tmp_path)
    assert again.newest_first() == [
        {"key": "c", "n": 1},
        {"key": "a", "n": 1},
        {"key": "b", "n": 2},
    ]
    assert again.get("missing") is None


def test_what_ran_when_the_stack_stopped_runs_again_under_its_id_and_objects_are_kept(
    tmp_path: Path,
) -> None:
    state = make_state(tmp_path)
    with running_control_plane(state) as first:
        first.objects.put("velocast-local-models", "kept.txt", b"kept", {}, Preconditions())
        made = first.executions.create(
            "velocast-retrain", {"argument": json.dumps({"jobs_args": ["--sleep"]})}
        )
        wait_for(first.jobs.active)
    train = state.root / "workflows" / "jobs" / "train.py"
    train.write_text("", encoding="utf-8")
    with running_control_plane(state) as second:
        assert second.jobs.executions()[0]["state"] in ("CANCELLED", "FAILED")
        assert second.executions.active() == 1
        assert second.executions.resume() == 1
        wait_for(lambda: not second.executions.active())
        found = second.executions.list("velocast-retrain")
        assert [(e["name"], e["state"]) for e in found] == [(made["name"], "SUCCEEDED")]
        assert second.objects.find("velocast-local-models", "kept.txt") is not None
