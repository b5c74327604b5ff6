"""The edge of the three jobs: arguments in, one run, an exit code out.

`--as-of`, else the variable VELOCAST_AS_OF, else the start of this process says at which moment the job stands: this is
the one place of the product that reads the clock, because a job started by hand has no event that carries a time.
`--execution-id`, else the name of Cloud Run's execution (its retries share it), else the arguments themselves.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from datetime import UTC, datetime

from velocast.adapters.gcs import Objects
from velocast.core import telemetry
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import VelocastError
from velocast.core.settings import JobSettings
from velocast.usecases import audit
from velocast.usecases.context import Run, Runtime, perform

Work = Callable[[Run[JobSettings]], list[AuditRow]]


def parser(description: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "--as-of", default=os.environ.get("VELOCAST_AS_OF"), help="RFC 3339; default: now"
    )
    made.add_argument("--execution-id", default=os.environ.get("CLOUD_RUN_EXECUTION"))
    return made


def flag(text: str) -> bool:
    """Read true or false, the way the workflow writes them."""
    if text not in {"true", "false"}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"


def run_job(component: str, options: argparse.Namespace, work: Work) -> int:
    """Do the work of one job; returns the exit code, 0 only on success.

    An error is logged and leaves a FAILED audit row and `runs/<execution_id>/error.json`, from which the workflow
    takes what it tells.
    """
    started_at = datetime.now(UTC)
    runtime = Runtime(JobSettings.load(), component=component)
    as_of = started_at
    execution_id = options.execution_id or f"{component}-by-hand-{started_at:%Y%m%dT%H%M%SZ}"
    try:
        as_of = parse_instant(options.as_of) if options.as_of else started_at
        run = Run(runtime, as_of, execution_id)
        perform(run, lambda: work(run))
    except Exception as exc:  # noqa: BLE001  the outermost handler: reports, and fails
        report(Run(runtime, as_of, execution_id), exc)
        return 1
    return 0


def report(run: Run[JobSettings], error: Exception) -> None:
    code = error.code if isinstance(error, VelocastError) else type(error).__name__
    component, said = run.runtime.component, f"{code}: {error}"
    event_type = "DEPLOYMENT" if component == "promote" else "TRAINING"
    telemetry.log(
        "ERROR",
        f"{component} failed: {error}",
        execution_id=run.execution_id,
        event=event_type,
        status="FAILED",
        code=code,
    )
    objects = Objects(run.settings.project, run.settings.models_bucket)
    objects.write_json(f"runs/{run.execution_id}/error.json", {"step": component, "error": said})
    row = AuditRow(
        event_id=f"{component}:{run.execution_id}:failed",
        timestamp=run.as_of,
        event_type=event_type,
        as_of=run.as_of,
        execution_id=run.execution_id,
        status="FAILED",
        error_message=said,
        details={"as_of": rfc3339(run.as_of)},
    )
    audit.write(run.warehouse, [row], environment=run.settings.environment)
