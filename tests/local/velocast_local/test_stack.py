"""A whole stack with tiny functions: up, a second up, killed, up again, down."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.cloud import pubsub_v1
from typer.testing import CliRunner

from gcp_emulators.core import processes
from tests.local.velocast_local.tiny_stack import make_checkout
from velocast_local.simulation.city import simulate
from velocast_local.simulation.files import write_city
from velocast_local.stack import lifecycle, status
from velocast_local.stack.state import StackFailed
from velocast_local.stack_commands import local_app

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(600)]
TOPIC = "projects/velocast-local/topics/velocast-fetch"
runner = CliRunner()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("city") / "counts.parquet"
    write_city(simulate(2, days=3), file)
    return file


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    yield folder
    lifecycle.stop_stack(folder)


@pytest.fixture(scope="module")
def running(home: Path, checkout: Path, counts: Path) -> dict[str, Any]:
    return lifecycle.start_stack(home, replay=counts, root=checkout)


def wait_for(what: Callable[[], Any], seconds: float = 30) -> Any:
    """Return the first true answer of `what`."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.05)
    return answer


def outcomes(url: str) -> list[str]:
    """How every delivery to the fetch function ended."""
    found = httpx.get(f"{url}/local/deliveries", trust_env=False).json()["deliveries"]
    return [d["outcome"] for d in found if d["subscription"].endswith("/velocast-fetch")]


def test_every_part_is_well_and_far_below_4_gb(home: Path, running: dict[str, Any]) -> None:
    result = runner.invoke(local_app, ["status", "--json", "--home", str(home)])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    parts = {"supervisor", "mlflow", "bigquery", "fetch", "predict", "monitor", "notify", "serve"}
    assert {name for name, part in found["parts"].items() if part["healthy"]} == parts
    assert found["memory_mb"] < 4000
    shown = runner.invoke(local_app, ["status", "--home", str(home)]).stdout
    assert max(map(len, shown.splitlines()[:-1])) <= 80


def test_a_message_published_by_the_real_client_reaches_the_function(
    home: Path, running: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{running['ports']['pubsub']}")
    httpx.post(
        f"{running['url']}/local/clock", json={"now": "2026-03-01T02:00:00Z"}, trust_env=False
    )
    with pubsub_v1.PublisherClient() as publisher:
        publisher.publish(TOPIC, b"{}").result(timeout=10)
    wait_for(lambda: outcomes(running["url"]) == ["ok"])
    log = (home / "logs" / "fetch.log").read_text(encoding="utf-8")
    assert f"//pubsub.googleapis.com/{TOPIC} 2026-03-01T02:00:00.000000Z" in log


def test_the_city_is_replayed_at_the_stacks_clock(running: dict[str, Any]) -> None:
    base = f"{running['url']}/city/api/explore/v2.1/catalog/datasets"
    answer = httpx.get(f"{base}/comptage-velo-donnees-compteurs/records?limit=1", trust_env=False)
    assert answer.status_code == 200
    assert "total_count" in answer.json()


def test_secrets_are_private_files(home: Path, running: dict[str, Any]) -> None:
    for name in ("api-keys", "channels", "city-token", "discord-webhook"):
        file = home / "secrets" / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    webhook = (home / "secrets" / "discord-webhook").read_text(encoding="utf-8").strip()
    assert httpx.post(webhook, json={"content": "hi"}, trust_env=False).status_code == 204


def test_a_second_up_reports_that_it_is_already_up(home: Path, running: dict[str, Any]) -> None:
    result = runner.invoke(local_app, ["up", "--home", str(home)])
    assert result.exit_code == 0
    assert "the stack is already up" in result.stdout
    assert lifecycle.start_stack(home)["pid"] == running["pid"]


def test_env_prints_lines_for_eval_with_the_address_and_key_of_the_api(
    home: Path, running: dict[str, Any]
) -> None:
    result = runner.invoke(local_app, ["env", "--home", str(home)])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert all(line.startswith("export ") for line in lines)
    assert f"export STORAGE_EMULATOR_HOST={running['url']}" in lines
    key = (home / "secrets" / "api-keys").read_text(encoding="utf-8").partition(":")[2].strip()
    assert f"export KEY={key}" in lines
    (url,) = (line.removeprefix("export URL=") for line in lines if line.startswith("export URL="))
    answer = httpx.get(f"{url}/v1/champion", headers={"X-API-Key": key}, trust_env=False)
    assert answer.status_code != 401
    webhook = (home / "secrets" / "discord-webhook").read_text(encoding="utf-8").strip()
    assert webhook not in result.stdout


def test_a_function_that_dies_is_started_again(home: Path, running: dict[str, Any]) -> None:
    before = status.stack_status(home)["parts"]["notify"]["pid"]
    os.kill(before, signal.SIGKILL)

    def back() -> Any:
        part = status.stack_status(home)["parts"]["notify"]
        return part["healthy"] and part["pid"] != before

    wait_for(back)


def test_a_killed_stack_is_noticed_cleaned_and_goes_on_where_it_stood(
    home: Path, running: dict[str, Any], checkout: Path
) -> None:
    os.kill(running["pid"], signal.SIGKILL)
    wait_for(lambda: not status.is_up(home))
    result = runner.invoke(local_app, ["status", "--home", str(home)])
    assert result.exit_code == 1
    assert "no stack is running" in result.stdout
    left = {process.pid for process in processes.marked_processes(home)}
    assert left, "the children of a killed supervisor live on"

    again = lifecycle.start_stack(home, root=checkout)
    assert again["ports"] == running["ports"]
    assert (again["replay"], again["city"]) == (running["replay"], running["city"])
    assert not left & {process.pid for process in processes.marked_processes(home)}
    clock = httpx.get(f"{again['url']}/local/clock", trust_env=False).json()
    assert clock == {"now": "2026-03-01T02:00:00Z"}
    assert outcomes(again["url"]) == ["ok"]

    assert lifecycle.stop_stack(home) is True
    assert processes.marked_processes(home) == []
    assert lifecycle.stop_stack(home) is False


def test_a_function_that_cannot_start_is_named_with_the_end_of_its_log(
    tmp_path: Path, counts: Path
) -> None:
    root = make_checkout(tmp_path / "checkout")
    broken = root / "functions" / "predict" / "main.py"
    broken.write_text("raise RuntimeError('no such model')\n", encoding="utf-8")
    home = tmp_path / "home"
    with pytest.raises(StackFailed, match=r"(?s)predict did not start.*no such model"):
        lifecycle.start_stack(home, replay=counts, root=root)
    assert processes.marked_processes(home) == []
    assert runner.invoke(local_app, ["env", "--home", str(home)]).exit_code == 1
