"""Job processes whose slow imports are behind them.

Half of a small job's time goes into importing scikit-learn, MLflow and Google's clients, and a retraining runs three
jobs one after the other on a machine with another core to spare. So before the first job, and while one runs, the
process of the next one imports what every job needs and waits to be told its script. Of Velocast's own code it imports
nothing beforehand.
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

IMPORTS = (
    "google.cloud.bigquery",
    "google.cloud.bigquery_storage_v1",
    "google.cloud.storage",
    "matplotlib.figure",
    "mlflow",
    "pyarrow.parquet",
    "sklearn.ensemble",
    "skops.io",
)


class WarmPython:
    """Starts Python scripts, and keeps one process ready for the next of them."""

    def __init__(self) -> None:
        self._spare: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def prepare(self, environment: Mapping[str, str]) -> None:
        """Get a process ready for the first script, while there is time."""
        with self._lock:
            if self._spare is None and not self._closed:
                self._spare = _wait_for_script(environment)

    def start(
        self, command: Sequence[str], *, environment: Mapping[str, str], log: Path, cwd: Path
    ) -> subprocess.Popen[bytes]:
        """Start `[python, script, *arguments]` as `processes.start_process` does."""
        with self._lock:
            spare, self._spare = self._spare, None
            if not self._closed:
                self._spare = _wait_for_script(environment)
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
        """End the process that waits."""
        with self._lock:
            spare, self._spare, self._closed = self._spare, None, True
        if spare is not None:
            spare.kill()
            spare.communicate()


def _tell(spare: subprocess.Popen[bytes], text: str) -> None:
    assert spare.stdin is not None
    with spare.stdin as pipe:
        pipe.write(text.encode())


def _wait_for_script(environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gcp_emulators.cloud_run.warm_python"],
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main() -> None:
    """Import, wait, become the script. The end of the input without a word means that nobody needs it any more."""
    for name in IMPORTS:
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
