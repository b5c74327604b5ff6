"""Puts an earlier champion back: found in the audit trail, published by the job velocast-promote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.gcs import Objects
from velocast.core.errors import ModelUnusable, PromotionRefused
from velocast.core.kinds import Task
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast_cli.operations.audit_trail import AuditedRun, read_execution, read_runs
from velocast_cli.operations.deployment import PROMOTE_JOB
from velocast_cli.operations.rolling_back.cloud_run_jobs import JobFailed, run_cloud_job

PATIENCE = timedelta(hours=1)  # the job's own timeout


@dataclass(frozen=True)
class RolledBack:
    """The champion before and after, the execution that did it, and how many forecasts were made with it at once."""

    task: str
    before: int | None
    version: int
    execution_id: str
    forecasts: int

    def as_dict(self) -> dict[str, Any]:
        """Return it with JSON's types."""
        return dict(vars(self))


def serving_champion(run: Run[JobSettings], task: Task) -> Champion | None:
    """Return the champion of a task; None if there is none or its manifest cannot be read."""
    objects = Objects(run.settings.project, run.settings.models_bucket)
    try:
        return champion_manifest.read_champion(objects, task)[0]
    except ModelUnusable:
        return None


def previous_version(run: Run[JobSettings], task: Task, serving: Champion | None) -> int:
    """Return the version to go back to: the one that the champion replaced when it was promoted.

    After a rollback that is the one before it, so a second rollback goes one further back. Without a readable manifest
    it is the champion that was published last. Raises PromotionRefused when the audit trail knows none; WarehouseError.
    """
    rows = deployments(run, task)
    if serving is None:
        if not rows:
            raise PromotionRefused("there was never a champion; retrain, or name a version: --to")
        return int(rows[0].details["version"])
    for row in rows:
        replaced = (row.details.get("replaced") or {}).get("version")
        is_promotion = row.details["version"] == serving.version and not row.details.get(
            "as_published"
        )
        # A version that was fitted and promoted again replaced itself.
        if is_promotion and replaced not in (None, serving.version):
            return int(replaced)
    raise PromotionRefused(
        f"version {serving.version} is the first champion that the audit trail knows of; name a version: --to"
    )


def deployments(run: Run[JobSettings], task: Task) -> list[AuditedRun]:
    """Return the audit rows of all champions of a task, newest first. Raises WarehouseError."""
    rows = read_runs(run.warehouse, event_type="DEPLOYMENT", component="promote", status="OK")
    return [row for row in rows if row.details.get("task") == task and row.details.get("version")]


def roll_back(
    run: Run[JobSettings],
    task: Task,
    version: int,
    *,
    on_start: Callable[[str], object] | None = None,
) -> RolledBack:
    """Make a version that was champion before the champion again, and wait until its forecasts are made.

    Raises PromotionRefused when the version cannot serve any more, GoogleApiRefused, WarehouseError.
    """
    serving = serving_champion(run, task)
    arguments = [f"--version={version}", f"--task={task}", "--as-published"]
    try:
        execution_id = run_cloud_job(
            run.settings, PROMOTE_JOB, arguments, patience=PATIENCE, on_start=on_start
        )
    except JobFailed as exc:
        raise _refusal(run, exc) from exc
    rows = read_execution(run.warehouse, execution_id)
    forecasts = [row.details.get("forecasts") for row in rows if row.event_type == "DEPLOYMENT"]
    return RolledBack(
        task=task,
        before=serving.version if serving else None,
        version=version,
        execution_id=execution_id,
        forecasts=int(next(iter(forecasts), None) or 0),
    )


def _refusal(run: Run[JobSettings], failed: JobFailed) -> Exception:
    """Return the reason that the job left in the audit trail; the failure itself if it left none."""
    for row in read_execution(run.warehouse, failed.execution_id):
        if row.status == "FAILED" and row.error_message:
            return PromotionRefused(f"{row.error_message} (execution {failed.execution_id})")
    return failed
