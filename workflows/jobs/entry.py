"""The edge of the jobs: arguments in, one run, an exit code out.

A job has no event that carries a time: it runs at `--as-of`, else VELOCAST_AS_OF, else the start of its process, which
this module reads from the clock. Its execution id is `--execution-id` (given by the workflow), else the name of Cloud
Run's execution, which retries share, else the component and the start.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime

from velocast.adapters.gcs import Objects, read_address
from velocast.core.audit_row import AuditRow, EventType
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.settings import ForecastJobSettings, JobSettings
from velocast.core.telemetry import log
from velocast.usecases.context import Run, Runtime, describe_error, perform, report_failure

Work = Callable[[Run[JobSettings]], list[AuditRow]]
ForecastWork = Callable[[Run[ForecastJobSettings]], list[AuditRow]]


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser of the arguments that all jobs share."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--as-of", help="RFC 3339; default: VELOCAST_AS_OF, else now")
    made.add_argument("--execution-id", help="default: the name of Cloud Run's execution")
    return made


def flag(text: str) -> bool:
    """Read true or false, the way the workflow writes them."""
    if text not in {"true", "false"}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"


def run_job(component: str, options: argparse.Namespace, work: Work) -> int:
    """Do the work of one job; returns the exit code, 0 only on success.

    A failure is reported as a function's is (`report_failure`) and leaves `runs/<execution_id>/error.json`, from which
    the workflow tells people. So only a job that runs outside the workflow publishes a notice of its own.
    """
    started_at = datetime.now(UTC)
    settings = JobSettings.load(read_address)
    execution_id = _execution_id(component, options, settings, started_at)
    run = Run(Runtime(settings, component=component), started_at, execution_id)
    try:
        if asked := options.as_of or settings.as_of:
            run = Run(run.runtime, parse_instant(asked), execution_id)
        perform(run, lambda: work(run))
    except Exception as exc:  # noqa: BLE001  the outermost handler: reports, and fails
        event_type: EventType = "DEPLOYMENT" if component == "promote" else "TRAINING"
        details = {"as_of": rfc3339(run.as_of)}
        in_workflow = options.execution_id is not None
        report_failure(run, exc, event_type=event_type, details=details, notify=not in_workflow)
        _leave_error(run, exc)
        return 1
    return 0


def run_forecast_job(options: argparse.Namespace, work: ForecastWork, *, audited: bool) -> int:
    """Do one step of a forecast; returns the exit code, 0 only on success.

    The audit row and the report of a failure are those of a run of `predict`, with the id of the run that asked for it.
    audited: False for one of many tasks, which only logs its error: the last step says which parts are missing.
    """
    started_at = datetime.now(UTC)
    settings = ForecastJobSettings.load(read_address)
    execution_id = _execution_id("predict", options, settings, started_at)
    run = Run(Runtime(settings, component="predict"), started_at, execution_id)
    try:
        if asked := options.as_of or settings.as_of:
            run = Run(run.runtime, parse_instant(asked), execution_id)
        perform(run, lambda: work(run))
    except Exception as exc:  # noqa: BLE001  the outermost handler: reports, and fails
        if audited:
            report_failure(run, exc, event_type="PREDICTION", details={})
        else:
            log(
                "ERROR",
                f"task {settings.task_index}: {describe_error(exc)}",
                execution_id=execution_id,
            )
        return 1
    return 0


def _execution_id(
    component: str,
    options: argparse.Namespace,
    settings: JobSettings | ForecastJobSettings,
    started_at: datetime,
) -> str:
    by_hand = f"{component}-by-hand-{started_at:%Y%m%dT%H%M%SZ}"
    return options.execution_id or settings.execution or by_hand


def _leave_error(run: Run[JobSettings], error: Exception) -> None:
    objects = Objects(run.settings.project, run.settings.models_bucket)
    left = {"step": run.runtime.component, "error": describe_error(error)}
    objects.write_json(f"runs/{run.execution_id}/error.json", left)
