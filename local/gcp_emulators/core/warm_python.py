"""Starts job processes that have already imported the slow modules.

Half of a small job's run time goes into imports. So before the first job, and while one runs, the process of the next
job imports the modules that every job needs, and then waits for its script.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from gcp_emulators.core import processes


class WarmPython:
    """Starts Python scripts, and keeps one process ready for the next script.

    imports: names of the modules that the process in waiting has imported.
    """

    def __init__(self, imports: Sequence[str]) -> None:
        self._imports = tuple(imports)
        self._spare: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def prepare(self, environment: Mapping[str, str]) -> None:
        """Start the process that waits for the first script; does nothing if one is waiting."""
        with self._lock:
            if self._spare is None and not self._closed:
                self._spare = self._wait_for_script(environment)

    def start(
        self, command: Sequence[str], *, environment: Mapping[str, str], log: Path, cwd: Path
    ) -> subprocess.Popen[bytes]:
        """Start `[python, script, *arguments]` as `processes.start_process` does; returns the process."""
        with self._lock:
            spare, self._spare = self._spare, None
            if not self._closed:
                self._spare = self._wait_for_script(environment)
        if spare is None:
            return processes.start_process(command, environment=environment, log=log, cwd=cwd)
        log.parent.mkdir(parents=True, exist_ok=True)
        told = {
            "argv": list(command[1:]),
            "environment": dict(environment),
            "log": str(log),
            "cwd": str(cwd),
        }
        try:
            _tell(spare, json.dumps(told))
        except BrokenPipeError:  # it died while it waited
            spare.wait()
            return processes.start_process(command, environment=environment, log=log, cwd=cwd)
        return spare

    def stop(self) -> None:
        """End the waiting process; no other is started."""
        with self._lock:
            spare, self._spare, self._closed = self._spare, None, True
        if spare is not None:
            spare.kill()
            spare.communicate()

    def _wait_for_script(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "gcp_emulators.cloud_run.warm_python", *self._imports],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _tell(spare: subprocess.Popen[bytes], text: str) -> None:
    assert spare.stdin is not None
    with spare.stdin as pipe:
        pipe.write(text.encode())


def main() -> None:
    """Import the modules named as arguments, wait, run the script. Empty input means that there is no script."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    if not (text := sys.stdin.read()):
        return
    told = json.loads(text)
    os.environ.clear()
    os.environ.update(told["environment"])
    os.chdir(told["cwd"])
    output = os.open(told["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = told["argv"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
