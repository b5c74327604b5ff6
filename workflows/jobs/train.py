"""Job velocast-train: fits a challenger and registers it.

python train.py --execution-id=ID --as-of=2026-03-01T02:00:00Z --kind=blend --force=false --test-mode=false --reason=...
"""

from __future__ import annotations

import sys

from entry import flag, parser, run_job

from velocast.core.kinds import DEFAULT_KIND, KINDS
from velocast.usecases.training.train import TrainRequest, train


def main(arguments: list[str] | None = None) -> int:
    made = parser("Fit a challenger on everything known except the test sets, and register it.")
    made.add_argument("--kind", choices=KINDS, default=DEFAULT_KIND)
    made.add_argument("--force", type=flag, default=False)
    made.add_argument("--test-mode", type=flag, default=False)
    made.add_argument("--reason", default="")
    options = made.parse_args(arguments)
    request = TrainRequest(
        kind=options.kind,
        force=options.force,
        test_mode=options.test_mode,
        reason=options.reason,
    )
    return run_job("train", options, lambda run: train(request, run))


if __name__ == "__main__":
    sys.exit(main())
