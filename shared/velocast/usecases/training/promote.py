"""Fits a judged challenger again on everything known, and makes it the champion."""

from __future__ import annotations

import hashlib

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.mlflow_registry import Registry
from velocast.core import kinds
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import HOUR, parse_instant, rfc3339
from velocast.core.errors import ModelUnusable, ObjectChanged, ObjectMissing, PromotionRefused
from velocast.core.requests import Message
from velocast.core.settings import JobSettings
from velocast.model.learning.forecaster import library_versions
from velocast.usecases.context import Run
from velocast.usecases.forecasting import daily_forecast
from velocast.usecases.training import model_io, promotion_reports, refit, run_store
from velocast.usecases.training.datasets import frozen_counts
from velocast.usecases.training.datasets.frozen_counts import FrozenCounts
from velocast.usecases.training.evaluate import metrics_of
from velocast.usecases.training.records import Artifact, Decision, Judged, Plan, Promotion, Training
from velocast.usecases.training.run_store import Records
from velocast.usecases.training.scores import measured
from velocast.usecases.training.train import frozen_weather


class PromoteRequest(Message):
    """Arguments of the job velocast-promote: the version to make the champion, of `velocast-<task>`."""

    version: int
    task: kinds.Task = "forecast"


def promote(request: PromoteRequest, run: Run[JobSettings]) -> list[AuditRow]:
    """Refit a version, publish it, forecast with it and tell of it; leaves `runs/<execution_id>/promotion.json`.

    Within a retraining the decision must be DEPLOY and the champion still the one it was taken against; by hand (an
    execution without a decision) any judged version that was not trained in test mode may be promoted. Killed anywhere
    and run again with the same execution id, it ends in the same state. Raises PromotionRefused, RegistryError,
    WarehouseError.
    """
    records, registry = Records(run), Registry(run.settings.mlflow_tracking_uri)
    training = run_store.training_of(records, registry, request.task, request.version)
    decision, by_hand = _decision(records, training)
    done = records.find(run_store.PROMOTION, Promotion)
    if done is None:
        plan = records.find(run_store.PLAN, Plan)
        if plan is None:
            plan = _plan(run, records, training, decision, by_hand=by_hand)
        _publish(records, plan)
        done = _settle(run, records, registry, training, decision, plan)
    promotion_reports.measure(run, decision)
    return promotion_reports.audit_rows(run, decision, done)


def _decision(records: Records, training: Training) -> tuple[Decision, bool]:
    """Return the decision about a version, and whether this promotion was asked for by hand."""
    if training.test_mode:
        raise PromotionRefused(
            f"version {training.version} was trained in test mode on a sample and never serves; train without test_mode"
        )
    decision = records.find(run_store.DECISION, Decision)
    if decision is None:
        return _latest_decision(records, training), True
    judged = (decision.task, decision.version)
    if judged != (training.task, training.version) or decision.decision != "DEPLOY":
        raise PromotionRefused(
            f"execution {records.execution_id} decided {decision.decision} about {decision.task} version "
            f"{decision.version}, not DEPLOY about version {training.version}; promote it by hand if it must serve"
        )
    return decision, False


def _latest_decision(records: Records, training: Training) -> Decision:
    name = f"{run_store.folder(training.kind, training.run_id)}/{run_store.DECISION}"
    try:
        decision = Decision.model_validate(records.objects.read_json(name)[0])
    except ObjectMissing as exc:
        raise PromotionRefused(
            f"version {training.version} was never judged; run velocast-evaluate --version={training.version} first"
        ) from exc
    if measured(decision.current.new) is None:
        raise PromotionRefused(
            f"version {training.version} has no {decision.measure} on test_current (its counts do not vary); "
            "evaluate it on other days"
        )
    return decision


def _plan(
    run: Run[JobSettings],
    records: Records,
    training: Training,
    decision: Decision,
    *,
    by_hand: bool,
) -> Plan:
    """Refit, compare with what was judged, and settle what is to be published in whose place."""
    serving, generation = _serving(records, training.task)
    replaced = _judged(serving, generation)
    if not by_hand:
        _check_unchanged(decision, replaced)
    counts = records.find(run_store.FREEZE, FrozenCounts) or records.settle(
        run_store.FREEZE, frozen_counts.freeze(run)
    )
    weather = frozen_weather(run, records)
    model, data = refit.fitted(run, records, training, counts, weather)
    difference = refit.checked_difference(run, records, training, model)
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"{run_store.folder(training.kind, training.run_id)}/refit-{sha256[:16]}.skops"
    artifact = model_io.store_model(records.objects, name, data)
    champion = _champion(run, training, decision, counts, artifact)
    plan = Plan(
        champion=champion, replaced=replaced, generation=generation, refit_difference=difference
    )
    return records.settle(run_store.PLAN, plan)


def _serving(records: Records, task: str) -> tuple[Champion | None, int]:
    """Return the champion and the manifest's generation; a manifest nobody can read may be replaced."""
    try:
        return champion_manifest.read_champion(records.objects, task)
    except ModelUnusable:
        return None, records.objects.read(champion_manifest.MANIFESTS[task]).generation


def _judged(champion: Champion | None, generation: int) -> Judged | None:
    if champion is None:
        return None
    return Judged(
        version=champion.version,
        run_id=champion.run_id,
        kind=champion.kind,
        generation=generation,
    )


def _check_unchanged(decision: Decision, replaced: Judged | None) -> None:
    if decision.champion_trouble is None and decision.champion != replaced:
        was, now = (c.version if c else "none" for c in (decision.champion, replaced))
        raise PromotionRefused(
            f"version {decision.version} was judged against champion {was}, the champion now is {now} "
            f"(generation {replaced.generation if replaced else 0}); evaluate it again"
        )


def _champion(
    run: Run[JobSettings],
    training: Training,
    decision: Decision,
    counts: FrozenCounts,
    artifact: Artifact,
) -> Champion:
    return Champion(
        version=training.version,
        run_id=training.run_id,
        task=training.task,
        kind=training.kind,
        artifact_uri=artifact.uri,
        sha256=artifact.sha256,
        feature_definition=training.feature_definition,
        library_versions=library_versions(),
        metrics=metrics_of(decision),
        trained_from=counts.first,
        trained_until=rfc3339(parse_instant(counts.last) + HOUR),
        published_at=rfc3339(run.as_of),
        baseline=training.baseline.test.sha256,
        judged_run_id=training.run_id,
        judged_sha256=training.artifact.sha256,
    )


def _publish(records: Records, plan: Plan) -> None:
    """Move the manifest; nothing to do when an earlier try of this promotion has.

    Raises PromotionRefused when another champion was published since the plan was made.
    """
    try:
        champion_manifest.publish_champion(
            records.objects, plan.champion, if_generation=plan.generation
        )
    except ObjectChanged as exc:
        serving, generation = _serving(records, plan.champion.task)
        if serving != plan.champion:
            raise PromotionRefused(
                f"version {plan.champion.version} was to replace manifest generation {plan.generation}, it is "
                f"{generation} now (version {serving.version if serving else 'none'}); evaluate and promote again"
            ) from exc


def _settle(
    run: Run[JobSettings],
    records: Records,
    registry: Registry,
    training: Training,
    decision: Decision,
    plan: Plan,
) -> Promotion:
    """Do what follows from the manifest's move; each of these may be done twice."""
    champion = plan.champion
    registry.set_tags(training.task, training.version, _tags(run, records, plan))
    registry.set_alias(training.task, run_store.CHAMPION, training.version)
    entry = run_store.summary_entry(training).model_copy(
        update={
            "metrics": champion.metrics,
            "decision": decision.decision,
            "is_champion": True,
            "artifact_uri": champion.artifact_uri,
            "sha256": champion.sha256,
            "library_versions": champion.library_versions,
        }
    )
    champion_manifest.upsert_summary(records.objects, entry)
    published = daily_forecast.publish_forecasts(run)
    run.tell(promotion_reports.notice(run, decision, plan))
    return records.settle(
        run_store.PROMOTION,
        Promotion(
            execution_id=run.execution_id,
            version=training.version,
            run_id=training.run_id,
            replaced=plan.replaced,
            artifact=Artifact(uri=champion.artifact_uri, sha256=champion.sha256),
            refit_difference=plan.refit_difference,
            forecasts=published.forecasts,
        ),
    )


def _tags(run: Run[JobSettings], records: Records, plan: Plan) -> dict[str, str]:
    counts = records.find(run_store.FREEZE, FrozenCounts)
    named = {"refit_data.counts": counts.sha256} if counts else {}
    return {
        **named,
        "refit_data.weather": frozen_weather(run, records).sha256,
        "refit_uri": plan.champion.artifact_uri,
        "refit_sha256": plan.champion.sha256,
        "refit_difference": f"{plan.refit_difference:.4f}",
        "trained_until": plan.champion.trained_until,
        "published_at": plan.champion.published_at,
    }
