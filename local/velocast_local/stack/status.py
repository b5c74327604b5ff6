"""The status of a stack: its parts, whether they answer, and the memory that they use."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psutil

from gcp_emulators.core import processes
from velocast_local.stack.state import StackState, read_state
from velocast_local.stack.supervisor import is_responding, part_health_url, take_lock


def is_up(home: Path) -> bool:
    """Return whether a running supervisor holds the lock of the folder."""
    if not (home / "stack.lock").exists():
        return False
    lock = take_lock(home)
    if lock is None:
        return True
    lock.close()
    return False


def stack_status(home: Path) -> dict[str, Any]:
    """Return {up, parts: {part: {pid, port, healthy, memory_mb}}, memory_mb, ...} of the stack in `home`."""
    home = home.resolve()
    state = read_state(home)
    if state is None or not is_up(home):
        left = processes.marked_processes(home)
        return {"up": False, "home": str(home), "left_over_processes": len(left), "parts": {}}
    parts = {"supervisor": _part(state, "http", state.pid)}
    listening = {part: port for part, port in state.ports.items() if _is_child(part)}
    pids = _listeners(processes.marked_processes(home))
    for part, port in listening.items():
        parts[part] = _part(state, part, pids.get(port))
    total = sum(part["memory_mb"] for part in parts.values())
    return {"up": True, **state.as_dict(), "parts": parts, "memory_mb": round(total)}


def _is_child(part: str) -> bool:
    return part not in ("http", "proxy", "pubsub", "executions", "bigquery_storage")


def _listeners(members: list[psutil.Process]) -> dict[int, int]:
    """Return listening port to process id; when children share the port of their parent, the parent's id."""
    found: dict[int, int] = {}
    for member in sorted(members, key=lambda process: process.pid, reverse=True):
        with contextlib.suppress(psutil.Error):
            for connection in member.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    found[connection.laddr.port] = member.pid
    return found


def _part(state: StackState, part: str, pid: int | None) -> dict[str, Any]:
    healthy = pid is not None and is_responding(part_health_url(state, part))
    memory = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        if pid is not None:
            process = psutil.Process(pid)
            memory = _own_memory_mb(process) if part == "http" else processes.memory_mb(process)
    return {"pid": pid, "port": state.ports[part], "healthy": healthy, "memory_mb": round(memory)}


def _own_memory_mb(process: psutil.Process) -> float:
    """Return the memory of the supervisor alone, MB; the servers are listed separately."""
    info = process.memory_full_info()
    return float(getattr(info, "pss", info.rss)) / 1e6
