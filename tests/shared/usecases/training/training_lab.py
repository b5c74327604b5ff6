"""A small city with trained challengers, made once for a session and laid out afresh for each module and test."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from google.cloud import bigquery

from gcp_emulators.storage.preconditions import Preconditions
from tests import emulators
from tests.audit_rows import audit_rows
from tests.shared.usecases import small_city
from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.gcs import Objects
from velocast.adapters.mlflow_registry import DESCRIPTION, Registry, model_name
from velocast.adapters.pubsub import Publisher
from velocast.core.audit_row import AuditRow
from velocast.core.kinds import Task
from velocast.core.notices import NOTICE
from velocast.core.settings import JobSettings
from velocast.model.learning import forecaster
from velocast.usecases.context import Run, perform
from velocast.usecases.training.evaluate import EvaluateRequest, evaluate
from velocast.usecases.training.promote import PromoteRequest, promote
from velocast.usecases.training.stored.records import Decision, Training
from velocast.usecases.training.stored.run_store import RecordT, RunStore
from velocast.usecases.training.train import TrainRequest, train

UNTIL = date(2025, 3, 17)
FIRST = "2025-03-10T00:30:00Z"  # a Monday, 46 days of counts
LATER = "2025-03-17T00:30:00Z"  # a week more


Buckets = dict[str, dict[str, tuple[bytes, str]]]

# Each stage adds a step to the one before. A training takes some 5 s of CPU, and eight modules begin with the first.
STAGES: dict[str, Callable[[Lab], object]] = {
    "trained": lambda lab: lab.train("first", FIRST, reason="FIRST"),
    "judged": lambda lab: lab.evaluate(lab.training("first").version, "first", FIRST),  # DEPLOY
    "two": lambda lab: lab.train("later", LATER),
    "serving": lambda lab: lab.promote(lab.training("first").version, "first", FIRST),
}
TASKS: tuple[Task, ...] = ("forecast", "affluence")
ALIASES = ("champion", "challenger")


class Killed(Exception):
    """The process died after a write."""


@dataclass
class Registered:
    """What MLflow knew of the versions of a stage, and the aliases at that time."""

    aliases: dict[tuple[Task, str], int | None]
    tags: dict[int, dict[str, str]]  # by version
    described: dict[str, tuple[str, str]]  # by run: its name and its description


Stages = dict[str, tuple[Buckets, Registered]]


@dataclass
class Lab:
    """Emulators with a small city in them; `keep` remembers what the buckets hold, `restore` brings it back.

    stages: those that this session has reached, for all labs.
    """

    store: emulators.RunningObjectStore
    topics: emulators.RunningPubSub
    client: bigquery.Client
    stages: Stages
    kept: Buckets = field(default_factory=dict)

    def begin(self, stage: str) -> None:
        """Lay out buckets and registry as they are at the end of one of STAGES, which is reached once in a session."""
        if stage not in self.stages:
            before = list(STAGES)[: list(STAGES).index(stage)]
            if before:
                self.begin(before[-1])
            STAGES[stage](self)
            self.stages[stage] = self.buckets(), self._registered()
        buckets, registered = self.stages[stage]
        self.restore(buckets)
        self._register(registered)

    def _registered(self) -> Registered:
        from mlflow import MlflowClient

        registry = self.registry()
        client = MlflowClient(registry.tracking_uri)
        found = Registered({}, {}, {})
        for task in TASKS:
            for alias in ALIASES:
                found.aliases[task, alias] = registry.get_alias(task, alias)
        for name in ("first", "later"):
            training = RunStore(self.run("lab", name, FIRST)).find("train.json", Training)
            if training is not None:
                tags = registry.version_info("forecast", training.version).tags
                found.tags[training.version] = tags
                run = client.get_run(training.run_id)
                name_and_text = str(run.info.run_name), run.data.tags[DESCRIPTION]
                found.described[training.run_id] = name_and_text
        return found

    def _register(self, kept: Registered) -> None:
        """Undo what other modules did to the versions; the versions that they added stay."""
        from mlflow import MlflowClient

        registry = self.registry()
        client = MlflowClient(registry.tracking_uri)
        for (task, alias), version in kept.aliases.items():
            if version is not None:
                registry.set_alias(task, alias, version)
            elif registry.get_alias(task, alias) is not None:
                client.delete_registered_model_alias(model_name(task), alias)
        for version, tags in kept.tags.items():
            now = registry.version_info("forecast", version).tags
            for key in now.keys() - tags.keys():
                client.delete_model_version_tag(model_name("forecast"), str(version), key)
            changed = {key: tags[key] for key in tags if now.get(key) != tags[key]}
            registry.set_tags("forecast", version, changed)
        for run_id, (name, text) in kept.described.items():
            registry.describe_run(run_id, name=name, text=text)

    def newest_version(self, task: Task = "forecast") -> int:
        """The newest version of a task in MLflow, whichever module made it."""
        from mlflow import MlflowClient

        client = MlflowClient(self.registry().tracking_uri)
        found = client.search_model_versions(f"name = '{model_name(task)}'")
        return max(int(version.version) for version in found)

    def objects(self, bucket: str = "models") -> Objects:
        return emulators.objects(bucket)

    def warehouse(self) -> Warehouse:
        return small_city.warehouse()

    def registry(self) -> Registry:
        return Registry(JobSettings.load().mlflow_tracking_uri)

    def keep(self) -> None:
        self.kept = self.buckets()

    def buckets(self) -> Buckets:
        """What the buckets hold, for `restore`."""
        return {short: self.contents(short) for short in emulators.BUCKETS}

    def contents(self, bucket: str = "models") -> dict[str, tuple[bytes, str]]:
        """The objects of a bucket, read without HTTP, because each test of a lab asks for all of them."""
        store, name = self.store.store, emulators.BUCKETS[bucket]
        read = (store.read(name, each.name, Preconditions()) for each in store.objects(name))
        return {each.name: (data, _type(each.name)) for each, data in read}

    def settled(self) -> dict[str, Any]:
        """What the models bucket holds, with rounded scores: the emulator adds up in any order.

        Without generations, which no two runs share.
        """

        def kept(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            return {key: value for key, value in pairs if key != "generation"}

        def rounded(text: str) -> float:
            return round(float(text), 6)

        return {
            name: json.loads(data, parse_float=rounded, object_pairs_hook=kept)
            if kind == "application/json"
            else data
            for name, (data, kind) in self.contents().items()
        }

    def restore(self, buckets: Buckets | None = None) -> None:
        """Put the buckets back, forget messages, audit rows and forecasts; the registry and the counts stay.

        buckets: what `buckets` returned; by default, when `keep` was called.
        """
        kept = self.kept if buckets is None else buckets
        for short, name in emulators.BUCKETS.items():
            self.store.store.ensure_bucket(name, versioning=short == "models")
            self.store.store.empty_bucket(name)
            for path, (data, kind) in kept.get(short, {}).items():
                self.store.store.put(name, path, data, {"contentType": kind}, Preconditions())
        written = ("monitoring_audit.logs", "bike_traffic_predictions.forecasts")
        emptied = [f"TRUNCATE TABLE `{emulators.PROJECT}.{table}`" for table in written]
        self.client.query_and_wait(";".join(emptied))
        self.topics.reset()

    def run(self, component: str, execution_id: str, as_of: str) -> Run[JobSettings]:
        return small_city.job_run(as_of, component=component, execution_id=execution_id)

    def train(self, execution_id: str, as_of: str = FIRST, **asked: Any) -> list[AuditRow]:
        run = self.run("train", execution_id, as_of)
        return perform(run, lambda: train(TrainRequest(**asked), run))

    def evaluate(
        self, version: int, execution_id: str, as_of: str = FIRST, *, task: Task = "forecast"
    ) -> list[AuditRow]:
        run = self.run("evaluate", execution_id, as_of)
        request = EvaluateRequest(version=version, task=task)
        return perform(run, lambda: evaluate(request, run))

    def promote(
        self, version: int, execution_id: str, as_of: str = FIRST, *, task: Task = "forecast"
    ) -> list[AuditRow]:
        run = self.run("promote", execution_id, as_of)
        request = PromoteRequest(version=version, task=task)
        return perform(run, lambda: promote(request, run))

    def training(self, execution_id: str) -> Training:
        return self.found(execution_id, "train.json", Training)

    def decision(self, execution_id: str) -> Decision:
        return self.found(execution_id, "decision.json", Decision)

    def found(self, execution_id: str, name: str, kind: type[RecordT]) -> RecordT:
        """What the run of an execution left behind under a name."""
        record = RunStore(self.run("lab", execution_id, FIRST)).find(name, kind)
        assert record is not None
        return record

    def notices(self) -> list[Any]:
        """What was told since the last call, each event once, as `notify` takes them."""
        told = [NOTICE.validate_json(m.data) for m in self.topics.published("velocast-alerts")]
        return list({notice.event_id: notice for notice in told}.values())

    def audit(self) -> list[dict[str, Any]]:
        return audit_rows(self.client)


def _type(name: str) -> str:
    return "application/json" if name.endswith(".json") else "application/octet-stream"


@contextmanager
def laid_out(request: pytest.FixtureRequest, stage: str) -> Iterator[Lab]:
    """Give a lab for a module: environment set, tables filled with counts up to UNTIL, all as at the end of a stage."""
    fit = forecaster.fit_forecaster

    def fit_small(*args: Any, seed: int, test_mode: bool = False) -> forecaster.TrainedModel:
        return fit(*args, seed=seed, test_mode=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecaster, "fit_forecaster", fit_small)
        for name, value in request.getfixturevalue("stack_variables").items():
            patch.setenv(name, value)
        for name in ("MIN_REFERENCE_GAIN", "MIN_REFERENCE_GAIN_LOW"):
            patch.setenv(name, "-100")  # a tiny model of a tiny city need not beat similar days
        request.getfixturevalue("mlflow_server")
        warehouse = request.getfixturevalue("warehouse")
        lab = Lab(
            request.getfixturevalue("object_store"),
            request.getfixturevalue("pubsub"),
            warehouse.client,
            request.getfixturevalue("stages"),
        )
        warehouse.empty()
        small_city.store(small_city.make(4, days=53, until=UNTIL))
        lab.restore()
        lab.begin(stage)
        yield lab


WRITES: tuple[tuple[type[Any], tuple[str, ...]], ...] = (
    (Objects, ("write",)),
    (Registry, ("log_training", "set_alias", "set_tags", "log_metrics", "describe_run")),
    (Warehouse, ("copy_table", "load_table", "merge")),
    (Publisher, ("publish",)),
)


def kill_after_every_write(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> list[str]:
    """Run `work` until it ends, killed once right after each different thing that it writes.

    Returns what it was killed after, in order.
    """
    killed: list[str] = []

    def dying(kind: type[Any], name: str) -> Callable[..., Any]:
        method = getattr(kind, name)

        def write(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            told = re.sub(r"staging_\w+", "staging", " ".join(map(str, args[1:3])))
            what = f"{kind.__name__}.{name} {told[:80]}"
            if what not in killed:
                killed.append(what)
                raise Killed
            return result

        return write

    for kind, names in WRITES:
        for name in names:
            monkeypatch.setattr(kind, name, dying(kind, name))
    for _ in range(100):
        with suppress(Killed):
            work()
            return killed
    raise AssertionError(f"no end after {killed}")
