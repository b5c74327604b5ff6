"""Start, stop and inspect the local stack; called by `velocast local` and the demo."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from gcp_emulators.core import processes
from gcp_emulators.core.clock import Clock
from gcp_emulators.core.http_server import LOOPBACK, free_port
from velocast.core.city import City, load_city
from velocast.core.errors import VelocastError
from velocast_cli.cities import city_of, read_files_of
from velocast_local.city.files import CityFiles, choose_files, make_synthetic, synthetic_files
from velocast_local.city.replayed_city import SYNTHETIC_CITY, replayed_city, write_description
from velocast_local.city.replayed_counts import has_quality, write_counts
from velocast_local.stack import environment
from velocast_local.stack.configuration import load_functions
from velocast_local.stack.state import (
    BASE_PARTS,
    PUBLISHED_COUNTS,
    REPOSITORY,
    StackState,
    read_state,
)
from velocast_local.stack.supervisor import (
    FAILED,
    FUNCTIONS,
    READY,
    STACK,
    is_responding,
    part_health_url,
    take_lock,
)

SCHEDULES = REPOSITORY / "terraform" / "config" / "schedules.yaml"
HISTORY_DAYS = 90
DAYS_AHEAD = 60
UP_SECONDS = 180
DOWN_SECONDS = 30
LOG_LINES_SHOWN = 15

Say = Callable[[str], None]
# Supervisors that this process started. They usually outlive it; one that ends earlier must be reaped.
_launched: list[subprocess.Popen[bytes]] = []


class StackFailed(VelocastError):
    """The stack could not be started or is not running; the message names the part and the end of its log."""

    code = "stack_failed"


def home_folder(home: Path | None = None) -> Path:
    """Return the folder of the stack: the given one, else VELOCAST_HOME, else `.velocast` in the checkout."""
    chosen = home or Path(os.environ.get("VELOCAST_HOME") or REPOSITORY / ".velocast")
    return chosen.expanduser().resolve()


def reset_home(home: Path) -> None:
    """Stop a stack and empty its folder. Raises ValueError when the folder is not empty and not that of a stack."""
    if home.exists() and any(home.iterdir()) and not (home / "stack.lock").exists():
        raise ValueError(
            f"{home} is not empty and not the folder of a stack; choose another with --home"
        )
    stop_stack(home)
    shutil.rmtree(home, ignore_errors=True)
    _make_folder(home)
    (home / "stack.lock").touch()


def _make_folder(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StackFailed(
            f"{home} cannot be made ({exc.strerror}); choose another folder with --home"
        ) from exc


def api_key(home: Path) -> str:
    """Return the first API key of the stack in `home`."""
    lines = (home / "secrets" / "api-keys").read_text(encoding="utf-8").splitlines()
    return lines[0].partition(":")[2].strip()


def is_up(home: Path) -> bool:
    """Return whether a running supervisor holds the lock of the folder."""
    if not (home / "stack.lock").exists():
        return False
    lock = take_lock(home)
    if lock is None:
        return True
    lock.close()
    return False


def start_stack(
    home: Path,
    *,
    replay: Path | None = None,
    weather: Path | None = None,
    city: str | None = None,
    root: Path = REPOSITORY,
    relays: Mapping[str, int] | None = None,
    edit_counts: Callable[[Path], object] = lambda published: None,
    wait_for: str = STACK,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Start the stack in `home`; return the contents of its stack.json when every part is ready.

    replay: file of the counts that the city publishes; weather: file of its observed weather; city: its name, path or
    gs:// address. They default to those of the last start, then to a synthetic city; new counts without a city are
    nobody's. relays: ports of relays in front of parts
    (`StackState`); none by default. edit_counts: called with the
    file that the city will publish. wait_for: FUNCTIONS returns when these work, before MLflow is there, which only
    training needs (`wait_until_up`). A running stack is left as it is. Orphaned
    processes of a crashed one are ended first. Raises StackFailed when a part does not start.
    """
    home = home.resolve()
    if not is_up(home):
        end_orphans(home)
        _make_folder(home)
        files = _files(home, replay, weather, say)
        described = _described(home, files.counts, replay, city, say)
        state = _settle(home, root.resolve(), files, described.name)
        state = replace(state, relays=dict(relays or {}))
        _publish(state, described)
        edit_counts(state.published_counts)
        _write_secrets(state)
        state.write()
        (home / "progress.json").unlink(missing_ok=True)
        _launch(state, wait_for, say)
    state = _known(home)
    return state.as_dict()


def wait_until_up(home: Path, say: Say = lambda line: None) -> None:
    """Wait for all parts of a stack that was started in `home`. Raises StackFailed when a part does not start."""
    state = _known(home.resolve())
    _wait(state, STACK, _progress(state.home), say, has_ended=lambda: not is_up(state.home))


def stop_stack(home: Path) -> bool:
    """Stop all processes of the stack in `home`; return whether it was running."""
    home = home.resolve()
    state = read_state(home)
    running = state is not None and is_up(home)
    if state is not None and running and state.pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(state.pid, signal.SIGTERM)
        deadline = time.monotonic() + DOWN_SECONDS
        while is_up(home) and time.monotonic() < deadline:
            time.sleep(0.05)
    end_orphans(home)
    _launched[:] = [child for child in _launched if child.poll() is None]
    return running


def end_orphans(home: Path) -> int:
    """End orphaned processes of a crashed stack; return their number."""
    left = processes.marked_processes(home.resolve())
    processes.end_processes(left)
    return len(left)


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


def stack_variables(home: Path) -> dict[str, str]:
    """Return the variables that connect the product and Google's clients to the stack in `home`.

    Raises StackFailed when there is none.
    """
    return environment.stack_environment(_known(home.resolve()))


def _known(home: Path) -> StackState:
    state = read_state(home)
    if state is None:
        raise StackFailed(f"no stack in {home}; start one with `velocast local up`")
    return state


def _files(home: Path, replay: Path | None, weather: Path | None, say: Say) -> CityFiles:
    try:
        return choose_files(read_state(home), replay, weather, lambda: _synthetic(home, say))
    except FileNotFoundError as exc:
        raise StackFailed(str(exc)) from exc


def _described(home: Path, counts: Path, replay: Path | None, city: str | None, say: Say) -> City:
    """Return the requested city, else that of the last start; new counts without a city are nobody's.

    Reads the counts as the city describes them and writes what the stack publishes.
    """
    last = read_state(home)
    published = home / PUBLISHED_COUNTS
    known: City | None = None
    if city is not None:
        known = city_of(city)
    elif replay is None and last is not None and last.described_city.exists():
        known = load_city(str(last.described_city))
        if published.exists() and published.stat().st_mtime > counts.stat().st_mtime:
            return known
    elif replay is None:
        known = load_city(last.city if last else SYNTHETIC_CITY)
    found, read = read_files_of(known, [counts], say)
    write_counts(read, published)
    return found


def _publish(state: StackState, described: City) -> None:
    """Write the description of the city, and of what the stack publishes of it."""
    write_description(described, state.described_city)
    marked = has_quality(state.published_counts)
    city = replayed_city(described, state.url, weather=state.weather is not None, marked=marked)
    write_description(city, state.city_file)


def _settle(home: Path, root: Path, files: CityFiles, city: str) -> StackState:
    """Return the state of the new stack, with the ports of the last one where they are free."""
    last = read_state(home)
    config = root / "terraform" / "config" / "functions.yaml"
    parts = [*BASE_PARTS, *load_functions(config)]
    ports = _ports(parts, last.ports if last else {})
    return StackState(home, root, city, files.counts, ports, weather=files.weather)


def _synthetic(home: Path, say: Say) -> CityFiles:
    files = synthetic_files(home)
    if all(file and file.exists() for file in files):
        return files
    say("generating a synthetic city")
    until = Clock(home / "clock").now().date() + timedelta(days=DAYS_AHEAD)
    return make_synthetic(home, days=HISTORY_DAYS + DAYS_AHEAD, until=until)


def _ports(parts: list[str], last: dict[str, int]) -> dict[str, int]:
    """Return a port for each part: the last one if it is free, so that noted addresses stay valid."""
    chosen: dict[str, int] = {}
    for part in parts:
        port = last.get(part, 0)
        while port in (0, *chosen.values()) or not _is_free(port):
            port = free_port()
        chosen[part] = port
    return chosen


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex((LOOPBACK, port)) != 0


def _write_secrets(state: StackState) -> None:
    """Write the files that Secret Manager mounts in the cloud; API keys are generated once and kept."""
    folder = state.home / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    keys = folder / "api-keys"
    if not keys.exists():
        _write_private(keys, f"local:{secrets.token_urlsafe(24)}\n")
    port = state.relays.get("discord", state.ports["http"])
    webhook = f"http://{LOOPBACK}:{port}/discord/api/webhooks/1/local\n"
    _write_private(folder / "discord-webhook", webhook)
    channels = folder / "channels"  # a person may add some
    if not channels.exists():
        _write_private(channels, "# one channel a line: NAME ADDRESS\n")
    _write_private(folder / "city-token", "a replayed city has no token\n")


def _write_private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


def _launch(state: StackState, wait_for: str, say: Say) -> None:
    log = state.logs / "supervisor.log"
    command = [sys.executable, "-m", "velocast_local.stack.supervisor", "--home", str(state.home)]
    variables = environment.process_environment(state)
    child = processes.start_process(command, environment=variables, log=log, cwd=state.root)
    _launched.append(child)
    _wait(state, wait_for, {}, say, has_ended=lambda: child.poll() is not None)


def _wait(
    state: StackState,
    wait_for: str,
    told: dict[str, str],
    say: Say,
    *,
    has_ended: Callable[[], bool],
) -> None:
    """Wait for a part and report which parts become ready meanwhile. told: what was already reported of them."""
    deadline = time.monotonic() + UP_SECONDS
    while told.get(wait_for) != READY:
        ended = has_ended()
        for part, how in _progress(state.home).items():
            if told.get(part) != how and how != "starting" and part not in (STACK, FUNCTIONS):
                say(f"{part}: {how}")
            told[part] = how
        if ended or FAILED in told.values() or time.monotonic() > deadline:
            _give_up(state, told)
        time.sleep(0.05)


def _progress(home: Path) -> dict[str, str]:
    file = home / "progress.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _give_up(state: StackState, told: dict[str, str]) -> None:
    stop_stack(state.home)
    broken = next((part for part, how in told.items() if how == FAILED), "supervisor")
    log = state.logs / f"{broken}.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    end = "\n".join(text.splitlines()[-LOG_LINES_SHOWN:])
    raise StackFailed(f"{broken} did not start; the end of {log}:\n{end}")


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
