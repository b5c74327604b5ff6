"""The commands of the README against one machine: the real gcloud and bq, with what `velocast local env` prints."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import emulators
from tests.local.velocast_local.tiny_stack import make_state, running_control_plane
from velocast.core.datetimes import parse_instant
from velocast_local.stack.control_plane import ControlPlane
from velocast_local.stack.environment import export_lines, shell_environment

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed here"),
    pytest.mark.skipif(shutil.which("bq") is None, reason="bq is not installed here"),
]
TIMEOUT_SECONDS = 60
Shell = Callable[[str], str]


@pytest.fixture(scope="module")
def plane(
    warehouse: emulators.Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    ports = {
        "bigquery": warehouse.emulator.rest_port,
        "bigquery_storage": warehouse.emulator.grpc_port,
    }
    state = make_state(tmp_path_factory.mktemp("stack"), **ports)
    with running_control_plane(state) as running:
        running.clock.set(parse_instant("2026-03-01T01:30:00Z"))
        yield running


@pytest.fixture(scope="module")
def shell(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Runs a command line in a shell that has evaluated the printed lines, and returns its standard output."""
    lines = export_lines(shell_environment(plane.state))
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path_factory.mktemp("shell-home"))}

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", f'eval "$LINES"; {command}'],
            env={**bare, "LINES": lines},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def test_workflows_run_describe_and_list(shell: Shell) -> None:
    command = "gcloud workflows run velocast-retrain --location=europe-west1"
    ran = json.loads(shell(command + """ --data='{"jobs_args":["--x"]}' --format=json"""))
    assert ran["state"] == "SUCCEEDED", ran
    assert json.loads(ran["result"])["decision"] == "DEPLOY"
    execution = ran["name"].rpartition("/")[2]
    described = shell(
        f"gcloud workflows executions describe {execution} --workflow=velocast-retrain"
        " --location=europe-west1 --format='value(state,argument)'"
    )
    assert described.split("\t") == ["SUCCEEDED", '{"jobs_args":["--x"]}\n']
    listed = shell("gcloud workflows executions list velocast-retrain --format='value(name,state)'")
    assert [line.split("\t") for line in listed.splitlines()] == [[ran["name"], "SUCCEEDED"]]


def test_pubsub_publish_and_scheduler_run(shell: Shell, plane: ControlPlane) -> None:
    plane.broker.put_subscription({"name": "watch", "topic": "velocast-fetch"})
    shell("gcloud pubsub topics publish velocast-fetch --message='{}'")
    shell("gcloud scheduler jobs run velocast-fetch --location=europe-west1")
    leases = plane.broker.pull("watch", 10)
    assert [lease.message.data for lease in leases] == [b"{}", b"{}"]
    listed = shell("gcloud scheduler jobs list --location=europe-west1")
    assert re.search(
        r"velocast-monitor +europe-west1 +0 0 \* \* 0 \(Etc/UTC\) +Pub/Sub +ENABLED", listed
    )


def test_run_jobs_execute_by_hand(shell: Shell, plane: ControlPlane) -> None:
    command = "gcloud run jobs execute velocast-evaluate --region=europe-west1 --args=--version=7"
    name = shell(command + " --wait --format='value(metadata.name)'").strip()
    record = plane.jobs.execution(name)
    assert (record["state"], record["args"]) == ("SUCCEEDED", ["--version=7"])
    described: dict[str, Any] = json.loads(
        shell(f"gcloud run jobs executions describe {name} --region=europe-west1 --format=json")
    )
    assert described["status"]["succeededCount"] == 1


def test_storage_cp_cat_and_ls(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello\n", encoding="utf-8")
    target = "gs://velocast-local-models/notes/note.txt"
    shell(f"gcloud storage cp {tmp_path / 'note.txt'} {target}")
    assert shell(f"gcloud storage cat {target}") == "hello\n"
    assert shell("gcloud storage ls gs://velocast-local-models/notes/") == f"{target}\n"


def test_bq_query(shell: Shell) -> None:
    sql = "SELECT COUNT(*) AS n FROM bike_traffic_raw.rejects WHERE ingested_at < '2000-01-01'"
    assert json.loads(shell(f'bq --format=json query "{sql}"')) == [{"n": "0"}]
    moment = "SELECT TIMESTAMP '2025-11-30 17:00:00.25+00' AS at"
    assert json.loads(shell(f'bq --format=json query "{moment}"')) == [
        {"at": "2025-11-30 17:00:00"}
    ]


def test_functions_list_and_a_secret(shell: Shell, plane: ControlPlane) -> None:
    listed = shell("gcloud functions list --v2 --format='value(name.basename(),url)'")
    assert f"fetch\t{plane.state.part_url('fetch')}" in listed.splitlines()
    secret = shell("gcloud secrets versions access latest --secret=velocast-api-keys")
    assert secret == "local:secret-of-the-test\n"
