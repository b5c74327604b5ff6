"""What one run of `monitor` found, and how it is told: gauges, notices, audit rows.

What is unknown has no gauge and raises no notice; its row says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import HOUR, rfc3339
from velocast.core.notices import DataStale, DriftDetected, Notice, PerformanceDegraded
from velocast.core.settings import MonitorSettings
from velocast.core.unknown import Unknown
from velocast.model.decisions.retraining import RetrainDecision
from velocast.model.evaluation.metrics import Validation
from velocast.usecases.context import Run
from velocast.usecases.monitoring.drift_check import Drift
from velocast.usecases.monitoring.validation import Checked

MonitorRun = Run[MonitorSettings]


@dataclass(frozen=True)
class Counted:
    """What is stored: local days with usable counts, first and newest hour, counters of the last weeks."""

    days: int
    first_at: datetime | None
    newest_at: datetime | None
    recent_counters: int


@dataclass(frozen=True)
class Findings:
    """Everything one run found."""

    champion: Champion | None
    counted: Counted
    checked: Checked
    drift: Drift
    decision: RetrainDecision
    r2_before: float | None
    execution: str | None = None


def measure(run: MonitorRun, found: Findings) -> None:
    """Set the gauges of what is known; what is unknown has none."""
    gauges: dict[str, float | None] = {
        "bike/champion_age_seconds": champion_manifest.age_seconds(found.champion, run.as_of)
    }
    if isinstance(checked := found.checked.finding, Validation):
        gauges |= {
            "bike/forecast_rmse": checked.rmse,
            "bike/forecast_mae": checked.scores.mae,
            "bike/forecast_r2": checked.r2,
            "bike/forecast_skill": checked.skill,
            "bike/interval_coverage": checked.scores.coverage,
        }
    if not isinstance(drift := found.drift.finding, Unknown):
        gauges |= {
            "bike/drift_share": drift.share,
            "bike/drifted_features": len(drift.drifted),
            "bike/drift_detected": _drift_detected(run, drift.share),
        }
    for name, value in gauges.items():
        if value is not None:
            run.metrics.set(name, value)


def _drift_detected(run: MonitorRun, share: float) -> bool:
    return share >= run.settings.thresholds.drift_critical


def notices(run: MonitorRun, found: Findings) -> Iterator[Notice]:
    """Give what a person should know: stale data, drift, a champion that does worse than it should."""
    if notice := _stale(run, found.counted.newest_at):
        yield notice
    if notice := _drifted(run, found.drift):
        yield notice
    if notice := _degraded(run, found):
        yield notice


def _stale(run: MonitorRun, newest: datetime | None) -> Notice | None:
    stale_days = run.settings.thresholds.stale_days
    if newest is not None and run.as_of - newest <= timedelta(days=stale_days):
        return None
    return DataStale(
        **_told(run, "data_stale"),
        newest_count_at=newest and rfc3339(newest),
        age_hours=None if newest is None else round((run.as_of - newest) / HOUR, 1),
        reason="no usable count of the last year is stored"
        if newest is None
        else f"no usable count for more than {stale_days} days; look at fetch's last runs",
    )


def _drifted(run: MonitorRun, drift: Drift) -> Notice | None:
    finding = drift.finding
    if isinstance(finding, Unknown) or finding.share < run.settings.thresholds.drift_warning:
        return None
    return DriftDetected(
        **_told(run, "drift_detected"),
        share=finding.share,
        drifted_columns=tuple(finding.drifted),
        columns=len(finding.columns),
        reference=finding.reference,
        report_uri=drift.report_uri or "",
    )


def _degraded(run: MonitorRun, found: Findings) -> Notice | None:
    checked, limits = found.checked.finding, run.settings.thresholds
    if found.champion is None or isinstance(checked, Unknown) or checked.r2 is None:
        return None
    loses = checked.skill is not None and checked.skill < 0
    if checked.r2 >= limits.r2_warning and checked.rmse <= limits.rmse_threshold and not loses:
        return None
    return PerformanceDegraded(
        **_told(run, "performance_degraded"),
        version=found.champion.version,
        r2=checked.r2,
        r2_before=found.r2_before,
        rmse=checked.rmse,
        skill=checked.skill,
        decision=found.decision.decision,
    )


def _told(run: MonitorRun, event: str) -> dict[str, str]:
    return {
        "event_id": f"{run.runtime.component}:{run.execution_id}:{event}",
        "occurred_at": rfc3339(run.as_of),
    }


def audit_rows(run: MonitorRun, found: Findings) -> list[AuditRow]:
    """Return the VALIDATION and the DRIFT row; both carry the decision."""
    return [_validation_row(run, found), _drift_row(run, found)]


def _validation_row(run: MonitorRun, found: Findings) -> AuditRow:
    checked = found.checked.finding
    details: dict[str, Any] = {
        "version": found.checked.version,
        "decision_reason": found.decision.reason,
        "execution": found.execution,
        "history_days": found.counted.days,
        "newest_count_at": found.counted.newest_at,
        "r2_before": found.r2_before,
    }
    if isinstance(checked, Unknown):
        return _row(
            run,
            found,
            "VALIDATION",
            status="UNKNOWN",
            error_message=checked.reason,
            details=details,
        )
    return _row(
        run,
        found,
        "VALIDATION",
        r2=checked.r2,
        rmse=checked.rmse,
        forecast_skill=checked.skill,
        details=details
        | {"scores": checked.scores.model_dump(), "skill_days": run.settings.thresholds.skill_days},
    )


def _drift_row(run: MonitorRun, found: Findings) -> AuditRow:
    drift = found.drift.finding
    details = {"report": found.drift.report_uri, "decision_reason": found.decision.reason}
    if isinstance(drift, Unknown):
        return _row(
            run, found, "DRIFT", status="UNKNOWN", error_message=drift.reason, details=details
        )
    return _row(
        run,
        found,
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


def _row(run: MonitorRun, found: Findings, event_type: Any, **values: Any) -> AuditRow:
    return AuditRow(
        event_id=f"{run.runtime.component}:{run.execution_id}:{event_type.lower()}",
        timestamp=run.as_of,
        event_type=event_type,
        as_of=run.as_of,
        execution_id=run.execution_id,
        old_champion_run_id=found.champion.run_id if found.champion else None,
        retrain_decision=found.decision.decision,
        **values,
    )
