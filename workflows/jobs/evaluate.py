"""Job velocast-evaluate: judges a version beside the champion.

gcloud run jobs execute velocast-evaluate --args=--version=7
"""

from __future__ import annotations

import sys

from entry import parser, run_job

from velocast.core.kinds import TASKS
from velocast.usecases.training.evaluate import EvaluateRequest, evaluate


def main(arguments: list[str] | None = None) -> int:
    made = parser("Score a version and the champion on the same rows, and decide.")
    made.add_argument("--version", type=int, required=True)
    made.add_argument("--task", choices=TASKS, default="forecast")
    options = made.parse_args(arguments)
    request = EvaluateRequest(version=options.version, task=options.task)
    return run_job("evaluate", options, lambda run: evaluate(request, run))


if __name__ == "__main__":
    sys.exit(main())
