"""Find the processes of a stack's parts and jobs, and kill them without warning."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil

from gcp_emulators.core.processes import marked_processes
from velocast_local.stack.state import read_state

_MODULES = {
    "bigquery": "gcp_emulators.bigquery.emulator",
    "mlflow": "velocast_local.stack.mlflow_server",
}


def find_part(home: Path, part: str) -> list[psutil.Process]:
    """Return the processes of a function, of `bigquery` or of `mlflow`, with their children."""
    wanted = _MODULES.get(part) or f"functions{os.sep}{part}{os.sep}main.py"
    return [
        process
        for process in marked_processes(home)
        if any(word.endswith(wanted) for word in _words(process))
    ]


def find_job(home: Path, job: str) -> list[psutil.Process]:
    """Return the processes that run a job now: those that write its log."""
    logs = str(home / "logs" / "jobs" / f"velocast-{job}-")
    found = []
    for process in marked_processes(home):
        with contextlib.suppress(psutil.Error):
            if any(file.path.startswith(logs) for file in process.open_files()):
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


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
