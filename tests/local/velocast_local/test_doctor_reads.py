"""What the doctor reads from Google's services, on a control plane with tiny functions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from gcp_emulators.core.documents import DocumentStore
from gcp_emulators.core.http_server import free_port
from tests.local.velocast_local.tiny_stack import make_state, running_control_plane
from velocast.adapters.gcs import Objects
from velocast.core.datetimes import rfc3339
from velocast_cli.doctor.backups import examine_backups
from velocast_cli.doctor.deployment import examine_settings
from velocast_cli.doctor.operations import examine_dead_letters
from velocast_cli.doctor.repairs import back_up
from velocast_cli.doctor.system import System
from velocast_cli.target import job_run
from velocast_local.stack.control_plane import ControlPlane
from velocast_local.stack.environment import stack_environment

pytestmark = pytest.mark.emulator


@pytest.fixture
def plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    state = make_state(tmp_path)
    for name, value in stack_environment(state).items():
        monkeypatch.setenv(name, value)
    with running_control_plane(state) as running:
        yield running


def system(home: Path) -> System:
    return System(job_run("doctor", home=home, as_of="2026-03-01T05:00:00Z"))


def found(home: Path) -> list[tuple[str, str]]:
    return [(finding.subject, finding.found) for finding in examine_settings(system(home))]


def test_the_api_is_looked_for_among_the_services_of_cloud_run(
    plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(tmp_path) == []
    monkeypatch.setenv("VELOCAST_MODELS_BUCKET", "another")
    assert {subject for subject, _ in found(tmp_path)} == {
        "predict: VELOCAST_MODELS_BUCKET",
        "monitor: VELOCAST_MODELS_BUCKET",
        "serve: VELOCAST_MODELS_BUCKET",
    }


def test_an_api_that_is_not_deployed_is_a_fault(
    plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane.services, "_records", DocumentStore(tmp_path / "none"))
    assert found(tmp_path) == [("serve", "The function is not deployed.")]


def test_a_database_without_backups_is_backed_up(plane: ControlPlane, tmp_path: Path) -> None:
    examined = system(tmp_path)
    created = examined.as_of - timedelta(days=2)
    plane.database._records.put("instance", {"createTime": rfc3339(created)})
    plane.clock.set(examined.as_of)
    database = plane.state.home / "mlflow" / "mlflow.sqlite"
    database.parent.mkdir(exist_ok=True)
    database.touch()
    (finding,) = examine_backups(examined)
    assert (finding.subject, finding.repair) == ("database velocast-mlflow", "back_up")
    back_up(examined, [finding])
    assert examine_backups(examined) == []


def test_dead_letters_are_counted_and_stay(plane: ControlPlane, tmp_path: Path) -> None:
    examined = system(tmp_path)
    assert examine_dead_letters(examined) == []
    plane.broker.publish("velocast-dead-letter", b"{}", {})
    for _ in range(2):
        (finding,) = examine_dead_letters(examined)
        assert finding.found.endswith("1 (1 of unknown).")


def test_the_stack_is_read_past_the_proxy_of_a_persons_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clients of Cloud Storage, of Google's REST APIs and of MLflow each look for a proxy in their own way."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")  # nothing answers there
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.delenv("no_proxy", raising=False)
    state = make_state(tmp_path)
    for name, value in stack_environment(state).items():
        monkeypatch.setenv(name, value)
    assert os.environ["no_proxy"].split(",")[0] == "intranet.example"
    with running_control_plane(state):
        assert found(tmp_path) == []
        assert examine_backups(system(tmp_path)) == []  # asks Cloud SQL by httplib2
        assert Objects(state.project, f"{state.project}-models").names("") == []
        assert requests.utils.get_environ_proxies(os.environ["MLFLOW_TRACKING_URI"]) == {}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("*", "*"),  # urllib takes it for all hosts only where it stands alone
        ("", "127.0.0.1,localhost"),
        ("intranet.example, localhost", "intranet.example,localhost,127.0.0.1"),
    ],
)
def test_the_hosts_that_a_person_reaches_without_a_proxy_stay_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: str, ours: str
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("no_proxy", theirs)
    state = make_state(tmp_path)
    for _ in range(2):  # again with what it returned
        monkeypatch.setenv("no_proxy", stack_environment(state)["no_proxy"])
        assert os.environ["no_proxy"] == ours
