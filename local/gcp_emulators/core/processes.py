"""Child processes: started with a log file, ended with all their children, found again after a crash."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import psutil

# Names the folder that a process belongs to, so that the children of a killed parent can be found. Only set it in the
# environment of child processes.
MARKER = "GCP_EMULATORS_PROCESS_OF"
GRACE_SECONDS = 5.0


class Process(Protocol):
    """A started process: what `subprocess.Popen` and a fork (warm_python.py) have in common."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...


def start_process(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, cwd: Path
) -> subprocess.Popen[bytes]:
    """Start a command in its own session, with stdout and stderr appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end_processes(
    processes: Iterable[psutil.Process], grace_seconds: float = GRACE_SECONDS
) -> None:
    """Ask processes and all their children to end, and kill those still running after `grace_seconds`."""
    family: set[psutil.Process] = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            family |= {process, *process.children(recursive=True)}
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.terminate()
    _, alive = psutil.wait_procs(list(family), timeout=grace_seconds)
    for member in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(alive, timeout=grace_seconds)


def marked_processes(home: Path) -> list[psutil.Process]:
    """Return all running processes marked with the folder `home`, except this one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(
            psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError
        ):
            if process.pid != os.getpid() and process.environ().get(MARKER) == str(home):
                found.append(process)
    return found


def memory_mb(process: psutil.Process) -> float:
    """Return the memory of a process and its children in MB; shared pages count once where the system reports PSS."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        for member in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                info = member.memory_full_info()
                total += getattr(info, "pss", info.rss) / 1e6
    return total


class Starter(Protocol):
    """A function that starts a process, with the arguments of `start_process`."""

    def __call__(
        self, command: Sequence[str], *, environment: Mapping[str, str], log: Path, cwd: Path
    ) -> Process: ...


class ChildProcesses:
    """Child processes by key, each run to completion by a thread that waits for it."""

    def __init__(self) -> None:
        self._running: dict[str, Process] = {}
        self._stopped: set[str] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(
        self,
        key: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        cwd: Path,
        timeout: float | None = None,
        starter: Starter | None = None,
    ) -> int:
        """Run a command and return its exit code, negative for a signal.

        starter: used instead of `start_process`. Raises subprocess.TimeoutExpired if the command was ended because it
        ran longer than `timeout` seconds.
        """
        with self._lock:
            if self._closed or key in self._stopped:
                return -15
            child = (starter or start_process)(command, environment=environment, log=log, cwd=cwd)
            self._running[key] = child
        try:
            return child.wait(timeout=timeout)
        finally:
            _end_child(child)
            with self._lock:
                self._running.pop(key, None)

    def stop(self, key: str) -> bool:
        """End the process with that key and refuse to start it again; return whether it was running."""
        with self._lock:
            self._stopped.add(key)
            child = self._running.get(key)
        if child is not None:
            _end_child(child)
        return child is not None

    def was_stopped(self, key: str) -> bool:
        """Return whether `stop` was called for that key."""
        return key in self._stopped

    @property
    def closed(self) -> bool:
        """Whether `stop_all` was called; a process that ended after that was interrupted."""
        return self._closed

    def stop_all(self) -> None:
        """End all processes and start no more."""
        with self._lock:
            self._closed = True
            keys = list(self._running)
        for key in keys:
            self.stop(key)


def _end_child(child: Process) -> None:
    if child.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            end_processes([psutil.Process(child.pid)])
        child.wait()
