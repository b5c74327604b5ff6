"""Job velocast-forecast-publish: stores the parts of a forecast, and publishes snapshot and site when all are there.

python publish.py --name=ID --execution-id=ID --as-of=2026-03-01T04:00:00Z --last=true
"""

from __future__ import annotations

import sys

from entry import flag, parser, run_forecast_job

from velocast.usecases.forecasting.in_tasks import steps


def main(arguments: list[str] | None = None) -> int:
    made = parser(
        "Store the parts of a forecast, and publish snapshot and site when all are there."
    )
    made.add_argument("--name", required=True, help="of the forecast, the same for all its steps")
    made.add_argument(
        "--last", type=flag, default=True, help="fail if another run has published meanwhile"
    )
    options = made.parse_args(arguments)
    return run_forecast_job(
        options,
        lambda run: steps.publish_parts(run, name=options.name, last=options.last),
        audited=True,
    )


if __name__ == "__main__":
    sys.exit(main())
