"""The lease of an execution that is over while its job goes on, on a control plane with tiny jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.cloud.workflows.executions_v1 import Execution

from tests.local.velocast_local.tiny_stack import make_state, running_control_plane
from velocast.adapters import google_clients
from velocast_cli.doctor.operations import holder_state
from velocast_cli.doctor.system import System
from velocast_cli.target import job_run
from velocast_local.stack.environment import stack_environment

pytestmark = pytest.mark.emulator


def wait_for(what: Callable[[], Any]) -> Any:
    """Return the first true answer of `what`."""
    deadline = time.monotonic() + 60
    while not (answer := what()):
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.05)
    return answer


def test_a_holder_is_not_over_while_its_job_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = make_state(tmp_path)
    for name, value in stack_environment(state).items():
        monkeypatch.setenv(name, value)
    with running_control_plane(state) as plane:
        system = System(job_run("doctor", home=tmp_path, as_of="2026-03-01T05:00:00Z"))
        place = f"projects/{state.project}/locations/{state.location}"
        execution = Execution(argument=json.dumps({"jobs_args": ["--fail"]}))
        made = google_clients.executions_client().create_execution(
            parent=f"{place}/workflows/velocast-retrain", execution=execution
        )
        holder = made.name.rsplit("/", 1)[-1]
        assert wait_for(lambda: holder_state(system, holder) == "FAILED")
        assert holder_state(system, "no-execution") is None

        arguments = {"args": ["--sleep", f"--execution-id={holder}"]}
        httpx.post(
            f"{state.url}/v2/{place}/jobs/velocast-train:run",
            json={"overrides": {"containerOverrides": [arguments]}},
            trust_env=False,
        ).raise_for_status()
        assert holder_state(system, holder) == "JOB_RUNNING"
        plane.jobs.cancel(plane.jobs.executions("velocast-train")[0]["id"])
        assert wait_for(lambda: holder_state(system, holder) == "FAILED")
