"""Which system a command works on: the one the environment points at, else the local stack; and at which moment."""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from velocast.ground.settings import JobSettings
from velocast.ground.time import parse_instant
from velocast.usecases.runtime import Run, Runtime
from velocast_local import stack
from velocast_local.clock import Clock
from velocast_local.stack_state import StackState, read_state


def job_run(component: str, *, home: Path | None, as_of: str | None) -> Run[JobSettings]:
    """Return a run as a job has it, on the system the environment points at.

    An environment without GOOGLE_CLOUD_PROJECT means the local stack. as_of: RFC 3339; else VELOCAST_AS_OF, else where
    the stack's clock stands, else now: a command has no event that carries a time. The library's log lines go to
    standard error, which leaves standard output to the result. Raises StackFailed, SettingsError, EventError.
    """
    folder = stack.home_folder(home)
    if "GOOGLE_CLOUD_PROJECT" not in os.environ:
        if not stack.is_up(folder):
            raise stack.StackFailed(
                f"the environment names no project (GOOGLE_CLOUD_PROJECT) and no stack is running in {folder}; start "
                "one by `velocast local up`, or set the variables of the project"
            )
        os.environ.update(stack.environment(folder))
    runtime = Runtime(JobSettings.load(), component=component)
    for handler in logging.getLogger("velocast").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)
    moment = _moment(folder, as_of or os.environ.get("VELOCAST_AS_OF"))
    return Run(runtime, moment, f"{component}-by-hand-{moment:%Y%m%dT%H%M%SZ}")


def _moment(folder: Path, asked: str | None) -> datetime:
    if asked:
        return parse_instant(asked)
    state = read_state(folder)
    if state is not None and _points_at(state):
        return Clock(state.clock_file).now()
    return datetime.now(UTC)


def _points_at(state: StackState) -> bool:
    return os.environ.get("STORAGE_EMULATOR_HOST") == state.url
