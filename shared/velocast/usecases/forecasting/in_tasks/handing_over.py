"""Hands a city that is too large for one process over to the workflow that forecasts it in tasks."""

from __future__ import annotations

from velocast.adapters import workflows
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import rfc3339
from velocast.core.requests import ForecastArgument, PredictRequest
from velocast.core.settings import JobSettings, PredictSettings
from velocast.core.telemetry import log
from velocast.usecases.context import Run
from velocast.usecases.forecasting.daily_forecast import forecast_all_counters
from velocast.usecases.forecasting.outcome import report_nothing_new


def forecast_or_hand_over(request: PredictRequest, run: Run[PredictSettings]) -> list[AuditRow]:
    """Forecast as `forecast_all_counters`, or hand a large city over to the workflow, which writes the audit row later.

    Raises as `forecast_all_counters` and `hand_over`.
    """
    if not needs_tasks(run):
        return forecast_all_counters(request, run)
    if rows := report_nothing_new(request, run):
        return rows
    hand_over(request, run, of_the_day=True)
    return []


def needs_tasks(run: Run[PredictSettings] | Run[JobSettings]) -> bool:
    """Return whether the city has more counters than one process forecasts (`job_counters`). Raises WarehouseError."""
    (known,) = run.warehouse.query("known_counters")["known"]
    return bool(known > run.settings.thresholds.job_counters)


def hand_over(
    request: PredictRequest, run: Run[PredictSettings] | Run[JobSettings], *, of_the_day: bool
) -> str:
    """Start the workflow and return its execution's id. Its last step writes the audit row of this run.

    A message that is delivered twice starts two executions, which publish the same forecasts. Raises WorkflowError.
    """
    asked = request.model_copy(update={"as_of": rfc3339(run.as_of)})
    settings = run.settings
    execution = workflows.start_execution(
        settings.project,
        settings.location,
        settings.forecast_workflow,
        ForecastArgument(execution_id=run.execution_id, request=asked, of_the_day=of_the_day),
        label=run.execution_id,
    )
    log(
        "INFO",
        f"handed over to {settings.forecast_workflow}, execution {execution}",
        execution_id=run.execution_id,
    )
    return execution
