"""The reports of a promotion: the notice, the gauges, the audit rows."""

from __future__ import annotations

from velocast.adapters.champion_manifest import Champion
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import rfc3339
from velocast.core.notices import ChampionPromoted
from velocast.core.settings import JobSettings
from velocast.core.unknown import Unknown
from velocast.model.evaluation.metrics import Scores
from velocast.usecases.context import Run
from velocast.usecases.training.scores import audit_columns, deciding_score, improvement_of
from velocast.usecases.training.stored.records import Decision, Promotion, PromotionPlan


def promotion_notice(
    run: Run[JobSettings], decision: Decision, plan: PromotionPlan
) -> ChampionPromoted:
    """Return the notice of a promotion, which `notify` posts."""
    old, new = decision.current.old, decision.current.new
    return ChampionPromoted(
        event_id=f"promote:{run.execution_id}:promoted",
        occurred_at=rfc3339(run.as_of),
        version=plan.champion.version,
        kind=plan.champion.kind,
        decision=decision.decision,
        reason=decision.reason,
        old_run_id=plan.replaced.run_id if plan.replaced else None,
        new_run_id=plan.champion.run_id,
        old_r2=deciding_score(old) if old else None,
        new_r2=deciding_score(new),  # never None here: without it nothing is promoted
        gain_absolute=improvement_of(decision),
        gain_relative=decision.gain,
        dataset=plan.champion.baseline,
        measure=decision.measure,
    )


def set_champion_gauges(run: Run[JobSettings], decision: Decision) -> None:
    """Set the champion's gauges to the new champion's scores on test_current: they still show its predecessor's."""
    new = decision.current.new
    if not isinstance(new, Scores):
        return
    gauges = {
        "bike/forecast_rmse": new.rmse,
        "bike/forecast_mae": new.mae,
        "bike/forecast_r2": new.r2,
        "bike/forecast_skill": new.skill,
        "bike/forecast_skill_reference": _skill_reference(decision),
        "bike/interval_coverage": new.coverage,
        "bike/champion_age_seconds": 0.0,
    }
    for name, value in gauges.items():
        if value is not None:
            run.metrics.set(name, value)


def _skill_reference(decision: Decision) -> float | None:
    reference = decision.current.reference
    return None if isinstance(reference, Unknown) else reference.skill


def promotion_audit_rows(
    run: Run[JobSettings], decision: Decision, champion: Champion, done: Promotion
) -> list[AuditRow]:
    """Return the row of the deployment and, for a forecaster, one of its validation on test_current.

    The deployment's row holds the whole manifest, so that a later run can forecast a past day with its champion.
    """
    new = decision.current.new
    deployment = AuditRow(
        event_id=f"promote:{run.execution_id}:deployment",
        timestamp=run.as_of,
        event_type="DEPLOYMENT",
        as_of=run.as_of,
        execution_id=run.execution_id,
        deployment_decision="DEPLOY",
        details=done.model_dump(mode="json")
        | {
            "task": decision.task,
            "reason": decision.reason,
            "gain": decision.gain,
            "champion": champion.model_dump(mode="json"),
        },
        **audit_columns(decision)
        | {"old_champion_run_id": done.replaced.run_id if done.replaced else None},
    )
    if not isinstance(new, Scores):
        return [deployment]
    validation = AuditRow(
        event_id=f"promote:{run.execution_id}:validation",
        timestamp=run.as_of,
        event_type="VALIDATION",
        as_of=run.as_of,
        execution_id=run.execution_id,
        new_champion_run_id=done.run_id,
        r2=new.r2,
        rmse=new.rmse,
        forecast_skill=new.skill,
        details={
            "version": done.version,
            "on": "test_current",
            "scores": new.model_dump(),
            "reference": decision.current.reference.model_dump(),
        },
    )
    return [deployment, validation]
