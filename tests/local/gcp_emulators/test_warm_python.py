"""A script in a fork of the server is the same as one in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gcp_emulators.core import processes
from gcp_emulators.core.warm_python import ForkedProcess, WarmPython

pytestmark = pytest.mark.emulator

SCRIPT = """
import atexit, os, sys, threading
from beside import WORD
atexit.register(lambda: print("exit handler"))
thread = threading.Thread(target=print, args=("thread",))
thread.start()
thread.join()  # or its line would be mixed with that of another thread
seen = [os.environ.get(name) for name in ("ONLY", "EARLIER")]
print(WORD, __name__, sys.argv[1:], *seen, os.getcwd(), len(sys.stdin.read()), os.getsid(0) == os.getpid())
print("warm" if "colorsys" in sys.modules else "cold", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("WORD = 'beside'")
    path = tmp_path / "job.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture
def python(tmp_path: Path) -> Iterator[WarmPython]:
    made = WarmPython(["colorsys"])
    yield made
    made.stop()


def start(
    python: WarmPython, folder: Path, *words: str, log: str = "log", **variables: str
) -> processes.Process:
    environment = dict(os.environ) | variables
    command = [sys.executable, *words]
    return python.start(command, environment=environment, log=folder / log, cwd=folder)


def test_each_script_has_its_own_arguments_environment_and_log(
    python: WarmPython, script: Path
) -> None:
    here = script.parent
    first = start(python, here, str(script), "--number", "0", log="logs/0", EARLIER="1")
    second = start(python, here, str(script), "--number", "1", log="logs/1", ONLY="2")
    assert isinstance(first, ForkedProcess)
    assert isinstance(second, ForkedProcess)
    assert (first.wait(60), second.wait(60)) == (3, 3)
    assert (first.poll(), second.poll()) == (3, 3)
    said = [sorted((here / "logs" / name).read_text().splitlines()) for name in "01"]
    assert said == [
        [
            f"beside __main__ ['--number', '0'] None 1 {here} 0 True",
            "exit handler",
            "thread",
            "warm",
        ],
        [
            f"beside __main__ ['--number', '1'] 2 None {here} 0 True",
            "exit handler",
            "thread",
            "warm",
        ],
    ]


def test_a_module_is_run_as_by_its_name(python: WarmPython, tmp_path: Path) -> None:
    (tmp_path / "named.py").write_text("import sys; print(__name__, sys.argv)")
    assert start(python, tmp_path, "-m", "named", "--yes").wait(60) == 0
    assert (tmp_path / "log").read_text() == f"__main__ ['{tmp_path / 'named.py'}', '--yes']\n"


def test_an_error_is_told_as_by_any_python(python: WarmPython, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise KeyError('what')")
    assert start(python, tmp_path, str(tmp_path / "broken.py")).wait(60) == 1
    assert (tmp_path / "log").read_text().endswith("KeyError: 'what'\n")


def test_a_script_that_is_killed_tells_the_signal(python: WarmPython, tmp_path: Path) -> None:
    (tmp_path / "sleep.py").write_text("import time; time.sleep(600)")
    child = start(python, tmp_path, str(tmp_path / "sleep.py"))
    assert child.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.01)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait(60) == -signal.SIGKILL


def test_the_server_may_be_prepared_and_is_replaced_when_it_was_killed(
    python: WarmPython, script: Path
) -> None:
    python.prepare(dict(os.environ))
    prepared = python._server
    python.prepare(dict(os.environ))  # one is enough
    assert prepared is not None
    assert python._server is prepared
    (script.parent / "sleep.py").write_text("import time; time.sleep(600)")
    lost = start(python, script.parent, str(script.parent / "sleep.py"))
    assert python._server is prepared
    os.kill(prepared.pid, signal.SIGKILL)
    # nobody would learn of its end, so it ends with the server
    assert lost.wait(60) == -signal.SIGKILL
    assert start(python, script.parent, str(script)).wait(60) == 3
    assert python._server is not prepared
    assert "warm" in (script.parent / "log").read_text().split()


def test_a_script_runs_without_a_server_whose_imports_fail(script: Path) -> None:
    python = WarmPython(["no_such_module"])
    try:
        assert start(python, script.parent, str(script)).wait(60) == 3
    finally:
        python.stop()
    assert "cold" in (script.parent / "log").read_text().split()


def test_nothing_waits_after_the_end(python: WarmPython, script: Path, tmp_path: Path) -> None:
    marker = {processes.MARKER: str(tmp_path)}
    start(python, tmp_path, str(script), **marker).wait(60)
    assert processes.marked_processes(tmp_path)
    python.stop()
    assert not processes.marked_processes(tmp_path)
    # a late script still runs, in a process of its own
    assert start(python, tmp_path, str(script), log="late", **marker).wait(60) == 3
    assert "cold" in (tmp_path / "late").read_text().split()


def test_no_end_is_missed_of_many_that_end_at_once(tmp_path: Path) -> None:
    python = WarmPython(
        ["numpy"]
    )  # whose threads may be told of the end instead of the main thread
    (tmp_path / "nothing.py").touch()
    try:
        running = [start(python, tmp_path, str(tmp_path / "nothing.py")) for _ in range(30)]
        assert {child.wait(60) for child in running} == {0}
    finally:
        python.stop()


def test_no_garbage_is_collected_during_imports_and_scripts_collect_theirs(tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text("import gc; COLLECTED = gc.isenabled()")
    (tmp_path / "script.py").write_text(
        "import gc, library; print(library.COLLECTED, gc.isenabled(), gc.get_freeze_count() > 1000)"
    )
    python = WarmPython(["library"])
    try:
        script = start(python, tmp_path, str(tmp_path / "script.py"), PYTHONPATH=str(tmp_path))
        assert isinstance(script, ForkedProcess)
        assert script.wait(60) == 0
    finally:
        python.stop()
    assert (tmp_path / "log").read_text() == "False True True\n"
