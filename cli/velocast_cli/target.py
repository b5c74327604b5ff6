"""The system that a command works on, and the moment at which it runs.

The environment names the system (GOOGLE_CLOUD_PROJECT and the variables in terraform/config). Where it names none, a
package that is installed beside the command line may offer one: an entry point of the group `velocast.fallback_target`,
a function that takes the folder given by --home and returns a FallbackTarget. The local stack is one.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from velocast.core.datetimes import parse_instant
from velocast.core.errors import SettingsError, VelocastError
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run, Runtime

FALLBACK_TARGET = "velocast.fallback_target"
PROJECT_VARIABLE = "GOOGLE_CLOUD_PROJECT"


@dataclass(frozen=True)
class FallbackTarget:
    """A system to work on where the environment names none.

    variables: the environment that leads to it; raises VelocastError when it does not run. now: its simulated time,
    None while the environment leads elsewhere.
    """

    variables: Callable[[], dict[str, str]]
    now: Callable[[], datetime | None]


def job_run(component: str, *, home: Path | None, as_of: str | None) -> Run[JobSettings]:
    """Return a run as a job has it, on the system the environment names, else on the fallback target.

    as_of: RFC 3339; default: VELOCAST_AS_OF, else the fallback target's simulated time, else now (a command has no
    event that carries a time). The library's log lines go to standard error, so that standard output holds only the
    result. Raises SettingsError, EventError and whatever the fallback target raises.
    """
    fallback = _fallback(home)
    if PROJECT_VARIABLE not in os.environ:
        if fallback is None:
            raise SettingsError(
                f"the environment names no project; set {PROJECT_VARIABLE} and the other variables of the deployment"
            )
        os.environ.update(fallback.variables())
    runtime = Runtime(JobSettings.load(), component=component)
    for handler in logging.getLogger("velocast").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)
    moment = _moment(fallback, as_of or os.environ.get("VELOCAST_AS_OF"))
    return Run(runtime, moment, f"{component}-by-hand-{moment:%Y%m%dT%H%M%SZ}")


def _fallback(home: Path | None) -> FallbackTarget | None:
    for plugin in entry_points(group=FALLBACK_TARGET):
        found: FallbackTarget = plugin.load()(home)
        return found
    return None


def _moment(fallback: FallbackTarget | None, asked: str | None) -> datetime:
    if asked:
        return parse_instant(asked)
    simulated = fallback.now() if fallback else None
    return simulated or datetime.now(UTC)


@contextmanager
def reported_errors(command: str) -> Iterator[None]:
    """Print what went wrong on standard error and end with exit code 1."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (VelocastError, GoogleAPIError, GoogleAuthError) as exc:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"[red]{command}:[/red] {escape(str(exc))}")
        raise typer.Exit(1) from exc
