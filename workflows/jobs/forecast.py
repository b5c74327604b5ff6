"""Job velocast-forecast-tasks: plans a forecast, or makes the parts of one task of it.

python forecast.py --name=ID --execution-id=ID --request='{"as_of":"2026-03-01T04:00:00Z"}' --step=plan
python forecast.py --name=ID --execution-id=ID --as-of=2026-03-01T04:00:00Z --step=parts     (each of the plan's tasks)
"""

from __future__ import annotations

import sys

from entry import flag, parser, run_forecast_job

from velocast.core.requests import PredictRequest
from velocast.usecases.forecasting.in_tasks import steps


def main(arguments: list[str] | None = None) -> int:
    made = parser("Plan a forecast, or make the parts of one task of it.")
    made.add_argument("--name", required=True, help="of the forecast, the same for all its steps")
    made.add_argument("--step", choices=("plan", "parts"), required=True)
    made.add_argument("--request", type=PredictRequest.model_validate_json, default="{}")
    made.add_argument("--of-the-day", type=flag, default=True)
    options = made.parse_args(arguments)
    if options.step == "parts":
        return run_forecast_job(
            options, lambda run: steps.make_parts(run, name=options.name), audited=False
        )
    options.as_of = options.as_of or options.request.as_of
    return run_forecast_job(
        options,
        lambda run: steps.plan_forecast(
            options.request, run, name=options.name, of_the_day=options.of_the_day
        ),
        audited=True,
    )


if __name__ == "__main__":
    sys.exit(main())
