"""A script started in a process that waited is the same as one started from nothing."""

import os
import sys
from pathlib import Path

import pytest

from gcp_emulators.cloud_run.warm_python import WarmPython
from gcp_emulators.core import processes

pytestmark = pytest.mark.emulator

SCRIPT = """
import os, sys
from beside import WORD
seen = [os.environ.get(name) for name in ("ONLY", "EARLIER")]
print(WORD, __name__, sys.argv[1:], *seen, os.getcwd(), len(sys.stdin.read()))
print("warm" if "colorsys" in sys.modules else "cold", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("WORD = 'beside'")
    path = tmp_path / "job.py"
    path.write_text(SCRIPT)
    return path


def test_the_second_script_runs_in_the_process_that_waited(script: Path) -> None:
    python = WarmPython(["colorsys"])
    base = dict(os.environ)
    try:
        said = []
        for number, more in enumerate(({"EARLIER": "1"}, {"ONLY": "2"})):
            log = script.parent / "logs" / f"{number}.log"
            child = python.start(
                [sys.executable, str(script), "--number", str(number)],
                environment=base | more,
                log=log,
                cwd=script.parent,
            )
            assert child.wait(timeout=60) == 3
            said.append(sorted(log.read_text().splitlines()))
    finally:
        python.stop()
    here = script.parent
    assert said == [
        [f"beside __main__ ['--number', '0'] None 1 {here} 0", "cold"],
        [f"beside __main__ ['--number', '1'] 2 None {here} 0", "warm"],
    ]


def test_the_first_script_may_have_been_prepared_for(script: Path) -> None:
    python = WarmPython(["colorsys"])
    run = {"environment": dict(os.environ), "log": script.parent / "log", "cwd": script.parent}
    try:
        python.prepare(dict(os.environ))
        prepared = python._spare
        python.prepare(dict(os.environ))  # one is enough
        assert python._spare is prepared
        child = python.start([sys.executable, str(script)], **run)  # type: ignore[arg-type]
        assert child is prepared
        assert child.wait(timeout=60) == 3
    finally:
        python.stop()
    assert "warm" in (script.parent / "log").read_text().split()


def test_a_process_that_died_while_it_waited_is_replaced(script: Path) -> None:
    python = WarmPython(["colorsys"])
    run = {"environment": dict(os.environ), "log": script.parent / "log", "cwd": script.parent}
    try:
        assert python.start([sys.executable, str(script)], **run).wait(timeout=60) == 3  # type: ignore[arg-type]
        spare = python._spare
        assert spare is not None
        spare.kill()
        spare.wait()
        assert python.start([sys.executable, str(script)], **run).wait(timeout=60) == 3  # type: ignore[arg-type]
    finally:
        python.stop()


def test_nothing_waits_after_the_end(script: Path, tmp_path: Path) -> None:
    python = WarmPython(["colorsys"])
    environment = dict(os.environ) | {processes.MARKER: str(tmp_path)}
    log = tmp_path / "log"
    python.start(
        [sys.executable, str(script)], environment=environment, log=log, cwd=script.parent
    ).wait(timeout=60)
    assert processes.marked_processes(tmp_path)
    python.stop()
    assert not processes.marked_processes(tmp_path)
