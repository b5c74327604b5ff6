"""Runs terraform and gcloud, which do all the work."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

TERRAFORM_FOLDER = Path(__file__).resolve().parents[1]
# Google says that a grant takes two minutes to take effect, sometimes seven or more.
TRIES = 4
WAIT_SECONDS = 150.0


class Refused(Exception):
    """The deployment cannot go on. The message says why, and what to do."""


class ProgramFailed(Exception):
    """A program ended with an error; the message names the command and repeats what it said on standard error."""


def say(text: str) -> None:
    """Print a line about what the deployment does."""
    sys.stderr.write(f"deploy: {text}\n")


def require(*programs: str) -> None:
    """Raise Refused if a program is missing."""
    for program in programs:
        if shutil.which(program) is None:
            raise Refused(f"{program} is not installed or not on the PATH")


def run(*command: str, given: str | None = None) -> None:
    """Run a command in terraform/ and show its output. given: its standard input. Raises ProgramFailed."""
    done = subprocess.run(
        command,
        cwd=TERRAFORM_FOLDER,
        check=False,
        text=True,
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
    )
    if done.returncode != 0:
        raise ProgramFailed(f"`{' '.join(command[:4])} ...` ended with code {done.returncode}")


def read(*command: str) -> str:
    """Run a command in terraform/ and return its output. Raises ProgramFailed with what it said."""
    done = subprocess.run(
        command,
        cwd=TERRAFORM_FOLDER,
        check=False,
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise ProgramFailed(f"`{' '.join(command[:4])} ...` failed: {done.stderr.strip()}")
    return done.stdout


def succeeds(*command: str) -> bool:
    """Return whether a command succeeds; its output is not shown."""
    try:
        read(*command)
    except ProgramFailed:
        return False
    return True


def try_again(what: str, work: Callable[[], None], *, tries: int | None = None) -> None:
    """Do `work`, and again after a wait when it fails, `tries` times at most. Raises Refused at the end."""
    most = TRIES if tries is None else tries
    for attempt in range(1, most + 1):
        try:
            work()
        except ProgramFailed as failure:
            if attempt == most:
                raise Refused(
                    f"{what} failed {attempt} time{'s' * (attempt > 1)}: {failure}. "
                    "The same command continues from here."
                ) from failure
            say(
                f"{what} failed (attempt {attempt} of {most}). New accounts and grants can take seven "
                f"minutes to take effect: trying again in {WAIT_SECONDS:g} s (Ctrl-C stops)."
            )
            time.sleep(WAIT_SECONDS)
        else:
            return
