"""Find the processes of a stack's parts and jobs, and kill them without warning."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import psutil

from gcp_emulators.core.processes import marked_processes
from velocast_local.stack.state import read_state


def find_part(home: Path, part: str) -> list[psutil.Process]:
    """Return the processes of a function, of `bigquery` or of `mlflow`, with their children."""
    return _writers(home, home / "logs" / f"{part}.log")


def find_job(home: Path, job: str) -> list[psutil.Process]:
    """Return the processes that run a job now."""
    return _writers(home, home / "logs" / "jobs" / f"velocast-{job}-")


def _writers(home: Path, log: Path) -> list[psutil.Process]:
    """Return the processes that write a log, whose path begins with that of `log`.

    Functions and jobs are forks of one process and share its command line (warm_python.py).
    """
    found = []
    for process in marked_processes(home):
        with contextlib.suppress(psutil.Error):
            if any(file.path.startswith(str(log)) for file in process.open_files()):
                found.append(process)
    return found


def kill_all(found: list[psutil.Process]) -> bool:
    """Kill processes and their children; return whether there was one."""
    family: set[psutil.Process] = set()
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            family |= {process, *process.children(recursive=True)}
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(list(family), timeout=10)
    return bool(family)


def kill_supervisor(home: Path) -> None:
    """Kill the supervisor alone, as the machine's memory guard would; its children live on."""
    state = read_state(home)
    if state is not None and state.pid:
        process = psutil.Process(state.pid)
        process.send_signal(signal.SIGKILL)
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(timeout=10)
