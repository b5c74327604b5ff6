"""A stack whose parts reach their services through relays, and a supervisor that restarts what is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.velocast_local.tiny_stack import make_state
from velocast_local.stack import environment, function_servers, supervisor
from velocast_local.stack.configuration import load_functions
from velocast_local.stack.state import StackState, read_state
from velocast_local.stack.supervisor import MOST_RESTARTS, Child

RELAYS = {"bigquery": 1, "bigquery_storage": 2, "storage": 3, "mlflow": 4, "fetch": 5}


@pytest.fixture
def relayed(tmp_path: Path) -> StackState:
    state = make_state(tmp_path)
    return StackState(
        state.home, state.root, state.city, state.replay, state.ports, relays=dict(RELAYS)
    )


def test_parts_go_through_the_relays_and_people_do_not(relayed: StackState) -> None:
    names = {
        "BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1",
        "BIGQUERY_STORAGE_EMULATOR_HOST": "127.0.0.1:2",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:3",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:4",
    }
    inside = environment.process_environment(relayed)
    outside = environment.stack_environment(relayed)

    assert {name: inside[name] for name in names} == names
    assert not set(names.items()) & set(outside.items())


def test_messages_are_pushed_through_the_relay_of_their_function(relayed: StackState) -> None:
    functions = load_functions(relayed.config / "functions.yaml")

    endpoints = {
        name: function_servers.push_subscription(name, functions[name], relayed)["pushConfig"]
        for name in ("fetch", "predict")
    }

    assert endpoints["fetch"]["pushEndpoint"].startswith("http://127.0.0.1:5/projects/")
    assert endpoints["predict"]["pushEndpoint"].startswith(relayed.part_url("predict"))


def test_a_job_without_mlflow_does_not_get_it_by_the_relay(relayed: StackState) -> None:
    assert "MLFLOW_TRACKING_URI" not in environment.process_environment(relayed, ())


def test_relays_outlive_a_restart(relayed: StackState) -> None:
    relayed.write()

    assert read_state(relayed.home) == relayed


def ended() -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process


def test_a_process_that_does_not_start_is_not_restarted_for_ever() -> None:
    child = Child("fetch", ended)

    assert [child.watch() for _ in range(MOST_RESTARTS + 2)] == [True] * MOST_RESTARTS + [False] * 2


def test_a_process_that_ran_well_before_is_always_restarted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "STEADY_SECONDS", -1.0)
    child = Child("fetch", ended)

    assert all(child.watch() for _ in range(MOST_RESTARTS + 2))
