"""Run a step and print its figures: `python -m benchmarks.steps NAME ARGUMENTS`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import harness
from benchmarks.steps.faults import faults
from benchmarks.steps.fitting import forest, learn
from benchmarks.steps.forecasting import forecast, tasks
from benchmarks.steps.made_up import freeze, gaps, monitor, reader
from benchmarks.steps.retraining_jobs import job

STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "faults": faults,
    "learn": learn,
    "forecast": forecast,
    "forest": forest,
    "freeze": freeze,
    "gaps": gaps,
    "monitor": monitor,
    "reader": reader,
    "tasks": tasks,
    "job": job,
}


def main() -> None:
    began = time.monotonic()
    figures = STEPS[sys.argv[1]](**json.loads(sys.argv[2]))
    peaks = [part["peak_mb"] for part in figures["stages"].values()]
    print(
        json.dumps(
            {
                "seconds": time.monotonic() - began,
                "peak_mb": max(harness.peak_mb(), *peaks),
                "figures": figures,
            }
        )
    )


if __name__ == "__main__":
    main()
