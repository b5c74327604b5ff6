"""The order in which a stack's parts are waited for, without processes."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from velocast_local.stack import lifecycle, supervisor
from velocast_local.stack.state import StackFailed, StackState
from velocast_local.stack.supervisor import FAILED, FUNCTIONS, READY, STACK, Supervisor

PARTS = ("mlflow", "bigquery", "fetch", "predict")


class Stack(Supervisor):
    """A supervisor whose parts are ready at once, except MLflow, which waits. broken: a part that fails."""

    def __init__(self, home: Path, broken: str = "") -> None:
        super().__init__(StackState(home, home, "Demoville", None))
        self.children = dict.fromkeys(PARTS, SimpleNamespace())  # type: ignore[arg-type]
        self.broken = broken
        self.mlflow_may_start = threading.Event()
        self.delivered: list[str] = []

    def _wait_for(self, part: str) -> bool:
        if part == "mlflow":
            self.mlflow_may_start.wait(10)
        well = part != self.broken
        self._tell(part, READY if well else FAILED)
        return well

    def wait(self) -> threading.Thread:
        """Wait for all parts, in a thread that tells how it went."""

        def run() -> None:
            if self._wait_until_ready(self.delivered.append):
                self._tell(STACK, READY)

        thread = threading.Thread(target=run)
        thread.start()
        return thread


@pytest.fixture(autouse=True)
def _no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Any = SimpleNamespace
    monkeypatch.setattr(supervisor, "WarmPython", lambda _imports: made())


def test_functions_work_before_mlflow_is_there(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    thread = stack.wait()
    said: list[str] = []
    lifecycle._wait(stack.state, FUNCTIONS, {}, said.append, has_ended=lambda: False)
    assert sorted(stack.delivered) == ["fetch", "predict"]
    assert sorted(said) == ["bigquery: ready", "fetch: ready", "predict: ready"]
    before = lifecycle._progress(tmp_path)
    assert STACK not in before
    stack.mlflow_may_start.set()
    later: list[str] = []
    lifecycle._wait(stack.state, STACK, before, later.append, has_ended=lambda: False)
    thread.join()
    assert later == ["mlflow: ready"]


@pytest.mark.parametrize(("broken", "delivered"), [("fetch", []), ("mlflow", ["fetch", "predict"])])
def test_a_part_that_does_not_start_is_named(
    tmp_path: Path, broken: str, delivered: list[str]
) -> None:
    stack = Stack(tmp_path, broken)
    stack.mlflow_may_start.set()
    thread = stack.wait()
    with pytest.raises(StackFailed, match=f"{broken} did not start"):
        lifecycle._wait(stack.state, STACK, {}, lambda _: None, has_ended=lambda: False)
    thread.join()
    assert sorted(stack.delivered) == delivered
