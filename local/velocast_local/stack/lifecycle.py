"""Start and stop the local stack; called by `velocast local` and the demo."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gcp_emulators.core import processes
from velocast_local.stack import environment
from velocast_local.stack.preparation import Say, prepare_stack, write_secrets
from velocast_local.stack.state import (
    REPOSITORY,
    StackFailed,
    StackState,
    known_state,
    make_folder,
    read_state,
)
from velocast_local.stack.status import is_up
from velocast_local.stack.supervisor import FAILED, FUNCTIONS, READY, STACK

SCHEDULES = REPOSITORY / "terraform" / "config" / "schedules.yaml"
UP_SECONDS = 180
DOWN_SECONDS = 30
LOG_LINES_SHOWN = 15

# Supervisors that this process started. They usually outlive it; one that ends earlier must be reaped.
_launched: list[subprocess.Popen[bytes]] = []


def reset_home(home: Path) -> None:
    """Stop a stack and empty its folder. Raises ValueError when the folder is not empty and not that of a stack."""
    if home.exists() and any(home.iterdir()) and not (home / "stack.lock").exists():
        raise ValueError(
            f"{home} is not empty and not the folder of a stack; choose another with --home"
        )
    stop_stack(home)
    shutil.rmtree(home, ignore_errors=True)
    make_folder(home)
    (home / "stack.lock").touch()


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
        make_folder(home)
        state = prepare_stack(
            home,
            root.resolve(),
            replay=replay,
            weather=weather,
            city=city,
            relays=relays or {},
            say=say,
        )
        edit_counts(state.published_counts)
        write_secrets(state)
        state.write()
        (home / "progress.json").unlink(missing_ok=True)
        _launch(state, wait_for, say)
    state = known_state(home)
    return state.as_dict()


def wait_until_up(home: Path, say: Say = lambda line: None) -> None:
    """Wait for all parts of a stack that was started in `home`. Raises StackFailed when a part does not start."""
    state = known_state(home.resolve())
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


def stack_variables(home: Path) -> dict[str, str]:
    """Return the variables that connect the product and Google's clients to the stack in `home`.

    Raises StackFailed when there is none.
    """
    return environment.stack_environment(known_state(home.resolve()))


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
