"""The function serve as a process of its own, started by the Functions Framework's command, and raw answers of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from gcp_emulators.core.http_server import LOOPBACK, free_port
from tests import emulators
from tests.functions.deployed import FOLDER
from tests.shared.usecases.serving.serving_app import HEADERS, publish
from tests.shared.usecases.serving.snapshots import snapshot

PROBLEM = "application/problem+json"
MIB = 2**20


@dataclass(frozen=True)
class Answer:
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    def assert_problem(self, status: int) -> None:
        assert (self.status, self.headers["content-type"]) == (status, PROBLEM), self.body
        problem = json.loads(self.body)
        assert problem["status"] == status
        assert problem["detail"].endswith((".", '"}.')), problem


@dataclass(frozen=True)
class Server:
    """A running serve."""

    port: int
    pid: int

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=30)
        with contextlib.closing(connection):
            own = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, body, HEADERS | own | headers)
            return _read(connection.getresponse())

    def connect(self, sent: bytes) -> socket.socket:
        client = socket.create_connection((LOOPBACK, self.port), timeout=30)
        client.sendall(sent)
        return client

    def send_raw(self, sent: bytes) -> Answer:
        with self.connect(sent) as client:
            return receive(client)

    def worker(self) -> psutil.Process:
        (worker,) = psutil.Process(self.pid).children()
        return worker

    def memory_mb(self) -> float:
        family = [psutil.Process(self.pid), self.worker()]
        return sum(p.memory_full_info().uss for p in family) / MIB


def receive(client: socket.socket) -> Answer:
    """Read one response from a connection."""
    response = http.client.HTTPResponse(client)
    response.begin()
    return _read(response)


def _read(response: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


@contextmanager
def running_serve(
    store: emulators.RunningObjectStore, variables: dict[str, str], folder: Path
) -> Iterator[Server]:
    """Run serve with the snapshot of the made-up city, without a limit that a test would reach."""
    log = folder / "log"
    store.store.ensure_bucket(emulators.BUCKETS["models"], versioning=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        publish(snapshot())
    port = free_port()
    options = ["--target=serve", f"--source={FOLDER / 'serve' / 'main.py'}", f"--port={port}"]
    command = [sys.executable, "-m", "functions_framework", f"--host={LOOPBACK}", *options]
    limit = {"VELOCAST_REQUESTS_PER_MINUTE": "1000000"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | variables | limit, stdout=output, stderr=output
        )
    try:
        running = Server(port, process.pid)
        _wait_until_ready(running, process, log)
        yield running
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError):
            if server.ask("GET", "/readyz").status == 200:
                return
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    pytest.fail(log.read_text())
