"""Scores challenger and champion on the same rows of both test sets and decides."""

from __future__ import annotations

from typing import Any

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
from velocast.model.evaluation import reference_models
from velocast.model.evaluation.classification_metrics import BusyScores
from velocast.model.evaluation.metrics import Scores
from velocast.usecases.context import Run
from velocast.usecases.training import comparable_champion, model_io, run_store, scoring
from velocast.usecases.training.datasets import frames, frozen_counts, frozen_weather
from velocast.usecases.training.datasets.frames import Source
from velocast.usecases.training.records import MEASURES, BusyTrial, Decision, Training, Trial
from velocast.usecases.training.run_store import Records
from velocast.usecases.training.scores import measured, named_scores


class EvaluateRequest(Message):
    """Arguments of the job velocast-evaluate: the version to judge, of `velocast-<task>`."""

    version: int
    task: kinds.Task = "forecast"


def evaluate(request: EvaluateRequest, run: Run[JobSettings]) -> list[AuditRow]:
    """Judge a version and leave `runs/<execution_id>/decision.json`; tell of one that is skipped or rejected.

    Run again with the same execution id, the decision stands as it was taken. A champion that cannot be loaded counts
    as none, and the decision says so. Raises RegistryError, ModelUnusable (the challenger's own artifact),
    WarehouseError.
    """
    records, registry = Records(run), Registry(run.settings.mlflow_tracking_uri)
    decision = records.find(run_store.DECISION, Decision)
    if decision is not None:
        _check_same(request, run, decision)
    training = run_store.training_of(records, registry, request.task, request.version)
    if decision is None:
        decision = records.settle(run_store.DECISION, judge(run, records, training))
        _check_same(request, run, decision)
    _file(records, registry, training, decision)
    _tell(run, decision)
    return [_audit_row(run, decision)]


def _check_same(request: EvaluateRequest, run: Run[JobSettings], decision: Decision) -> None:
    if (decision.task, decision.version) != (request.task, request.version):
        raise EventError(
            f"execution {run.execution_id} has judged {decision.task} version {decision.version}, now asked for "
            f"{request.task} version {request.version}; give another --execution-id"
        )


def judge(run: Run[JobSettings], records: Records, training: Training) -> Decision:
    """Score a version and the champion on the same rows and decide; writes nothing but a frozen table."""
    challenger = model_io.load_model(records.objects, training.artifact)
    opponent = comparable_champion.find(run, records, training)
    source = source_of(run, training)
    beside = reference_models.calibrate_similar_days(
        frames.calibration_frame(
            source, training.windows.learnable, training.windows.calibrate_from
        )
    )
    made = [
        scoring.trial(frames.scoring_frame(source, days), challenger, champion, beside)
        for days, champion in (
            (training.windows.test_baseline, opponent.on_baseline),
            (training.windows.test_current, opponent.on_current),
        )
    ]
    return _decide(run, training, opponent, made[0], made[1])


def source_of(run: Run[JobSettings], training: Training) -> Source:
    """Return where a version's rows come from: the counts and the weather that were frozen for it."""
    table = frozen_counts.table_of(run, training.counts)
    weather = frozen_weather.table_of(run, training.weather) if training.weather else None
    return Source(
        run,
        table,
        training.counts.rows_a_day(run),
        training.counter_ids,
        training.test_mode,
        weather,
    )


def _decide(
    run: Run[JobSettings],
    training: Training,
    opponent: comparable_champion.Opponent,
    baseline: Trial | BusyTrial,
    current: Trial | BusyTrial,
) -> Decision:
    decided = deployment.decide_deployment(
        old_baseline=_known(baseline.old) if baseline.old else None,
        new_baseline=_known(baseline.new),
        old_current=_old_current(opponent, current),
        new_current=_known(current.new),
        old_skill=current.old.skill if isinstance(current.old, Scores) else None,
        thresholds=run.settings.thresholds,
        test_mode=training.test_mode,
        measure=MEASURES[training.task],
    )
    return Decision(
        execution_id=run.execution_id,
        decision=decided.decision,
        reason=_reason(decided.reason, opponent),
        version=training.version,
        run_id=training.run_id,
        kind=training.kind,
        task=training.task,
        test_mode=training.test_mode,
        gain=decided.gain,
        champion=opponent.judged,
        champion_trouble=opponent.trouble,
        baseline=baseline,
        current=current,
    )


def _reason(decided: str, opponent: comparable_champion.Opponent) -> str:
    return (
        f"{decided} The champion counts as none: {opponent.trouble}"
        if opponent.trouble
        else decided
    )


def _old_current(
    opponent: comparable_champion.Opponent, current: Trial | BusyTrial
) -> float | Unknown | None:
    if opponent.unfair:
        return Unknown(reason=opponent.unfair)
    return _known(current.old) if current.old else None


def _known(scores: Scores | BusyScores) -> float | Unknown:
    value = measured(scores)
    return Unknown(reason="the counts of the test do not vary") if value is None else value


def _file(records: Records, registry: Registry, training: Training, decision: Decision) -> None:
    """Enter the decision wherever the version is described."""
    metrics = metrics_of(decision)
    registry.log_metrics(training.run_id, metrics)
    registry.set_tags(training.task, training.version, _tags(decision))
    own = f"{run_store.folder(training.kind, training.run_id)}/{run_store.DECISION}"
    records.objects.write_json(own, decision.model_dump(mode="json"))
    if training.test_mode:
        return
    known = run_store.summary_entries(records.objects, training)
    entry = known[0] if known else run_store.summary_entry(training)
    update = {"metrics": metrics, "decision": decision.decision}
    champion_manifest.upsert_summary(records.objects, entry.model_copy(update=update))


def metrics_of(decision: Decision) -> dict[str, float]:
    """Return the challenger's scores on both tests as the manifest, the summary and MLflow name them."""
    current = named_scores("current", decision.current.new)
    return current | named_scores("baseline", decision.baseline.new)


def _tags(decision: Decision) -> dict[str, str]:
    against = decision.champion.version if decision.champion else "none"
    return {
        "decision": decision.decision,
        "decision_reason": decision.reason,
        "judged_against": str(against),
    }


def _tell(run: Run[JobSettings], decision: Decision) -> None:
    if not decision.test_mode and decision.task == "forecast":  # the gauges speak of counts
        _set_gauges(run, decision)
    if decision.decision == "DEPLOY":
        return
    run.tell(
        ChallengerRefused(
            event_id=f"evaluate:{run.execution_id}:refused",
            occurred_at=rfc3339(run.as_of),
            version=decision.version,
            kind=decision.kind,
            decision=decision.decision,
            reason=decision.reason,
            run_id=decision.run_id,
            old_r2=measured(decision.current.old) if decision.current.old else None,
            new_r2=measured(decision.current.new),
            measure=decision.measure,
        )
    )


def _set_gauges(run: Run[JobSettings], decision: Decision) -> None:
    for test, trial in (("baseline", decision.baseline), ("current", decision.current)):
        for role, scores in (("challenger", trial.new), ("champion", trial.old)):
            value = measured(scores) if scores is not None else None
            if value is not None:
                run.metrics.set("bike/model_r2", value, role=role, test=test)
    improvement = improvement_of(decision)
    if improvement is not None:
        run.metrics.set("bike/model_improvement_delta", improvement)


def improvement_of(decision: Decision) -> float | None:
    """Return new minus old R2 (or what stands for it) on test_current, None where one of them is not known."""
    new = measured(decision.current.new)
    old = measured(decision.current.old) if decision.current.old else None
    return None if old is None or new is None else new - old


def scores_row(decision: Decision) -> dict[str, Any]:
    """Return the columns of an audit row that compare two models; a classifier's have no R2, see the details."""
    names = {
        "old_champion_run_id": decision.champion.run_id if decision.champion else None,
        "new_champion_run_id": decision.run_id,
    }
    base, current = decision.baseline, decision.current
    if isinstance(base, BusyTrial) or isinstance(current, BusyTrial):
        return names
    new, old = current.new, current.old
    return names | {
        "old_r2_score": old.r2 if old else None,
        "new_r2_score": new.r2,
        "old_r2_baseline": base.old.r2 if base.old else None,
        "new_r2_baseline": base.new.r2,
        "model_improvement": improvement_of(decision),
    }


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
        **scores_row(decision),
    )
