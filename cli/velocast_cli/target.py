"""The system that a command works on, and the time as of which it runs.

The environment names the system: GOOGLE_CLOUD_PROJECT and the variables in terraform/config. If it names none, an
installed package can provide one by an entry point of the group `velocast.fallback_target`: a function that takes the
folder given by --home and returns a FallbackTarget. The local stack is such a package.
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

from velocast.adapters.gcs import read_address
from velocast.core.datetimes import parse_instant
from velocast.core.errors import SettingsError, VelocastError
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run, Runtime

FALLBACK_TARGET = "velocast.fallback_target"
PROJECT_VARIABLE = "GOOGLE_CLOUD_PROJECT"


@dataclass(frozen=True)
class FallbackTarget:
    """A system to work on when the environment names none.

    variables: returns the environment variables that name it; raises VelocastError when it is not running.
    now: returns its simulated time, None while the environment names another system.
    """

    variables: Callable[[], dict[str, str]]
    now: Callable[[], datetime | None]


def job_run(component: str, *, home: Path | None, as_of: str | None) -> Run[JobSettings]:
    """Return a run like a job's, on the system that the environment names, else on the fallback target.

    as_of: RFC 3339; default: VELOCAST_AS_OF, else the simulated time of the fallback target, else the current time
    (no event carries one to a command). The library logs to standard error, so that standard output holds only the
    result. Raises SettingsError, EventError and what the fallback target raises.
    """
    fallback = _fallback(home)
    if PROJECT_VARIABLE not in os.environ:
        if fallback is None:
            raise SettingsError(
                f"{PROJECT_VARIABLE} is not set; set it and the other variables of the deployment"
            )
        os.environ.update(fallback.variables())
    runtime = Runtime(JobSettings.load(read_address), component=component)
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
    """Print an error on standard error and exit with code 1."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (VelocastError, GoogleAPIError, GoogleAuthError) as exc:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"[red]{command}:[/red] {escape(str(exc))}")
        raise typer.Exit(1) from exc
