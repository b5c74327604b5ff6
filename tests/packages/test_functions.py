"""Each function as it is deployed: pip installs it, its code comes from the zip, Pub/Sub sends it an event."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from google.cloud import bigquery

from gcp_emulators.core.http_server import HttpServer
from tests import emulators
from tests.audit_rows import audit_rows
from tests.packages import environments
from tests.packages.environments import ROOT, Environment
from tests.packages.started import started
from tests.replayed_city import ReplayedCity, serving, small_frame
from tests.shared.adapters.executions_server import executions_server
from tests.shared.usecases import small_city
from tests.shared.usecases.notifications.alerts import PROMOTED
from tests.shared.usecases.serving.serving_app import HEADERS, publish
from tests.shared.usecases.serving.snapshots import snapshot
from velocast.usecases import snapshot_format
from velocast_local.discord.inbox import inbox_routes

pytestmark = [pytest.mark.packages, pytest.mark.timeout(900)]

CONFIG = yaml.safe_load((ROOT / "terraform/config/functions.yaml").read_text())
SCENARIO_NAMES = ["monitor", "predict", "fetch", "notify", "serve"]
# What a laptop adds to the variables that functions.yaml lists: where Google's services and the city are.
ADDRESSES = ("_EMULATOR_HOST", "_BASE_URL", "OTEL_METRICS_EXPORTER")


@dataclass
class Unpacked:
    """A function's zip, unpacked, and the environment of its requirements."""

    name: str
    source: Path
    environment: Environment
    stack: dict[str, str]
    log: Path

    @contextmanager
    def serving(self, **changed: str) -> Iterator[str]:
        """Start the function with the variables that it has in the cloud, and addresses; yields its own address."""
        listed = CONFIG[self.name]["environment"]
        stack = self.stack | changed
        variables = {k: v for k, v in stack.items() if k in listed or k.endswith(ADDRESSES)}
        with started(self.name, self.source, self.environment, variables, self.log) as url:
            yield url


@pytest.fixture(scope="module", params=SCENARIO_NAMES)
def unpacked(
    request: pytest.FixtureRequest,
    packages: dict[str, Path],
    old_pip: Path,
    stack_variables: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Unpacked:
    """Each function, unpacked and installed."""
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    source = folder / "source"
    with zipfile.ZipFile(packages[name]) as archive:
        archive.extractall(source)
    requirements = source / "requirements.txt"
    environment = environments.install(name, requirements, folder / "environment", old_pip)
    return Unpacked(name, source, environment, stack_variables, folder / "log")


@dataclass
class Stack:
    """The emulators, emptied."""

    tables: bigquery.Client
    pubsub: emulators.RunningPubSub
    log: Path

    def send(self, function: str, url: str, data: dict[str, Any]) -> list[dict[str, Any]]:
        """Publish a message that is pushed to a function, as Terraform's subscription does; returns the audit rows."""
        topic = CONFIG[function]["topic"]
        endpoint = f"{url}/projects/{emulators.PROJECT}/topics/{topic}"
        subscription = {
            "name": f"velocast-{function}",
            "topic": topic,
            "ackDeadlineSeconds": 600,
        }
        self.pubsub.broker.create_subscription(
            subscription | {"pushConfig": {"pushEndpoint": endpoint}}
        )
        self.pubsub.broker.publish(topic, json.dumps(data).encode())
        return self.wait()

    def wait(self) -> list[dict[str, Any]]:
        """Return the audit rows once there are any and the message is acknowledged."""
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            if self.pubsub.broker.idle() and (rows := audit_rows(self.tables)):
                return rows
            time.sleep(0.3)
        raise AssertionError(f"no audit row or no acknowledgement:\n{self.log.read_text()[-4000:]}")


@pytest.fixture
def stack(
    unpacked: Unpacked,
    storage_buckets: dict[str, str],
    warehouse_tables: bigquery.Client,
    topics: emulators.RunningPubSub,
) -> Stack:
    """The emulators, emptied, and this environment set for the tests' own clients."""
    return Stack(warehouse_tables, topics, unpacked.log)


def test_it_is_installed_started_from_its_zip_and_does_its_work(
    unpacked: Unpacked, stack: Stack, tmp_path: Path
) -> None:
    SCENARIOS[unpacked.name](unpacked, stack, tmp_path)


def fetched(unpacked: Unpacked, stack: Stack, folder: Path) -> None:
    city = ReplayedCity(folder / "city.parquet", small_frame(), stack.pubsub.now)
    with (
        serving(city),
        unpacked.serving(VELOCAST_CITY=city.described()) as url,
    ):
        (row,) = stack.send("fetch", url, {})
    assert (row["event_type"], row["status"]) == ("INGESTION", "OK")
    counts = next(iter(stack.tables.query_and_wait("SELECT COUNT(*) FROM bike_traffic_raw.counts")))
    assert row["details"]["inserted"] == counts[0] > 600


def predicted(unpacked: Unpacked, stack: Stack, folder: Path) -> None:
    small_city.store(small_city.make())
    with unpacked.serving() as url:
        (row,) = stack.send("predict", url, {})
    assert (row["event_type"], row["status"]) == ("PREDICTION", "OK")
    stored = emulators.objects().read(snapshot_format.SNAPSHOT)
    assert len(snapshot_format.loads(stored.data).counters) == 4


def monitored(unpacked: Unpacked, stack: Stack, folder: Path) -> None:
    small_city.store(small_city.make(days=25))
    with (
        executions_server() as (host, requests),
        unpacked.serving(WORKFLOWS_EXECUTIONS_EMULATOR_HOST=host) as url,
    ):
        rows = stack.send("monitor", url, {})
    assert [row["event_type"] for row in rows] == ["DRIFT", "VALIDATION"]
    assert {row["retrain_decision"] for row in rows} == {"FIRST"}
    assert len(requests) == 1
    # The drift report's library is imported only when there is a champion to compare with.
    done = unpacked.environment.run(
        "python", "-c", "from evidently.presets import DataDriftPreset", cwd=unpacked.source
    )
    assert done.returncode == 0, done.stderr


def notified(unpacked: Unpacked, stack: Stack, folder: Path) -> None:
    with HttpServer(inbox_routes(folder / "inbox")) as server:
        webhook = folder / "webhook"
        webhook.write_text(f"{server.url}/discord/api/webhooks/1/token", encoding="utf-8")
        with unpacked.serving(VELOCAST_DISCORD_WEBHOOK_FILE=str(webhook)) as url:
            (row,) = stack.send("notify", url, PROMOTED.model_dump(mode="json"))
        (message,) = httpx.get(f"{server.url}/discord/messages").json()["messages"]
    assert (row["event_type"], row["status"]) == ("ALERT", "OK")
    assert message["embeds"][0]["title"] == "🚀 Champion promoted: version 8 (gbm)"


def served(unpacked: Unpacked, stack: Stack, folder: Path) -> None:
    publish(snapshot())
    with unpacked.serving() as url:
        assert httpx.get(f"{url}/healthz").status_code == 200
        answer = httpx.get(f"{url}/v1/counters/c-1/forecast?hours=3", headers=HEADERS)
        page = httpx.get(f"{url}/")
    assert (answer.status_code, page.status_code) == (200, 200)
    assert len(answer.json()["forecast"]) == 3


SCENARIOS = {
    "fetch": fetched,
    "predict": predicted,
    "monitor": monitored,
    "notify": notified,
    "serve": served,
}
