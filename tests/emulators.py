"""The emulators that the tests use: how each is started, and the environment variables that lead to it.

Each pytest-xdist worker starts its own emulators on its own ports. A fixture in conftest.py starts one when
the first test needs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcp_emulators.core.http_server import HttpServer, free_ports
from gcp_emulators.storage.api import storage_routes
from gcp_emulators.storage.store import ObjectStore
from velocast.adapters.gcs import Objects
from velocast.core import schemas

if TYPE_CHECKING:
    from google.cloud import bigquery

    from gcp_emulators.bigquery.emulator import BigQueryEmulator
    from gcp_emulators.pubsub.broker import Broker
    from gcp_emulators.pubsub.journal import PublishedMessage

PROJECT = "velocast-local"
LOCATION = "europe-west1"
BUCKETS = {name: f"{PROJECT}-{name}" for name in ("models", "reports", "datasets", "site")}
TOPICS = tuple(f"velocast-{n}" for n in ("fetch", "predict", "monitor", "alerts", "dead-letter"))


@dataclass(frozen=True)
class Ports:
    """One free port for each server, chosen before any of them starts."""

    objects: int
    pubsub: int
    bigquery: int
    bigquery_storage: int
    mlflow: int
    workflows: int

    @classmethod
    def free(cls) -> Ports:
        """Return six ports that are free now."""
        return cls(*free_ports(6))


def environment(ports: Ports, folder: Path) -> dict[str, str]:
    """Return the variables a function or job gets on a laptop, with the ports of these emulators.

    folder: where the secrets' files are written: API keys, an unreachable Discord webhook, no other channel, no token.
    """
    keys, webhook, channels, token = (
        folder / name for name in ("api-keys", "discord-webhook", "channels", "city-token")
    )
    channels.write_text("# none\n", encoding="utf-8")
    token.write_text("this city has no token\n", encoding="utf-8")
    keys.write_text("test:test-key\n", encoding="utf-8")
    webhook.write_text(f"http://127.0.0.1:{ports.objects}/discord/webhook\n", encoding="utf-8")
    return {
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "VELOCAST_LOCATION": LOCATION,
        "VELOCAST_ENVIRONMENT": "dev",
        "VELOCAST_CITY": "demoville",
        "VELOCAST_MODELS_BUCKET": BUCKETS["models"],
        "VELOCAST_REPORTS_BUCKET": BUCKETS["reports"],
        "VELOCAST_DATASETS_BUCKET": BUCKETS["datasets"],
        "VELOCAST_SITE_BUCKET": BUCKETS["site"],
        "VELOCAST_PUBLIC_SITE": "false",
        "VELOCAST_SITE_URL": "https://bikes.example/index.html",
        "VELOCAST_ALERTS_TOPIC": "velocast-alerts",
        "VELOCAST_WORKFLOW": "velocast-retrain",
        "VELOCAST_DISCORD_WEBHOOK_FILE": str(webhook),
        "VELOCAST_API_KEYS_FILE": str(keys),
        "VELOCAST_CHANNELS_FILE": str(channels),
        "VELOCAST_CITY_TOKEN_FILE": str(token),
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{ports.mlflow}",
        "BIGQUERY_EMULATOR_HOST": f"http://127.0.0.1:{ports.bigquery}",
        "BIGQUERY_STORAGE_EMULATOR_HOST": f"127.0.0.1:{ports.bigquery_storage}",
        "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{ports.objects}",
        "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{ports.pubsub}",
        "WORKFLOWS_EXECUTIONS_EMULATOR_HOST": f"127.0.0.1:{ports.workflows}",
        "OTEL_METRICS_EXPORTER": "none",
    }


@dataclass
class RunningObjectStore:
    """A running Cloud Storage server and its store."""

    store: ObjectStore
    url: str


@contextmanager
def running_object_store(folder: Path, port: int) -> Iterator[RunningObjectStore]:
    """Serve an object store under `folder` while the block runs."""
    store = ObjectStore(folder)
    try:
        with HttpServer(storage_routes(store), port) as server:
            yield RunningObjectStore(store, server.url)
    finally:
        store.close()


def objects(bucket: str = "models") -> Objects:
    """Return the product's client of a bucket (`models`, `reports`, `datasets`) in the current environment."""
    return Objects(PROJECT, BUCKETS[bucket])


@dataclass
class RunningPubSub:
    """A running Pub/Sub server, its broker, and its publish time, which tests may set."""

    host: str
    now: datetime = datetime(2025, 3, 10, 4, 30, tzinfo=UTC)
    broker: Broker = field(init=False)

    def reset(self) -> None:
        """Create the system's topics, each with a subscription that keeps what is published from now on."""
        for subscription in self.broker.subscriptions():
            self.broker.delete_subscription(subscription["name"])
        for topic in TOPICS:
            self.broker.ensure_topic(topic)
            self.broker.create_subscription({"name": f"{topic}-kept", "topic": topic})

    def published(self, topic: str) -> list[PublishedMessage]:
        """Return what was published to a topic since the last call or reset, oldest first."""
        leases = self.broker.pull(f"{topic}-kept", 1000)
        self.broker.acknowledge(f"{topic}-kept", [lease.ack_id for lease in leases])
        return [lease.message for lease in leases]

    def notices(self) -> list[dict[str, Any]]:
        """Return the JSON of the notices published since the last call or reset, oldest first."""
        return [json.loads(message.data) for message in self.published("velocast-alerts")]


@contextmanager
def running_pubsub(folder: Path, port: int) -> Iterator[RunningPubSub]:
    """Serve a broker under `folder` while the block runs."""
    from gcp_emulators.pubsub.broker import Broker
    from gcp_emulators.pubsub.grpc_server import PubSubServer

    running = RunningPubSub(f"127.0.0.1:{port}")
    running.broker = Broker(folder, lambda: running.now, project=PROJECT, backoff=(0.02, 0.1))
    try:
        with PubSubServer(running.broker, port):
            yield running
    finally:
        running.broker.close()


@dataclass
class Warehouse:
    """The BigQuery emulator with the library's tables, and a client for the tests."""

    emulator: BigQueryEmulator
    client: bigquery.Client
    tables: list[str] = field(default_factory=list)

    def empty(self) -> None:
        """Delete all rows of all tables in one script."""
        script = "".join(f"TRUNCATE TABLE `{PROJECT}.{table}`;\n" for table in self.tables)
        self.client.query_and_wait(script, wait_timeout=60)


@contextmanager
def running_warehouse(folder: Path, ports: Ports, *, in_memory: bool = True) -> Iterator[Warehouse]:
    """Run a BigQuery emulator with the library's empty tables while the block runs; its tables are kept nowhere."""
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    from gcp_emulators.bigquery.emulator import BigQueryEmulator, create_tables

    emulator = BigQueryEmulator(
        folder,
        PROJECT,
        rest_port=ports.bigquery,
        grpc_port=ports.bigquery_storage,
        in_memory=in_memory,
        threads=1,  # the workers share the cores
        default_wait=1.0,  # as long as most queries take; a client asks again
    )
    with emulator:
        client = bigquery.Client(
            PROJECT,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options=ClientOptions(api_endpoint=emulator.url),
        )
        try:
            yield Warehouse(emulator, client, create_tables(client, schemas.documents()))
        finally:
            client.close()  # type: ignore[no-untyped-call]


@contextmanager
def running_mlflow(folder: Path, port: int, timeout: float = 180) -> Iterator[str]:
    """Run an MLflow server on SQLite while the block runs and yield its address; the start takes 8 to 15 s."""
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "velocast_local.stack.mlflow_server"]
    command += ["--folder", str(folder), "--port", str(port)]
    variables = {name: os.environ[name] for name in os.environ if name != "MLFLOW_TRACKING_URI"}
    log = folder / "mlflow.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=variables, stdout=output, stderr=output, cwd=folder, start_new_session=True
        )
    try:
        _wait_for(f"{url}/health", process, log, timeout)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{url} does not answer:\n{log.read_text()[-2000:]}") from None
        time.sleep(0.2)
