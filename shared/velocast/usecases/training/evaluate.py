"""Scores challenger and champion on the same rows of both test sets, and decides between them."""

from __future__ import annotations

from velocast.adapters import champion_manifest
from velocast.adapters.mlflow_registry import Registry
from velocast.core import kinds
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import rfc3339
from velocast.core.errors import EventError
from velocast.core.notices import ChallengerRefused
from velocast.core.requests import Message
from velocast.core.settings import JobSettings
from velocast.core.unknown import Unknown
from velocast.model.decisions import deployment
from velocast.model.evaluation.classification_metrics import BusyScores
from velocast.model.evaluation.metrics import Scores
from velocast.usecases.context import Run
from velocast.usecases.training import comparable_champion, run_description, scoring
from velocast.usecases.training.comparable_champion import ComparedChampion
from velocast.usecases.training.datasets import frames
from velocast.usecases.training.scores import (
    audit_columns,
    challenger_metrics,
    deciding_score,
    improvement_of,
)
from velocast.usecases.training.stored import kept_rows, model_io, run_store, version_summary
from velocast.usecases.training.stored.records import (
    MEASURES,
    BusyTestScores,
    Decision,
    TestScores,
    Training,
)
from velocast.usecases.training.stored.run_store import RunStore


class EvaluateRequest(Message):
    """Arguments of the job velocast-evaluate: the version of `velocast-<task>` to evaluate."""

    version: int
    task: kinds.Task = "forecast"


def evaluate(request: EvaluateRequest, run: Run[JobSettings]) -> list[AuditRow]:
    """Evaluate a version, leave `runs/<execution_id>/decision.json`, and publish a notice unless it may be deployed.

    Run again with the same execution id, it keeps the decision as it was taken. A champion that cannot be loaded counts
    as none, and the decision says so. Raises RegistryError, ModelUnusable (the challenger's own model),
    WarehouseError; EventError when the execution has evaluated another version.
    """
    store, registry = RunStore(run), Registry(run.settings.mlflow_tracking_uri)
    decision = store.find(run_store.DECISION, Decision)
    if decision is not None:
        _check_same(request, run, decision)
    training = run_store.training_of_version(store, registry, request.task, request.version)
    if decision is None:
        decision = store.save_once(run_store.DECISION, judge(run, store, training))
        _check_same(request, run, decision)
    _record_decision(store, registry, training, decision)
    _publish(run, decision)
    return [_audit_row(run, decision)]


def _check_same(request: EvaluateRequest, run: Run[JobSettings], decision: Decision) -> None:
    if (decision.task, decision.version) != (request.task, request.version):
        raise EventError(
            f"execution {run.execution_id} has evaluated {decision.task} version {decision.version}; to evaluate "
            f"{request.task} version {request.version}, give another --execution-id"
        )


def judge(run: Run[JobSettings], store: RunStore, training: Training) -> Decision:
    """Score a version and the champion on the same rows and decide; writes only tables that have expired."""
    challenger = model_io.load_model(store.objects, training.artifact)
    champion = comparable_champion.find(run, store, training)
    similar_days = kept_rows.similar_days_errors(run, training, challenger)
    baseline = scoring.score_test(
        frames.scoring_frame(kept_rows.source_of(run, training), training.windows.test_baseline),
        challenger,
        champion.on_baseline,
        similar_days,
    )
    current = scoring.score_test(
        kept_rows.rows_of_test_current(run, store, training),
        challenger,
        champion.on_current,
        similar_days,
    )
    return _decide(run, training, champion, baseline, current)


def _decide(
    run: Run[JobSettings],
    training: Training,
    champion: ComparedChampion,
    baseline: TestScores | BusyTestScores,
    current: TestScores | BusyTestScores,
) -> Decision:
    decided = deployment.decide_deployment(
        old_baseline=_known(baseline.old) if baseline.old else None,
        new_baseline=_known(baseline.new),
        old_current=_old_current(champion, current),
        new_current=_known(current.new),
        reference=current.reference,
        thresholds=run.settings.thresholds,
        test_mode=training.test_mode,
        measure=MEASURES[training.task],
    )
    return Decision(
        execution_id=run.execution_id,
        decision=decided.decision,
        reason=_reason(decided.reason, champion),
        version=training.version,
        run_id=training.run_id,
        kind=training.kind,
        task=training.task,
        test_mode=training.test_mode,
        gain=decided.gain,
        champion=champion.version,
        champion_trouble=champion.problem,
        baseline=baseline,
        current=current,
    )


def _reason(decided: str, champion: ComparedChampion) -> str:
    return (
        f"{decided} The champion is treated as missing: {champion.problem}"
        if champion.problem
        else decided
    )


def _old_current(
    champion: ComparedChampion, current: TestScores | BusyTestScores
) -> float | Unknown | None:
    if champion.unfair:
        return Unknown(reason=champion.unfair)
    return _known(current.old) if current.old else None


def _known(scores: Scores | BusyScores) -> float | Unknown:
    value = deciding_score(scores)
    return Unknown(reason="the counts of the test do not vary") if value is None else value


def _record_decision(
    store: RunStore, registry: Registry, training: Training, decision: Decision
) -> None:
    """Write the decision wherever the version is described."""
    metrics = challenger_metrics(decision)
    registry.log_metrics(training.run_id, metrics)
    registry.set_tags(training.task, training.version, _tags(decision))
    own = run_store.version_file(training.kind, training.run_id, run_store.DECISION)
    store.objects.write_json(own, decision.model_dump(mode="json"))
    registry.describe_run(
        training.run_id,
        name=run_description.run_name(training, decision),
        text=run_description.run_text(training, decision, record=store.objects.uri(own)),
    )
    if training.test_mode:
        return
    known = version_summary.find_entry(store.objects, training)
    entry = known or version_summary.new_entry(training)
    update = {
        "metrics": metrics,
        "decision": decision.decision,
        "decision_reason": decision.reason,
    }
    champion_manifest.upsert_summary(store.objects, entry.model_copy(update=update))


def _tags(decision: Decision) -> dict[str, str]:
    against = decision.champion.version if decision.champion else "none"
    return {
        "decision": decision.decision,
        "decision_reason": decision.reason,
        "judged_against": str(against),
    }


def _publish(run: Run[JobSettings], decision: Decision) -> None:
    if not decision.test_mode and decision.task == "forecast":  # the gauges are about counts
        _set_gauges(run, decision)
    if decision.decision == "DEPLOY":
        return
    run.publish_notice(
        ChallengerRefused(
            event_id=f"evaluate:{run.execution_id}:refused",
            occurred_at=rfc3339(run.as_of),
            version=decision.version,
            kind=decision.kind,
            decision=decision.decision,
            reason=decision.reason,
            run_id=decision.run_id,
            old_r2=deciding_score(decision.current.old) if decision.current.old else None,
            new_r2=deciding_score(decision.current.new),
            measure=decision.measure,
        )
    )


def _set_gauges(run: Run[JobSettings], decision: Decision) -> None:
    for test, scored in (("baseline", decision.baseline), ("current", decision.current)):
        for role, scores in (("challenger", scored.new), ("champion", scored.old)):
            value = deciding_score(scores) if scores is not None else None
            if value is not None:
                run.metrics.set("bike/model_r2", value, role=role, test=test)
    improvement = improvement_of(decision)
    if improvement is not None:
        run.metrics.set("bike/model_improvement_delta", improvement)


def _audit_row(run: Run[JobSettings], decision: Decision) -> AuditRow:
    # A DEPLOY is a deployment only once promote has done it; until then it is a step of the training.
    refused = decision.decision != "DEPLOY"
    return AuditRow(
        event_id=f"evaluate:{run.execution_id}:{'deployment' if refused else 'training'}",
        timestamp=run.as_of,
        event_type="DEPLOYMENT" if refused else "TRAINING",
        as_of=run.as_of,
        execution_id=run.execution_id,
        deployment_decision=decision.decision if refused else None,
        details=decision.model_dump(mode="json"),
        **audit_columns(decision),
    )
