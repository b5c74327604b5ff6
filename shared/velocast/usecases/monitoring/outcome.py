"""The result of one `monitor` run, and how it is reported: gauges, notices, audit rows.

An unknown result sets no gauge and publishes no notice; its audit row gives the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from velocast.adapters import champion_manifest
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import HOUR, rfc3339
from velocast.core.notices import DataStale, DriftDetected, Notice, PerformanceDegraded
from velocast.core.settings import MonitorSettings
from velocast.core.unknown import Unknown
from velocast.model.decisions.retraining import RetrainDecision
from velocast.model.evaluation.validation import Validation
from velocast.usecases.context import Run
from velocast.usecases.model_loading import LoadedChampion
from velocast.usecases.monitoring.drift_check import DriftCheck
from velocast.usecases.monitoring.validation import ChampionValidation

MonitorRun = Run[MonitorSettings]


@dataclass(frozen=True)
class CountHistory:
    """The stored history: number of local days with usable counts, first and newest hour, recently active counters.

    recent_counters: without those that others continue, which get no forecast.
    """

    days: int
    first_at: datetime | None
    newest_at: datetime | None
    recent_counters: int


@dataclass(frozen=True)
class MonitoringResult:
    """The results of all checks, the decision, and the workflow execution it started.

    serving: the model that was validated, which is not the champion where that cannot be used.
    """

    serving: LoadedChampion
    history: CountHistory
    validation: ChampionValidation
    drift: DriftCheck
    decision: RetrainDecision
    r2_before: float | None
    execution: str | None = None


def set_monitoring_gauges(run: MonitorRun, result: MonitoringResult) -> None:
    """Set the gauges of all known results."""
    gauges: dict[str, float | None] = {
        "bike/champion_age_seconds": champion_manifest.age_seconds(
            result.serving.manifest, run.as_of
        )
    }
    if isinstance(checked := result.validation.result, Validation):
        gauges |= {
            "bike/forecast_rmse": checked.rmse,
            "bike/forecast_mae": checked.scores.mae,
            "bike/forecast_r2": checked.r2,
            "bike/forecast_skill": checked.skill,
            "bike/forecast_skill_reference": checked.skill_reference,
            "bike/forecast_relative_error": _known(checked.relative_error),
            "bike/interval_coverage": checked.scores.coverage,
        }
    if not isinstance(drift := result.drift.result, Unknown):
        gauges |= {
            "bike/drift_share": drift.share,
            "bike/drifted_features": len(drift.drifted),
            "bike/drift_detected": _drift_detected(run, drift.share),
        }
    for name, value in gauges.items():
        if value is not None:
            run.metrics.set(name, value)


def _known(value: float | Unknown) -> float | None:
    return None if isinstance(value, Unknown) else value


def _drift_detected(run: MonitorRun, share: float) -> bool:
    return share >= run.settings.thresholds.drift_critical


def notices(run: MonitorRun, result: MonitoringResult) -> Iterator[Notice]:
    """Yield the notices that are due: stale data, drift, degraded performance of the champion."""
    if notice := _stale(run, result.history.newest_at):
        yield notice
    if notice := _drifted(run, result.drift):
        yield notice
    if notice := _degraded(run, result):
        yield notice


def _stale(run: MonitorRun, newest: datetime | None) -> Notice | None:
    stale_days = run.settings.thresholds.stale_days
    if newest is not None and run.as_of - newest <= timedelta(days=stale_days):
        return None
    return DataStale(
        **_notice_identity(run, "data_stale"),
        newest_count_at=newest and rfc3339(newest),
        age_hours=None if newest is None else round((run.as_of - newest) / HOUR, 1),
        reason="no usable count from the last year is stored"
        if newest is None
        else f"no usable count for more than {stale_days} days; check the last runs of fetch",
    )


def _drifted(run: MonitorRun, drift: DriftCheck) -> Notice | None:
    result = drift.result
    if isinstance(result, Unknown) or result.share < run.settings.thresholds.drift_warning:
        return None
    return DriftDetected(
        **_notice_identity(run, "drift_detected"),
        share=result.share,
        drifted_columns=tuple(result.drifted),
        columns=len(result.columns),
        reference=result.reference,
        report_uri=drift.report_uri or "",
    )


def _degraded(run: MonitorRun, result: MonitoringResult) -> Notice | None:
    checked, limits = result.validation.result, run.settings.thresholds
    if result.serving.model is None or isinstance(checked, Unknown) or checked.r2 is None:
        return None
    skill, error = checked.skill_reference, _known(checked.relative_error)
    concerns = (
        checked.r2 < limits.r2_warning,
        limits.rmse_threshold is not None and checked.rmse > limits.rmse_threshold,
        skill is not None and skill < 0,
        error is not None and error > limits.relative_error_warning,
    )
    if not any(concerns):
        return None
    return PerformanceDegraded(
        **_notice_identity(run, "performance_degraded"),
        version=result.serving.version,
        r2=checked.r2,
        r2_before=result.r2_before,
        rmse=checked.rmse,
        skill=checked.skill,
        skill_reference=skill,
        reference=checked.reference.reference if checked.reference else None,
        relative_error=error,
        decision=result.decision.decision,
    )


def _notice_identity(run: MonitorRun, event: str) -> dict[str, str]:
    return {
        "event_id": f"{run.runtime.component}:{run.execution_id}:{event}",
        "occurred_at": rfc3339(run.as_of),
    }


def monitoring_audit_rows(run: MonitorRun, result: MonitoringResult) -> list[AuditRow]:
    """Return the VALIDATION and the DRIFT row; both contain the decision."""
    return [_validation_row(run, result), _drift_row(run, result)]


def _validation_row(run: MonitorRun, result: MonitoringResult) -> AuditRow:
    checked = result.validation.result
    details: dict[str, Any] = {
        "version": result.validation.version,
        "decision_reason": result.decision.reason,
        "execution": result.execution,
        "history_days": result.history.days,
        "newest_count_at": result.history.newest_at,
        "r2_before": result.r2_before,
    }
    if isinstance(checked, Unknown):
        return _row(
            run,
            result,
            "VALIDATION",
            status="UNKNOWN",
            error_message=checked.reason,
            details=details,
        )
    return _row(
        run,
        result,
        "VALIDATION",
        r2=checked.r2,
        rmse=checked.rmse,
        forecast_skill=checked.skill,
        details=details
        | {
            "scores": checked.scores.model_dump(),
            "skill_days": run.settings.thresholds.skill_days,
            "skill_reference": checked.skill_reference,
            "reference": checked.reference.reference if checked.reference else None,
            "relative_error": _known(checked.relative_error),
            "relative_error_unknown": checked.relative_error.reason
            if isinstance(checked.relative_error, Unknown)
            else None,
        },
    )


def _drift_row(run: MonitorRun, result: MonitoringResult) -> AuditRow:
    drift = result.drift.result
    details = {"report": result.drift.report_uri, "decision_reason": result.decision.reason}
    if isinstance(drift, Unknown):
        return _row(
            run, result, "DRIFT", status="UNKNOWN", error_message=drift.reason, details=details
        )
    return _row(
        run,
        result,
        "DRIFT",
        drift_detected=_drift_detected(run, drift.share),
        drift_share=drift.share,
        drifted_features_count=len(drift.drifted),
        details=details
        | {
            "drifted": list(drift.drifted),
            "columns": drift.columns,
            "missing": list(drift.missing),
            "reference": drift.reference,
        },
    )


def _row(run: MonitorRun, result: MonitoringResult, event_type: Any, **values: Any) -> AuditRow:
    return AuditRow(
        event_id=f"{run.runtime.component}:{run.execution_id}:{event_type.lower()}",
        timestamp=run.as_of,
        event_type=event_type,
        as_of=run.as_of,
        execution_id=run.execution_id,
        old_champion_run_id=result.serving.run_id,
        retrain_decision=result.decision.decision,
        **values,
    )
