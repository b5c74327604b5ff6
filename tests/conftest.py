"""Emulators for the tests, one of each per session, started when the first test needs it.

Use `storage_buckets`, `warehouse_tables`, `topics` (emptied for every test, environment set) or the
session-wide `object_store`, `pubsub`, `bigquery_emulator`, `mlflow_server` together with
`emulator_environment`.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadFileScheduling

from tests import emulators

if TYPE_CHECKING:
    from google.cloud import bigquery

    from gcp_emulators.core.warm_python import WarmPython
    from tests.shared.usecases.training.training_lab import Lab, Stages
    from velocast.adapters.bigquery.client import Warehouse

# The workers share the cores. OpenMP's threads spin while they wait for a core that another process has, so one thread
# is the quicker, here and in every process that a test starts. It is set before a library that uses OpenMP is loaded.
os.environ["OMP_NUM_THREADS"] = "1"

# The test files import nearly all libraries of the project. As long as they do, nothing is garbage.
gc.disable()


def pytest_collection_finish() -> None:
    """Collect garbage from here on, but never visit again what has been imported."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def no_garbage() -> Iterator[None]:
    """Collect garbage when a module ends, so that a socket it left open fails this module and not a later one."""
    yield
    gc.collect()
    gc.freeze()  # the next collection does not visit again what is still in use: 7 ms instead of 400


@pytest.fixture(scope="session")
def emulator_ports() -> emulators.Ports:
    """Free ports for all emulators of this session."""
    return emulators.Ports.free()


@pytest.fixture(scope="session")
def stack_variables(
    emulator_ports: emulators.Ports, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment variables of the emulators, not set: for child processes and wider scopes."""
    return emulators.environment(emulator_ports, tmp_path_factory.mktemp("secrets"))


@pytest.fixture
def emulator_environment(
    stack_variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The environment of a function or job on a laptop, set for one test; starts no emulator."""
    for name, value in stack_variables.items():
        monkeypatch.setenv(name, value)
    return stack_variables


@pytest.fixture(scope="session")
def object_store(
    emulator_ports: emulators.Ports, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[emulators.RunningObjectStore]:
    """A running Cloud Storage server (`.store`, `.url`)."""
    folder = tmp_path_factory.mktemp("objects")
    with emulators.running_object_store(folder, emulator_ports.objects) as running:
        yield running


@pytest.fixture
def storage_buckets(
    object_store: emulators.RunningObjectStore, emulator_environment: dict[str, str]
) -> dict[str, str]:
    """The three buckets, empty: `models` (versioned), `reports`, `datasets` -> their full names."""
    for short, name in emulators.BUCKETS.items():
        object_store.store.ensure_bucket(name, versioning=short == "models")
        object_store.store.empty_bucket(name)
    return emulators.BUCKETS


@pytest.fixture(scope="session")
def pubsub(
    emulator_ports: emulators.Ports, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[emulators.RunningPubSub]:
    """A running Pub/Sub server (`.broker`, `.host`, `.now`)."""
    folder = tmp_path_factory.mktemp("pubsub")
    with emulators.running_pubsub(folder, emulator_ports.pubsub) as running:
        yield running


@pytest.fixture
def topics(
    pubsub: emulators.RunningPubSub, emulator_environment: dict[str, str]
) -> emulators.RunningPubSub:
    """The system's topics without old messages; `.published(topic)` returns what a test published."""
    pubsub.reset()
    return pubsub


@pytest.fixture(scope="session")
def warehouse(
    emulator_ports: emulators.Ports, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[emulators.Warehouse]:
    """A running BigQuery emulator with the library's tables (`.emulator`, `.client`, `.tables`)."""
    with emulators.running_warehouse(
        tmp_path_factory.mktemp("bigquery"), emulator_ports
    ) as running:
        yield running


@pytest.fixture(scope="session")
def bigquery_emulator(warehouse: emulators.Warehouse) -> str:
    """The address of a running BigQuery emulator with the library's tables."""
    return warehouse.emulator.url


@pytest.fixture
def warehouse_tables(
    warehouse: emulators.Warehouse, emulator_environment: dict[str, str]
) -> bigquery.Client:
    """Empty all tables and return a client to fill and read them."""
    warehouse.empty()
    return warehouse.client


@pytest.fixture
def store(warehouse_tables: bigquery.Client) -> Warehouse:
    """The product's own client of the emptied tables."""
    from velocast.adapters.bigquery.client import Warehouse

    return Warehouse(emulators.PROJECT, emulators.LOCATION)


@pytest.fixture(scope="session")
def mlflow_server(
    emulator_ports: emulators.Ports, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a running MLflow server on SQLite (the start takes 15 to 25 s)."""
    with emulators.running_mlflow(tmp_path_factory.mktemp("mlflow"), emulator_ports.mlflow) as url:
        yield url


# What the scripts of the jobs import.
JOBS = (
    "velocast.usecases.forecasting.in_tasks.steps",
    "velocast.usecases.training.evaluate",
    "velocast.usecases.training.promote",
    "velocast.usecases.training.train",
)


@pytest.fixture(scope="session")
def warm_python() -> Iterator[WarmPython]:
    """Starts jobs as the local stack does: in forks of a process that has imported their libraries.

    It has imported Velocast's own modules, too, which nobody edits during a session: 0.3 s of CPU less for each job.
    """
    from gcp_emulators.core.warm_python import WarmPython
    from velocast_local.stack.supervisor import IMPORTS

    python = WarmPython([*IMPORTS, *JOBS])
    yield python
    python.stop()


@pytest.fixture(scope="session")
def stages() -> Stages:
    """What the training labs have reached, so that each training is made once."""
    return {}


@pytest.fixture
def lab(trained: Lab, emulator_environment: dict[str, str]) -> Lab:
    """The training lab in the state in which the module's own `trained` fixture left it."""
    trained.restore()
    return trained


# `trained` is what each module with a training lab calls its own; the lab asks for the servers itself.
MLFLOW = {"mlflow_server", "trained"}
SERVERS = MLFLOW | {"object_store", "pubsub", "warehouse"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that need an emulator, and let what takes longest begin, so that all workers end together.

    Files that need MLflow come first, then those that start a whole stack, then all others that need an emulator.
    """
    slow = set()
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.emulator)
        if item.get_closest_marker("emulator"):
            slow.add(item.path)

    def order(item: pytest.Item) -> tuple[bool, bool, bool]:
        file = str(item.path)
        return not needs_mlflow(file), not starts_a_stack(file), item.path not in slow

    items.sort(key=order)


def pytest_collection(session: pytest.Session) -> None:
    """Import skops ahead of the test files: it looks for each of its types in all modules that are loaded.

    In a worker, that is 2 s of CPU after the collection, and a fraction before.
    """
    if hasattr(session.config, "workerinput"):
        import skops.io  # noqa: F401


@cache
def needs_mlflow(file: str) -> bool:
    """Tell whether a test file asks for MLflow, itself or through a training lab."""
    text = Path(file).read_text(encoding="utf-8")
    return "mlflow_server" in text or "training_lab" in text


@cache
def starts_a_stack(file: str) -> bool:
    """Tell whether a test file starts a whole local stack."""
    text = Path(file).read_text(encoding="utf-8")
    return any(word in text for word in ("lifecycle", "broken_stack", "tiny_stack", '"--home"'))


class MlflowOnOneWorker(LoadFileScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Keeps the tests of a file together, since they share fixtures, and all files that need MLflow on one worker.

    MLflow then starts once (20 s), and the trainings that these files share are made once.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "mlflow" if needs_mlflow(str(self.config.rootpath / file)) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    """Schedule `--dist loadfile` with MLflow's files together; leave any other way to pytest-xdist."""
    return MlflowOnOneWorker(config, log) if config.getvalue("dist") == "loadfile" else None
