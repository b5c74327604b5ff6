"""Watches the champion: validates it, looks for drift, decides about a retraining, and starts it when it is due.

What cannot be known is `unknown` with its reason, in the audit row and in the decision, and triggers nothing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import pandas as pd

from velocast.adapters import champion_manifest, workflows
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.gcs import Objects
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import ObjectChanged, ObjectMissing
from velocast.core.requests import MonitorRequest, RetrainArgument
from velocast.model.decisions import retraining
from velocast.model.decisions.retraining import RetrainDecision
from velocast.usecases.monitoring import drift_check, validation
from velocast.usecases.monitoring.outcome import (
    Counted,
    Findings,
    MonitorRun,
    audit_rows,
    measure,
    notices,
)

LOOKBACK = timedelta(days=366)
DAY = timedelta(days=1)


def monitor(request: MonitorRequest, run: MonitorRun) -> list[AuditRow]:
    """Validate, look for drift, decide, and start the workflow when the decision trains and not `check_only`.

    A redelivered message starts no second execution. Raises WarehouseError, ModelUnusable (manifest unreadable),
    WorkflowError.
    """
    found = _look(request, run)
    if found.decision.trains and not request.check_only:
        found = replace(found, execution=_start_once(request, run, found.decision))
    measure(run, found)
    for notice in notices(run, found):
        run.tell(notice)
    return audit_rows(run, found)


def _look(request: MonitorRequest, run: MonitorRun) -> Findings:
    settings, thresholds = run.settings, run.settings.thresholds
    champion, _ = champion_manifest.read_champion(Objects(settings.project, settings.models_bucket))
    counted = _counted(run)
    checked = validation.check(
        run.warehouse,
        settings.city,
        thresholds,
        champion=champion,
        as_of=run.as_of,
        counters=counted.recent_counters,
    )
    drift = drift_check.check(run, first_count_at=counted.first_at)
    decision = retraining.decide_retraining(
        forced=request.force,
        champion=champion is not None,
        history_days=counted.days,
        validation=checked.finding,
        drift=drift.finding,
        trained_until_age_days=_trained_age_days(champion, run.as_of),
        thresholds=thresholds,
    )
    return Findings(champion, counted, checked, drift, decision, _r2_before(run))


def _counted(run: MonitorRun) -> Counted:
    skill_days = timedelta(days=run.settings.thresholds.skill_days)
    row = run.warehouse.query(
        "monitor_history",
        first_hour=run.as_of - LOOKBACK,
        recent_hour=run.as_of - skill_days,
        until=run.as_of,
        zone=run.settings.city.time_zone,
    ).iloc[0]
    first, newest = (
        None if pd.isna(row[name]) else row[name].to_pydatetime()
        for name in ("first_at", "newest_at")
    )
    return Counted(int(row["days"]), first, newest, int(row["recent_counters"]))


def _trained_age_days(champion: Champion | None, as_of: datetime) -> float | None:
    if champion is None:
        return None
    return (as_of - parse_instant(champion.trained_until, name="trained_until")) / DAY


def _r2_before(run: MonitorRun) -> float | None:
    rows = run.warehouse.query("monitor_previous_r2", since=run.as_of - LOOKBACK, as_of=run.as_of)
    return None if rows.empty else float(rows["r2"].iloc[0])


def _start_once(request: MonitorRequest, run: MonitorRun, decision: RetrainDecision) -> str:
    """Start the workflow and note the execution under the message's id; return what an earlier delivery noted.

    Killed between start and note, the next delivery starts another execution: the workflow's lease keeps the two apart.
    """
    settings = run.settings
    reports = Objects(settings.project, settings.reports_bucket)
    name = f"monitor/{run.execution_id}.json"
    try:
        return str(reports.read_json(name)[0]["execution"])
    except ObjectMissing:
        pass
    argument = RetrainArgument(
        force=request.force,
        kind=request.kind,
        test_mode=request.test_mode,
        as_of=rfc3339(run.as_of),
        reason=f"{decision.decision}: {decision.reason}",
    )
    execution = workflows.start(
        settings.project, settings.location, settings.workflow, argument, label=run.execution_id
    )
    note = {"execution": execution, "argument": argument.model_dump()}
    with suppress(ObjectChanged):  # the same message at the same moment: the lease parts the two
        reports.write_json(name, note, if_generation=0)
    return execution
