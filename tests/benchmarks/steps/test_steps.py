"""The steps are found by the names under which the benchmarks ask for them."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks import harness
from benchmarks.steps.__main__ import STEPS

BENCHMARKS = Path(harness.__file__).parent


def test_a_step_runs_in_its_own_process() -> None:
    step = harness.run_isolated("reader", counters=3)

    assert step is not None
    assert step.figures["rows"] == 3000
    assert step.figures["stages"]["reader"]["seconds"] <= step.seconds


def test_every_step_that_is_asked_for_is_there() -> None:
    texts = [file.read_text(encoding="utf-8") for file in BENCHMARKS.rglob("*.py")]
    asked = {name for text in texts for name in re.findall(r'run_isolated\(\s*"(\w+)"', text)}

    assert {"learn", "forecast", "job"} <= asked <= STEPS.keys()
