"""Runs Python scripts and modules in forks of one process that has already imported the slow libraries.

Imports take most of a small job's run time, and most of a workflow execution's. So one process, the server, imports the
libraries once, and each script runs in a fork of it. A fork ends as any Python process does: exit handlers, remaining
threads and tracebacks are treated as usual.

`python -m gcp_emulators.core.warm_python MODULE ...` is the server. It takes requests on its standard input, one JSON
object a line, and tells on its standard output which process it has forked and which has ended.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import runpy
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from gcp_emulators.core import processes
from gcp_emulators.core.garbage import uncollected_imports

_LOST = -signal.SIGKILL


class ForkedProcess:
    """A script in a fork; its methods are those of `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: Future[int] = Future()

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the script runs."""
        return self.code.result() if self.code.done() else None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once the script has ended. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        try:
            return self.code.result(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from None


class _ServerEnded(Exception):
    """The server ended before it forked."""


class _Server:
    """The server's process, and the scripts that run in its forks."""

    def __init__(self, imports: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gcp_emulators.core.warm_python", *imports],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._forked: queue.Queue[ForkedProcess | None] = queue.Queue()
        self._running: dict[int, ForkedProcess] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def fork(self, request: Mapping[str, Any]) -> ForkedProcess:
        """Run a script. Raises _ServerEnded."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        forked = self._forked.get()
        if forked is None:
            raise _ServerEnded
        return forked

    def stop(self) -> None:
        """End the server and the scripts that still run."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def _read(self) -> None:
        """Follow what the server tells until it ends; nobody would know when its remaining forks end, so kill them."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            what, *numbers = line.split()
            pid, code = map(int, numbers)
            if what == b"forked":
                self._running[pid] = forked = ForkedProcess(pid)
                self._forked.put(forked)
            else:
                self._running.pop(pid).code.set_result(code)
        for pid, running in self._running.items():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            running.code.set_result(_LOST)
        self._forked.put(None)


class WarmPython:
    """Starts Python scripts in forks of a server, which is started when it is first needed, and again if it has ended.

    imports: names of the modules that the server imports.
    """

    def __init__(self, imports: Sequence[str]) -> None:
        self._imports = tuple(imports)
        self._server: _Server | None = None
        self._lock = threading.Lock()
        self._closed = False

    def prepare(self, environment: Mapping[str, str]) -> None:
        """Start the server, so that the first script does not wait for its imports; does nothing if it runs."""
        with self._lock:
            self._prepare(environment)

    def start(
        self, command: Sequence[str], *, environment: Mapping[str, str], log: Path, cwd: Path
    ) -> processes.Process:
        """Start `[python, script, *arguments]` or `[python, "-m", module, *arguments]` as `start_process` does."""
        log.parent.mkdir(parents=True, exist_ok=True)
        request = {
            "argv": list(command[1:]),
            "environment": dict(environment),
            "log": str(log),
            "cwd": str(cwd),
        }
        with self._lock:
            for _ in range(2):  # the second time if the server had been killed
                if (server := self._prepare(environment)) is None:
                    break
                with contextlib.suppress(_ServerEnded):
                    return server.fork(request)
                server.stop()
                self._server = None
        return processes.start_process(command, environment=environment, log=log, cwd=cwd)

    def stop(self) -> None:
        """End the server; no other is started."""
        with self._lock:
            server, self._server, self._closed = self._server, None, True
        if server is not None:
            server.stop()

    def _prepare(self, environment: Mapping[str, str]) -> _Server | None:
        if self._server is None and not self._closed:
            self._server = _Server(self._imports, environment)
        return self._server


def _serve() -> dict[str, Any] | None:
    """Fork for each request; return the request in the fork, and None in the server when there are no more."""
    requests = os.fdopen(
        os.dup(0), "rb", buffering=0
    )  # a fork must not find the next request in a buffer
    reports = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    # The end of a fork may be told to a thread of a library, where it would not end the wait for a request.
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([requests.fileno(), ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            _report_ended(reports)
        if requests.fileno() in ready:
            if not (line := requests.readline()):
                return None
            if (pid := os.fork()) == 0:
                break
            os.write(reports, b"forked %d 0\n" % pid)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    requests.close()
    for descriptor in (reports, nothing, ended, wake):
        os.close(descriptor)
    request: dict[str, Any] = json.loads(line)
    return request


def _report_ended(reports: int) -> None:
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            os.write(reports, b"ended %d %d\n" % (found[0], os.waitstatus_to_exitcode(found[1])))


def _run(request: Mapping[str, Any]) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    output = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    sys.argv = request["argv"]
    if sys.argv[0] == "-m":
        sys.path[0] = request["cwd"]
        name = sys.argv[1]
        sys.argv = sys.argv[1:]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(sys.argv[0]).parent)
        runpy.run_path(sys.argv[0], run_name="__main__")


def main() -> None:
    """Import the modules named as arguments, then fork for each request."""
    with uncollected_imports():  # a collection would also copy memory that forks share
        for name in sys.argv[1:]:
            importlib.import_module(name)
    if request := _serve():
        _run(request)


if __name__ == "__main__":
    main()
