"""Job velocast-promote: makes a judged version the champion.

gcloud run jobs execute velocast-promote --args=--version=7
gcloud run jobs execute velocast-promote --args=--version=6,--as-published      (what `velocast rollback` runs)
"""

from __future__ import annotations

import sys

from entry import parser, run_job

from velocast.core.kinds import TASKS
from velocast.usecases.training.promote import PromoteRequest, promote


def main(arguments: list[str] | None = None) -> int:
    made = parser("Fit a judged version again on everything known, and make it the champion.")
    made.add_argument("--version", type=int, required=True)
    made.add_argument("--task", choices=TASKS, default="forecast")
    made.add_argument(
        "--as-published", action="store_true", help="put an earlier champion back unchanged"
    )
    options = made.parse_args(arguments)
    request = PromoteRequest(
        version=options.version, task=options.task, as_published=options.as_published
    )
    return run_job("promote", options, lambda run: promote(request, run))


if __name__ == "__main__":
    sys.exit(main())
