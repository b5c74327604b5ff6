"""The stack that the demo leaves running, and ten ways to break it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from google.cloud import pubsub_v1, storage

from velocast.adapters import champion_manifest, google_clients
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.gcs import Objects
from velocast.adapters.retrain_lease import LEASE
from velocast.core import schemas
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.usecases.snapshot_format import CONTENT_TYPE, SNAPSHOT
from velocast_local import demo
from velocast_local.stack import lifecycle
from velocast_local.stack.state import known_state

if TYPE_CHECKING:
    from mlflow import MlflowClient

VELOCAST = Path(sys.executable).parent / "velocast"
DAYS, COUNTERS = 2, 4
DEMO: list[str | Path] = [
    VELOCAST,
    "demo",
    "--days",
    str(DAYS),
    "--counters",
    str(COUNTERS),
    "--json",
]
DEMO_SECONDS = 500
PREDICT = "serviceAccount:velocast-predict@{project}.iam.gserviceaccount.com"
KEEP = "velocast-dead-letter-keep"


class BrokenStack:
    """The running stack, Google's clients of it, and what breaks it. printed: the demo's standard output."""

    def __init__(self, home: Path, printed: str) -> None:
        self.home = home
        self.printed = printed
        state = known_state(home).as_dict()
        self.project: str = state["project"]
        self.location: str = state["location"]
        self.url: str = state["url"]
        self.now: datetime = parse_instant(self.get("/local/clock")["now"], name="now")
        self.player = demo.Player(state, demo.Progress(lambda line: None))

    @cached_property
    def models(self) -> Objects:
        """The models bucket."""
        return Objects(self.project, f"{self.project}-models")

    @cached_property
    def bucket(self) -> storage.Bucket:
        """Google's client of the models bucket."""
        return google_clients.storage_client(self.project).bucket(f"{self.project}-models")

    @property
    def mlflow(self) -> MlflowClient:
        """MLflow's client."""
        from mlflow import MlflowClient  # takes seconds

        uri = os.environ["MLFLOW_TRACKING_URI"]
        google_clients.prepare_mlflow(uri)
        return MlflowClient(uri, registry_uri=uri)

    def get(self, path: str) -> Any:
        """Return what the control plane answers at a path."""
        answer = httpx.get(f"{self.url}{path}", trust_env=False, timeout=30)
        return answer.raise_for_status().json()

    def settle(self) -> None:
        """Wait until everything is delivered or dead, and nothing runs."""
        wait_for(lambda: self.get("/local/idle")["idle"], seconds=300)

    def dead(self) -> int:
        """How many messages became dead letters so far."""
        deliveries = self.get("/local/deliveries")["deliveries"]
        return sum(delivery["outcome"] == "dead" for delivery in deliveries)

    def sql(self, text: str) -> None:
        """Run a statement."""
        client = google_clients.bigquery_client(self.project, self.location)
        client.query_and_wait(text, wait_timeout=60)
        client.close()  # type: ignore[no-untyped-call]

    def champion(self) -> Champion:
        """The champion that the manifest names."""
        found, _ = champion_manifest.read_champion(self.models)
        assert found is not None
        return found

    def remove_role(self) -> None:
        """Take the role on the models bucket from predict."""
        policy = self.bucket.get_iam_policy()
        policy["roles/storage.objectUser"].discard(PREDICT.format(project=self.project))
        self.bucket.set_iam_policy(policy)

    def give_role(self) -> None:
        """Give it back."""
        policy = self.bucket.get_iam_policy()
        policy["roles/storage.objectUser"].add(PREDICT.format(project=self.project))
        self.bucket.set_iam_policy(policy)

    @property
    def _webhook(self) -> Path:
        return self.home / "secrets" / "discord-webhook"

    def empty_secret(self) -> None:
        """Leave the webhook's secret without a value."""
        self._kept = self._webhook.read_text(encoding="utf-8")
        self._webhook.write_text("", encoding="utf-8")

    def fill_secret(self) -> None:
        """Write it again."""
        self._webhook.write_text(self._kept, encoding="utf-8")

    def lose_counts(self) -> None:
        """Delete the counts of the last days, as if nothing had been fetched since."""
        since = rfc3339(self.now - timedelta(days=5))
        self.sql(f"DELETE FROM {schemas.COUNTS} WHERE counted_at >= '{since}'")

    def lose_forecasts(self) -> None:
        """Delete all forecasts."""
        self.sql(f"DELETE FROM {schemas.FORECASTS} WHERE target_at >= '2000-01-01'")

    def split_registry(self) -> None:
        """Point MLflow's alias at another version."""
        client, name = self.mlflow, "velocast-forecast"
        champion = client.get_model_version_by_alias(name, "champion")
        other = client.create_model_version(name, str(champion.source), champion.run_id)
        client.set_registered_model_alias(name, "champion", other.version)

    def flip_artifact(self) -> None:
        """Flip one bit of the champion's file."""
        name = self.champion().artifact_uri.removeprefix(self.models.uri(""))
        data = bytearray(self.models.read(name).data)
        data[len(data) // 2] ^= 1
        self.models.write(name, bytes(data), content_type="application/octet-stream")

    def truncate_snapshot(self) -> None:
        """Leave half of the snapshot."""
        data = self.models.read(SNAPSHOT).data
        self.models.write(SNAPSHOT, data[: len(data) // 2], content_type=CONTENT_TYPE)

    def hold_lease(self) -> None:
        """Leave the lease of an execution that is over."""
        from google.cloud.workflows.executions_v1 import Execution

        parent = f"projects/{self.project}/locations/{self.location}/workflows/velocast-retrain"
        execution = Execution(argument=json.dumps({"kind": "no such kind"}))
        client = google_clients.executions_client()
        made = client.create_execution(parent=parent, execution=execution)
        wait_for(lambda: client.get_execution(name=made.name).state.name == "FAILED")
        self.settle()
        until = rfc3339(self.now + timedelta(hours=6))
        lease = {"owner": made.name.rsplit("/", 1)[-1], "taken_at": rfc3339(self.now)}
        self.models.write_json(LEASE, lease | {"expires_at": until})

    def publish_nonsense(self) -> None:
        """Publish an event that predict refuses, and wait until it is a dead letter: 5 attempts, 20 with fetch."""
        before = self.dead()
        with pubsub_v1.PublisherClient() as publisher:
            topic = publisher.topic_path(self.project, "velocast-predict")
            publisher.publish(topic, b'{"horison_hours": 1}').result(timeout=30)
        self.settle()
        assert self.dead() > before

    def drop_dead_letters(self) -> None:
        """Acknowledge all dead letters."""
        with google_clients.subscriber_client() as client:
            path = client.subscription_path(self.project, KEEP)
            while found := list(client.pull(subscription=path, max_messages=100).received_messages):
                acks = [message.ack_id for message in found]
                client.acknowledge(subscription=path, ack_ids=acks)

    def drop_column(self) -> None:
        """Drop a column."""
        self.sql(f"ALTER TABLE `{self.project}.{schemas.FORECASTS}` DROP COLUMN busy_probability")


@dataclass(frozen=True)
class Breakage:
    """One way to break the stack, the finding that must name it, and how it is mended: by `--fix` where it is None."""

    break_it: Callable[[BrokenStack], None]
    check: str
    subject: str
    mend_it: Callable[[BrokenStack], None] | None = None


BREAKAGES: dict[str, Breakage] = {
    "a role missing": Breakage(
        BrokenStack.remove_role,
        "permissions",
        "velocast-predict: storage.objectUser on bucket models",
        BrokenStack.give_role,
    ),
    "a secret without a value": Breakage(
        BrokenStack.empty_secret, "secrets", "velocast-discord-webhook", BrokenStack.fill_secret
    ),
    "stale counts": Breakage(BrokenStack.lose_counts, "counts", schemas.COUNTS),
    "stale forecasts": Breakage(BrokenStack.lose_forecasts, "forecasts", schemas.FORECASTS),
    "manifest and registry apart": Breakage(
        BrokenStack.split_registry, "agreement", "forecast: MLflow"
    ),
    "a flipped artifact": Breakage(BrokenStack.flip_artifact, "artifacts", "gs://"),
    "a truncated snapshot": Breakage(BrokenStack.truncate_snapshot, "snapshot", SNAPSHOT),
    "a stuck lease": Breakage(BrokenStack.hold_lease, "lease", LEASE),
    "dead letters": Breakage(
        BrokenStack.publish_nonsense, "dead_letters", KEEP, BrokenStack.drop_dead_letters
    ),
    "a table without a column": Breakage(
        BrokenStack.drop_column, "tables", f"{schemas.FORECASTS}.busy_probability"
    ),
}


@contextmanager
def running_broken_stack(home: Path) -> Iterator[BrokenStack]:
    """Play the demo, as a person does who then looks at the stack it leaves; lead to that stack in the environment."""
    done = subprocess.run(
        [*DEMO, "--home", home],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEMO_SECONDS,
        env=clean_environment(),
    )
    try:
        assert done.returncode == 0, done.stderr
        with pytest.MonkeyPatch.context() as environment:
            for name, value in lifecycle.stack_variables(home).items():
                environment.setenv(name, value)
            environment.setenv("VELOCAST_HOME", str(home))
            environment.delenv("VELOCAST_AS_OF", raising=False)
            stack = BrokenStack(home, done.stdout)
            with stack.player:
                yield stack
    finally:
        lifecycle.stop_stack(home)


def clean_environment() -> dict[str, str]:
    """The tests' own emulators must not be what the demo talks to."""
    kept = ("PATH", "HOME", "LANG")
    # the model of eight counters may lose to similar days; what is tested is the way from training to serving
    limits = {"MIN_REFERENCE_GAIN": "-100", "MIN_REFERENCE_GAIN_LOW": "-100"}
    return {name: os.environ[name] for name in kept if name in os.environ} | limits


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    """Return once `what` is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
