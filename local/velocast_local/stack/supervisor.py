"""The supervisor process of a stack: holds the lock, runs the control plane, starts and restarts the children."""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import IO

import httpx
import psutil

from gcp_emulators.core import processes
from gcp_emulators.core.warm_python import WarmPython
from velocast.core import schemas
from velocast_local.stack import function_servers
from velocast_local.stack.configuration import load_functions
from velocast_local.stack.environment import process_environment
from velocast_local.stack.state import StackState, read_state

POLL_SECONDS = 0.1
READY_SECONDS = 150
MOST_RESTARTS = 3
STEADY_SECONDS = 30.0  # a process that ran longer did not fail to start
WATCH_SECONDS = 1.0
HEALTH_PATHS = {"bigquery": "/healthz", "mlflow": "/health", "serve": "/healthz"}
# Libraries that take long to import, of functions, jobs, workflow executions and the MLflow server. Velocast's own code
# is not among them.
# skops comes first: it looks for each of its types in all modules that are loaded, which takes 1.5 s after the others.
IMPORTS = (
    "skops.io",
    "functions_framework._http.gunicorn",
    "google.cloud.bigquery",
    "google.cloud.bigquery_storage_v1",
    "google.cloud.pubsub_v1",
    "google.cloud.storage",
    "google.cloud.workflows.executions_v1",
    "holidays.countries",
    "httpx",
    "matplotlib.figure",
    "mlflow.tracking",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "pydantic_settings",
    "sklearn.ensemble",
    "workflows_emulator.main",
)
STARTING, READY, FAILED = "starting", "ready", "failed"
STACK, FUNCTIONS = (
    "stack",
    "functions",
)  # reported like parts: all parts, and those that functions need

log = logging.getLogger("velocast.stack")


def take_lock(home: Path) -> IO[str] | None:
    """Take the lock of a stack's folder; None when a running supervisor holds it. It is held until the process ends."""
    home.mkdir(parents=True, exist_ok=True)
    file = (home / "stack.lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def is_responding(url: str, timeout: float = 2.0) -> bool:
    """Return whether a server at `url` responds to HTTP with a status below 500."""
    try:
        # A part is on this machine and has no certificate; to read those of others took 20 ms each time.
        return httpx.get(url, timeout=timeout, trust_env=False, verify=False).status_code < 500
    except httpx.HTTPError:
        return False


def part_health_url(state: StackState, part: str) -> str:
    """Return the URL of a part's health check."""
    return state.part_url(part) + HEALTH_PATHS.get(part, "/")


class Child:
    """A server process of the stack, restarted when it ends; at most MOST_RESTARTS times if it ends soon each time."""

    def __init__(self, part: str, start: Callable[[], processes.Process]) -> None:
        self.part = part
        self._start = start
        self.process = start()
        self._started = time.monotonic()
        self._restarts = 0

    def watch(self) -> bool:
        """Restart the process if it has ended; return whether it was restarted."""
        code = self.process.poll()
        if code is None:
            return False
        if time.monotonic() - self._started > STEADY_SECONDS:
            self._restarts = 0
        if self._restarts >= MOST_RESTARTS:
            return False
        self._restarts += 1
        log.error(
            "%s ended with exit code %s; restart %d",
            self.part,
            code,
            self._restarts,
        )
        self.process = self._start()
        self._started = time.monotonic()
        return True


class Supervisor:
    """Starts all parts, writes their progress to `progress.json`, and waits for SIGTERM."""

    def __init__(self, state: StackState) -> None:
        self.state = state
        self.children: dict[str, Child] = {}
        self._progress: dict[str, str] = {}
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._python = WarmPython(IMPORTS)

    def run(self) -> int:
        """Run the stack until a signal stops it; return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_end)
        from velocast_local.stack.control_plane import ControlPlane

        self._python.prepare(process_environment(self.state))
        self._start_children()
        plane = ControlPlane(self.state, self._python)
        plane.start()
        self._tell("http", READY)
        try:
            if not self._wait_until_ready(plane.deliver_to):
                return 1
            plane.executions.resume()
            self._tell(STACK, READY)
            while not self._end.wait(WATCH_SECONDS):
                for child in self.children.values():
                    child.watch()
            return 0
        finally:
            log.info("stopping")
            self._end_children(load_functions(self.state.config / "functions.yaml"))
            plane.stop()
            self._end_children(self.children)
            self._python.stop()

    def _ask_to_end(self, _number: int, _frame: FrameType | None) -> None:
        self._end.set()

    def _start_children(self) -> None:
        state = self.state
        functions = load_functions(state.config / "functions.yaml")
        # BigQuery first, which starts while the other parts wait for the process that they are forked from.
        self._add("bigquery", _bigquery_command(state), process_environment(state))
        self._add("mlflow", _mlflow_command(state), process_environment(state), self._python.start)
        for name, function in functions.items():
            environment = function_servers.function_environment(name, function, state)
            command = function_servers.function_command(name, function, state)
            self._add(name, command, environment, self._python.start)

    def _add(
        self,
        part: str,
        command: list[str],
        environment: dict[str, str],
        starter: processes.Starter = processes.start_process,
    ) -> None:
        self._tell(part, STARTING)
        log_file = self.state.logs / f"{part}.log"

        def start() -> processes.Process:
            return starter(command, environment=environment, log=log_file, cwd=self.state.root)

        self.children[part] = Child(part, start)

    def _wait_until_ready(self, deliver_to: Callable[[str], None]) -> bool:
        """Wait for all parts; functions get messages as soon as they are ready: only jobs need MLflow, the slowest."""
        with ThreadPoolExecutor(max_workers=len(self.children)) as pool:
            waited = {part: pool.submit(self._wait_for, part) for part in self.children}
            mlflow = waited.pop("mlflow")
            well = [each.result() for each in waited.values()]
            if all(well):
                for part in waited.keys() - {"bigquery"}:
                    deliver_to(part)
                self._tell(FUNCTIONS, READY)
            well.append(mlflow.result())
        return all(well) and not self._end.is_set()

    def _wait_for(self, part: str) -> bool:
        url, child = part_health_url(self.state, part), self.children[part]
        for _ in range(int(READY_SECONDS / POLL_SECONDS)):
            if self._end.wait(POLL_SECONDS):
                return False
            if child.process.poll() is not None:
                break
            if is_responding(url):
                well = part != "bigquery" or self._create_tables()
                self._tell(part, READY if well else FAILED)
                return well
        self._tell(part, FAILED)
        return False

    def _create_tables(self) -> bool:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery

        from gcp_emulators.bigquery.emulator import create_tables

        url = self.state.part_url("bigquery")
        # google-auth has no annotations
        credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
        client = bigquery.Client(
            self.state.project, credentials=credentials, client_options={"api_endpoint": url}
        )
        create_tables(client, schemas.documents(), self.state.location)
        return True

    def _end_children(self, names: Collection[str]) -> None:
        chosen = [child for part, child in self.children.items() if part in names]
        alive = [
            psutil.Process(child.process.pid) for child in chosen if child.process.poll() is None
        ]
        processes.end_processes(alive)

    def _tell(self, part: str, how: str) -> None:
        with self._lock:
            self._progress[part] = how
            draft = self.state.home / "progress.draft"
            draft.write_text(json.dumps(self._progress), encoding="utf-8")
            draft.replace(self.state.home / "progress.json")
        log.info("%s: %s", part, how)


def _mlflow_command(state: StackState) -> list[str]:
    command = [sys.executable, "-m", "velocast_local.stack.mlflow_server"]
    return [*command, "--folder", str(state.home / "mlflow"), "--port", str(state.ports["mlflow"])]


def _bigquery_command(state: StackState) -> list[str]:
    command = [sys.executable, "-m", "gcp_emulators.bigquery.emulator"]
    command += ["--data-dir", str(state.home / "bigquery"), "--project", state.project]
    command += ["--rest-port", str(state.ports["bigquery"])]
    return [*command, "--grpc-port", str(state.ports["bigquery_storage"])]


def main() -> None:
    """Run the supervisor of the stack whose folder is given."""
    parser = argparse.ArgumentParser(prog="velocast_local.stack.supervisor")
    parser.add_argument("--home", type=Path, required=True)
    home = parser.parse_args().home
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    lock = take_lock(home)
    if lock is None:
        sys.exit(f"a stack is already running in {home}")
    state = read_state(home)
    if state is None:
        sys.exit(f"{home / 'stack.json'} is missing; start the stack with `velocast local up`")
    state = replace(state, pid=os.getpid())
    state.write()
    sys.exit(Supervisor(state).run())


if __name__ == "__main__":
    main()
