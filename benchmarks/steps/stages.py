"""Seconds, CPU seconds and memory of the stages of a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks import harness

CLEAR_PEAK = "5"  # proc(5): resets VmHWM to the current resident memory

Stages = dict[str, dict[str, float]]


@contextmanager
def stage(stages: Stages, name: str) -> Iterator[None]:
    """Record seconds, CPU seconds of this process and of the emulator, and this one's peak resident memory, MB.

    Other load hardly affects CPU seconds.
    """
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        forget.write_text(CLEAR_PEAK)
    began, worked = time.monotonic(), time.process_time()
    emulated = harness.emulator_cpu_seconds()
    yield
    stages[name] = {
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - worked,
        "emulator_cpu_seconds": harness.emulator_cpu_seconds() - emulated,
        "peak_mb": harness.peak_mb(),
    }


@contextmanager
def clocked(owner: Any, name: str) -> Iterator[list[float]]:
    """Record the seconds of each call of a function while the block runs."""
    seconds: list[float] = []
    call: Callable[..., Any] = getattr(owner, name)

    def timed(*args: Any, **named: Any) -> Any:
        began = time.monotonic()
        try:
            return call(*args, **named)
        finally:
            seconds.append(time.monotonic() - began)

    with patch.object(owner, name, timed):
        yield seconds
