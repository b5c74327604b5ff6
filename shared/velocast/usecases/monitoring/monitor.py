"""Monitor the champion: validate it, check for drift, decide whether to retrain, and start the retraining when due.

A check that cannot run has the result `unknown` with a reason, in the audit row and in the decision, and triggers
nothing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pandas as pd

from velocast.adapters import workflows
from velocast.adapters.bigquery.sql_templates import Empty
from velocast.adapters.gcs import Objects
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import rfc3339
from velocast.core.errors import ObjectChanged, ObjectMissing
from velocast.core.requests import MonitorRequest, RetrainArgument
from velocast.model.decisions import retraining
from velocast.model.decisions.retraining import RefusedChallenger, RetrainDecision
from velocast.usecases import model_loading
from velocast.usecases.histories.known import read_histories
from velocast.usecases.monitoring import drift_check, validation
from velocast.usecases.monitoring.digest import publish_digest
from velocast.usecases.monitoring.outcome import (
    CountHistory,
    MonitoringResult,
    MonitorRun,
    monitoring_audit_rows,
    notices,
    set_monitoring_gauges,
)

LOOKBACK = timedelta(days=366)
DAY = timedelta(days=1)


def monitor_champion(request: MonitorRequest, run: MonitorRun) -> list[AuditRow]:
    """Validate, check for drift, decide, and start the workflow if the decision is to train (never with `check_only`).

    What is validated is the model that `predict` would load now: where the champion cannot be used, the next one in the
    loading order, with the same notice. A redelivered message starts no second execution. With `digest` only the weekly
    digest is published. Raises WarehouseError,
    WorkflowError, GoogleAPICallError (Cloud Storage).
    """
    if request.digest:
        return publish_digest(run)
    result = _check(request, run)
    if result.decision.trains and not request.check_only:
        result = replace(result, execution=_start_once(request, run, result.decision))
    set_monitoring_gauges(run, result)
    for notice in notices(run, result):
        run.publish_notice(notice)
    return monitoring_audit_rows(run, result)


def _check(request: MonitorRequest, run: MonitorRun) -> MonitoringResult:
    settings, thresholds = run.settings, run.settings.thresholds
    serving = model_loading.load_champion(
        Objects(settings.project, settings.models_bucket),
        on_fallback=model_loading.fallback_notifier(run),
    )
    history = _count_history(run)
    validated = validation.validate_champion(
        run.warehouse,
        settings.city,
        thresholds,
        serving=serving,
        as_of=run.as_of,
        counters=history.recent_counters,
    )
    drift = drift_check.check_drift(
        run, first_count_at=history.first_at, counters=history.recent_counters
    )
    decision = retraining.decide_retraining(
        forced=request.force,
        champion=serving.model is not None,
        history_days=history.days,
        validation=validated.result,
        drift=drift.result,
        refused=_refused(run),
        trained_until_age_days=(run.as_of - serving.learned_until) / DAY
        if serving.learned_until
        else None,
        thresholds=thresholds,
    )
    return MonitoringResult(serving, history, validated, drift, decision, _r2_before(run))


def _count_history(run: MonitorRun) -> CountHistory:
    skill_days = timedelta(days=run.settings.thresholds.skill_days)
    ended = read_histories(run.warehouse, run.settings.city, as_of=run.as_of).ended
    row = run.warehouse.query(
        "monitor_history",
        first_hour=run.as_of - LOOKBACK,
        recent_hour=run.as_of - skill_days,
        until=run.as_of,
        zone=run.settings.city.time_zone,
        ended=list(ended) or Empty("STRING"),
    ).iloc[0]
    first, newest = (
        None if pd.isna(row[name]) else row[name].to_pydatetime()
        for name in ("first_at", "newest_at")
    )
    return CountHistory(int(row["days"]), first, newest, int(row["recent_counters"]))


def _refused(run: MonitorRun) -> RefusedChallenger | None:
    """Return the newest challenger up to `as_of` if it was not deployed."""
    rows = run.warehouse.query(
        "monitor_last_challenger", since=run.as_of - LOOKBACK, as_of=run.as_of
    )
    if rows.empty or rows["decision"].iloc[0] == "DEPLOY":
        return None
    newest = rows.iloc[0]
    return RefusedChallenger(
        version=int(newest["version"]),
        decision=newest["decision"],
        days_ago=(run.as_of - newest["timestamp"].to_pydatetime()) / DAY,
    )


def _r2_before(run: MonitorRun) -> float | None:
    rows = run.warehouse.query("monitor_previous_r2", since=run.as_of - LOOKBACK, as_of=run.as_of)
    return None if rows.empty else float(rows["r2"].iloc[0])


def _start_once(request: MonitorRequest, run: MonitorRun, decision: RetrainDecision) -> str:
    """Start the workflow once per message and return the execution's name, recorded under the message's id.

    If the run is killed between starting and recording, the next delivery starts a second execution; the workflow's
    lease lets only one of them train.
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
    execution = workflows.start_execution(
        settings.project, settings.location, settings.workflow, argument, label=run.execution_id
    )
    record = {"execution": execution, "argument": argument.model_dump()}
    with suppress(ObjectChanged):  # two deliveries at once: the lease lets only one execution train
        reports.write_json(name, record, if_generation=0)
    return execution
