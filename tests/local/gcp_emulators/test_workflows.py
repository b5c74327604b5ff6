"""Workflow files executed as the stack does it, against a small server that plays Google's APIs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gcp_emulators.core.clock import Clock
from gcp_emulators.core.http_server import HttpServer, free_port
from gcp_emulators.core.warm_python import WarmPython
from gcp_emulators.workflows.connectors import local_url
from velocast.core.datetimes import parse_instant

pytestmark = pytest.mark.emulator


class Google:
    """Answers for Cloud Run, Cloud Storage and an API that is out of order now and then; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.flaky_answers = [503, 503]
        self.polls_left = 2

    async def run_job(self, request: Request) -> Response:
        body = json.loads(await request.body() or b"{}")
        job = request.path_params["job"]
        self.asked.append(
            {"job": job, "body": body, "authorization": request.headers.get("authorization")}
        )
        return JSONResponse({"name": f"projects/p/locations/l/operations/{job}", "done": False})

    async def operation(self, request: Request) -> Response:
        name = request.path_params["operation"]
        answer: dict[str, Any] = {
            "name": f"projects/p/locations/l/operations/{name}",
            "done": False,
        }
        self.polls_left -= 1
        if name == "broken":
            answer |= {"done": True, "error": {"code": 10, "message": "task exited with 3"}}
        elif name != "endless" and self.polls_left <= 0:
            answer |= {"done": True, "response": {"succeededCount": 1, "items": ["kept"]}}
        return JSONResponse(answer)

    async def storage_object(self, request: Request) -> Response:
        self.asked.append(
            {"object": request.path_params["name"], "query": dict(request.query_params)}
        )
        return JSONResponse({"decision": "DEPLOY", "score": 1e-05, "none": None})

    async def upload(self, request: Request) -> Response:
        self.asked.append(
            {"query": dict(request.query_params), "body": (await request.body()).decode()}
        )
        return JSONResponse({"error": {"code": 412}}, status_code=412)

    async def flaky(self, request: Request) -> Response:
        status = self.flaky_answers.pop(0) if self.flaky_answers else 200
        self.asked.append({"method": request.method, "body": (await request.body()).decode()})
        return PlainTextResponse("well" if status == 200 else "ill", status_code=status)

    def routes(self) -> list[Route]:
        return [
            Route("/v2/projects/p/locations/l/jobs/{job}:run", self.run_job, methods=["POST"]),
            Route("/v2/projects/p/locations/l/operations/{operation}", self.operation),
            Route("/storage/v1/b/bucket/o/{name:path}", self.storage_object),
            Route("/upload/storage/v1/b/bucket/o", self.upload, methods=["POST"]),
            Route("/flaky", self.flaky, methods=["GET", "POST"]),
        ]


@pytest.fixture
def google() -> Iterator[tuple[Google, str]]:
    api = Google()
    with HttpServer(api.routes()) as server:
        yield api, server.url


PYTHON = WarmPython(["workflows_emulator.main"])


@pytest.fixture(scope="module", autouse=True)
def _stop_python() -> Iterator[None]:
    yield
    PYTHON.stop()


def execute(tmp_path: Path, url: str, workflow: str, argument: Any = None) -> dict[str, Any]:
    """Execute a workflow in a process of its own and return how it ended, with JSON texts decoded."""
    source, result, clock = tmp_path / "w.yaml", tmp_path / "result.json", tmp_path / "clock"
    source.write_text(workflow.replace("$URL", url), encoding="utf-8")
    Clock(clock).set(parse_instant("2026-03-01T02:00:00Z"), force=True)
    command = [sys.executable, "-m", "gcp_emulators.workflows.interpreter", "--source", str(source)]
    command += ["--argument", json.dumps(argument), "--result", str(result)]
    command += ["--endpoint", url, "--clock", str(clock), "--variable-prefix", "VELOCAST_"]
    environment = {
        "PATH": "/usr/bin:/bin",
        "GOOGLE_CLOUD_PROJECT_ID": "p",
        "VELOCAST_MODELS_BUCKET": "bucket",
        "SECRET_OF_THE_SHELL": "hidden",
    }
    log = tmp_path / "log"
    process = PYTHON.start(command, environment=environment, log=log, cwd=tmp_path)
    assert process.wait(60) == 0, log.read_text(encoding="utf-8")
    end: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if "result" in end:
        end["result"] = json.loads(end["result"])
    else:
        end["error"]["payload"] = json.loads(end["error"]["payload"])
    return end


def test_a_retraining_shaped_workflow_reads_the_decision_and_switches(
    tmp_path: Path, google: tuple[Google, str]
) -> None:
    api, url = google
    workflow = """
main:
  params: [args]
  steps:
    - read:
        assign:
          - force: ${default(map.get(args, "force"), false)}
          - kind: ${default(map.get(args, "kind"), "gbm")}
          - object: ${"runs/" + string(7) + "/decision.json"}
          - settings: {"nested": {"a": 1}}
          - settings.nested.b: ${if(force, "yes", "no")}
    - train:
        call: run_job
        args: {job: train, argument: "--kind=gbm"}
        result: execution
    - decide:
        try:
          call: googleapis.storage.v1.objects.get
          args:
            bucket: bucket
            object: ${text.url_encode(object)}
            alt: media
          result: decision
        retry: ${http.default_retry}
    - choose:
        switch:
          - condition: ${decision.decision == "DEPLOY" and not(force == null)}
            steps:
              - done:
                  return:
                    decision: ${decision.decision}
                    score: ${decision.score}
                    nothing: ${decision.none}
                    settings: ${settings}
                    items: ${execution.items}
                    keys: ${keys(settings)}
                    missing: ${map.get(args, ["a", "b"])}
                    at: ${time.format(sys.now())}
                    bucket: ${sys.get_env("VELOCAST_MODELS_BUCKET")}
                    brace: ${"}" + json.encode_to_string(settings.nested)}
    - otherwise:
        return: wrong
run_job:
  params: [job, argument]
  steps:
    - call:
        call: googleapis.run.v2.projects.locations.jobs.run
        args:
          name: ${"projects/" + sys.get_env("GOOGLE_CLOUD_PROJECT_ID") + "/locations/l/jobs/" + job}
          body:
            overrides:
              containerOverrides:
                - args: ["${argument}"]
          connector_params:
            timeout: 60
        result: execution
    - end:
        return: ${execution}
"""
    end = execute(tmp_path, url, workflow, {"force": True})
    assert end == {
        "state": "SUCCEEDED",
        "result": {
            "decision": "DEPLOY",
            "score": 1e-05,
            "nothing": None,
            "settings": {"nested": {"a": 1, "b": "yes"}},
            "items": ["kept"],
            "keys": ["nested"],
            "missing": None,
            "at": "2026-03-01T02:00:00.000000Z",
            "bucket": "bucket",
            "brace": '}{"a": 1, "b": "yes"}',
        },
    }
    body = {"overrides": {"containerOverrides": [{"args": ["--kind=gbm"]}]}}
    assert api.asked == [
        {"job": "train", "body": body, "authorization": None},
        {"object": "runs/7/decision.json", "query": {"alt": "media"}},
    ]


@pytest.mark.parametrize(
    ("job", "timeout", "tag", "message"),
    [
        ("broken", 60, "OperationError", "Long-running operation failed: task exited with 3"),
        (
            "endless",
            0.3,
            "TimeoutError",
            "projects/p/locations/l/operations/endless: not done within",
        ),
    ],
)
def test_a_job_that_fails_or_takes_too_long_can_be_caught(
    tmp_path: Path, google: tuple[Google, str], job: str, timeout: float, tag: str, message: str
) -> None:
    workflow = f"""
main:
  steps:
    - run:
        try:
          call: googleapis.run.v2.projects.locations.jobs.run
          args:
            name: projects/p/locations/l/jobs/{job}
            connector_params: {{timeout: {timeout}}}
        except:
          as: e
          steps:
            - tell:
                return: ${{e}}
"""
    end = execute(tmp_path, google[1], workflow)
    assert end["result"]["tags"] == [tag]
    assert end["result"]["message"].startswith(message)
    if job == "broken":
        assert end["result"]["operation"]["error"]["message"] == "task exited with 3"


def test_http_is_retried_by_the_policy_and_a_list_is_sent_as_json(
    tmp_path: Path, google: tuple[Google, str]
) -> None:
    workflow = """
main:
  steps:
    - prepare:
        assign:
          - rows: [{"a": 1}]
    - ask:
        try:
          call: http.post
          args:
            url: $URL/flaky
            body: ${rows}
            auth: {type: OIDC}
          result: answer
        retry:
          predicate: ${often}
          max_retries: 3
          backoff: {initial_delay: "${0.05}", max_delay: "${0.06}", multiplier: 2}
    - end:
        return: ${answer.body}
often:
  params: [e]
  steps:
    - look:
        return: ${"HttpError" in e.tags and e.code == 503}
"""
    assert execute(tmp_path, google[1], workflow) == {"state": "SUCCEEDED", "result": "well"}
    assert [asked["body"] for asked in google[0].asked] == ['[{"a": 1}]'] * 3


def test_a_taken_lease_is_seen_by_its_code(tmp_path: Path, google: tuple[Google, str]) -> None:
    workflow = """
main:
  steps:
    - take:
        try:
          call: http.post
          args:
            url: https://storage.googleapis.com/upload/storage/v1/b/bucket/o
            query: {uploadType: media, name: lease.json, ifGenerationMatch: 0}
            headers: {Content-Type: application/json}
            body: {"owner": "me"}
            auth: {type: OAuth2}
        except:
          as: e
          steps:
            - look:
                switch:
                  - condition: ${"HttpError" in e.tags and e.code == 412}
                    return: {"held": true, "code": "${e.body.error.code}"}
            - other:
                raise: ${e}
"""
    assert execute(tmp_path, google[1], workflow)["result"] == {"held": True, "code": 412}
    query = {"uploadType": "media", "name": "lease.json", "ifGenerationMatch": "0"}
    assert google[0].asked == [{"query": query, "body": '{"owner": "me"}'}]


def test_http_request_is_sent_to_the_stack_as_http_get_is(
    tmp_path: Path, google: tuple[Google, str]
) -> None:
    workflow = """
main:
  steps:
    - ask:
        call: http.request
        args: {method: GET, url: "https://storage.googleapis.com/storage/v1/b/bucket/o/x"}
        result: answer
    - end:
        return: ${answer.body.decision}
"""
    assert execute(tmp_path, google[1], workflow) == {"state": "SUCCEEDED", "result": "DEPLOY"}
    assert google[0].asked == [{"object": "x", "query": {}}]


@pytest.mark.parametrize(
    ("step", "payload"),
    [
        ('raise: "nothing to do"', "nothing to do"),
        (
            'raise: {"message": "refused", "code": 7, "tags": ["Own"]}',
            {"message": "refused", "code": 7, "tags": ["Own"]},
        ),
        ("return: ${args.missing}", {"message": "key not found: missing", "tags": ["KeyError"]}),
        (
            'return: ${sys.get_env("SECRET_OF_THE_SHELL")}',
            {
                "message": "environment variable SECRET_OF_THE_SHELL is not set for this workflow",
                "tags": ["KeyError"],
            },
        ),
    ],
)
def test_an_uncaught_error_is_the_payload_of_the_failed_execution(
    tmp_path: Path, google: tuple[Google, str], step: str, payload: Any
) -> None:
    workflow = f"main:\n  params: [args]\n  steps:\n    - only:\n        {step}\n"
    end = execute(tmp_path, google[1], workflow, {})
    assert end["state"] == "FAILED"
    assert end["error"]["payload"] == payload
    assert 'in step "only"' in end["error"]["context"]


def test_errors_inside_assign_and_refused_connections_are_caught_and_the_workflow_goes_on(
    tmp_path: Path, google: tuple[Google, str]
) -> None:
    workflow = f"""
main:
  steps:
    - start:
        assign:
          - tags: []
    - bad_assign:
        try:
          steps:
            - inner:
                assign:
                  - x: ${{unknown + 1}}
        except:
          as: e
          steps:
            - note:
                assign:
                  - tags: ${{list.concat(tags, e.tags[0])}}
    - nobody:
        try:
          call: http.get
          args: {{url: "http://127.0.0.1:{free_port()}/"}}
        except:
          as: e
          steps:
            - note_too:
                assign:
                  - tags: ${{list.concat(tags, e.tags[0])}}
    - text_error:
        try:
          raise: "plain"
        except:
          as: e
          steps:
            - note_three:
                assign:
                  - tags: ${{list.concat(tags, get_type(e) + ":" + e)}}
    - end:
        return: ${{tags}}
"""
    end = execute(tmp_path, google[1], workflow)
    assert end == {"state": "SUCCEEDED", "result": ["KeyError", "ConnectionError", "string:plain"]}


def test_null_is_returned_and_ends_the_workflow(tmp_path: Path, google: tuple[Google, str]) -> None:
    workflow = """
main:
  steps:
    - ask:
        call: nothing
        result: value
    - check:
        switch:
          - condition: ${value == null}
            steps:
              - log:
                  call: sys.log
                  args: {severity: NOTICE, json: {"value": "${value}"}}
              - end:
                  return: null
    - never:
        return: went on
nothing:
  steps:
    - end:
        return: null
    - never:
        return: went on
"""
    assert execute(tmp_path, google[1], workflow) == {"state": "SUCCEEDED", "result": None}


@pytest.mark.parametrize(
    ("url", "local"),
    [
        (
            "https://storage.googleapis.com/storage/v1/b/x/o/a%2Fb?alt=media",
            "http://h:1/storage/v1/b/x/o/a%2Fb?alt=media",
        ),
        ("https://europe-west1-run.googleapis.com/v2/x", "http://h:1/v2/x"),
        ("https://compute.googleapis.com/v1", "https://compute.googleapis.com/v1"),
        ("https://storage.googleapis.com.evil.test/", "https://storage.googleapis.com.evil.test/"),
    ],
)
def test_only_the_addresses_of_known_google_services_are_sent_to_the_stack(
    url: str, local: str
) -> None:
    assert local_url(url, {"storage": "http://h:1", "run": "http://h:1"}) == local
