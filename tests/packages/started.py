"""A function in a process of its own: the Functions Framework on an unpacked zip, in the environment pip has made."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gcp_emulators.core.http_server import free_ports
from tests.packages.environments import Environment


@contextmanager
def started(
    name: str, source: Path, environment: Environment, variables: dict[str, str], log: Path
) -> Iterator[str]:
    """Serve a function while the block runs and yield its address.

    Raises AssertionError with the function's log if it does not listen within four minutes.
    """
    (port,) = free_ports(1)
    settings = {"PATH": f"{environment.bin}:{os.defpath}", "PORT": str(port), "HOST": "127.0.0.1"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [environment.bin / "functions-framework", f"--target={name}"],
            cwd=source,
            env=settings | variables,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/robots.txt", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:  # 404: the framework answers
            return
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"the function does not listen:\n{log.read_text()[-4000:]}")
