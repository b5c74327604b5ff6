"""Fits an evaluated challenger again on everything known, and makes it the champion."""

from __future__ import annotations

import hashlib

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.mlflow_registry import Registry
from velocast.core import kinds
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import HOUR, parse_instant, rfc3339
from velocast.core.errors import ModelUnusable, ObjectChanged, ObjectMissing, PromotionRefused
from velocast.core.requests import Message, PredictRequest
from velocast.core.settings import JobSettings
from velocast.model.learning.forecaster import library_versions
from velocast.usecases.context import Run
from velocast.usecases.forecasting import daily_forecast
from velocast.usecases.forecasting.in_tasks import handing_over
from velocast.usecases.training import (
    champion_agreement,
    frozen_inputs,
    promotion_reports,
    refit,
    republication,
)
from velocast.usecases.training.datasets.frozen_counts import FrozenCounts
from velocast.usecases.training.scores import challenger_metrics, deciding_score
from velocast.usecases.training.stored import model_io, run_store, version_summary
from velocast.usecases.training.stored.records import (
    Artifact,
    ChampionVersion,
    Decision,
    Promotion,
    PromotionPlan,
    Training,
)
from velocast.usecases.training.stored.run_store import RunStore


class PromoteRequest(Message):
    """Arguments of the job velocast-promote: the version of `velocast-<task>` to make the champion.

    as_published: put an earlier champion back as it was published, without fitting it again (a rollback).
    """

    version: int
    task: kinds.Task = "forecast"
    as_published: bool = False


def promote(request: PromoteRequest, run: Run[JobSettings]) -> list[AuditRow]:
    """Refit a version, publish it, forecast with it and report it; leaves `runs/<execution_id>/promotion.json`.

    Within a retraining the decision must be DEPLOY, and the champion must still be the one that the challenger was
    compared with. By hand (an execution without a decision) any evaluated version that was not trained in test mode may
    be promoted. Killed anywhere and run again with the same execution id, it ends in the same state. Of two at once,
    the one whose manifest was replaced is refused and leaves registry and summary to the other. Raises
    PromotionRefused, RegistryError, WarehouseError.
    """
    store, registry = RunStore(run), Registry(run.settings.mlflow_tracking_uri)
    training = run_store.training_of_version(store, registry, request.task, request.version)
    decision, by_hand = _decision(store, training)
    if request.as_published:
        decision = republication.without_comparison(decision)
    done = store.find(run_store.PROMOTION, Promotion)
    plan = store.find(run_store.PLAN, PromotionPlan)
    if plan is None and request.as_published:
        plan = _republication_plan(run, store, registry, training)
    elif plan is None:
        plan = _plan(run, store, training, decision, by_hand=by_hand)
    if done is None:
        _publish(store, plan)
        done = _finish(run, store, registry, training, decision, plan)
    promotion_reports.set_champion_gauges(run, decision)
    return promotion_reports.promotion_audit_rows(run, decision, plan.champion, done)


def _decision(store: RunStore, training: Training) -> tuple[Decision, bool]:
    """Return the decision about a version, and whether this promotion was started by hand."""
    if training.test_mode:
        raise PromotionRefused(
            f"version {training.version} was trained in test mode, on a sample, and must not serve; "
            "train without test_mode"
        )
    decision = store.find(run_store.DECISION, Decision)
    if decision is None:
        return _latest_decision(store, training), True
    decided_about = (decision.task, decision.version)
    if decided_about != (training.task, training.version) or decision.decision != "DEPLOY":
        raise PromotionRefused(
            f"execution {store.execution_id} decided {decision.decision} about {decision.task} version "
            f"{decision.version}, not DEPLOY about version {training.version}; promote it by hand if it must serve"
        )
    return decision, False


def _latest_decision(store: RunStore, training: Training) -> Decision:
    name = run_store.version_file(training.kind, training.run_id, run_store.DECISION)
    try:
        decision = Decision.model_validate(store.objects.read_json(name)[0])
    except ObjectMissing as exc:
        raise PromotionRefused(
            f"version {training.version} was never evaluated; run velocast-evaluate --version={training.version} first"
        ) from exc
    if deciding_score(decision.current.new) is None:
        raise PromotionRefused(
            f"version {training.version} has no {decision.measure} on test_current (its counts do not vary); "
            "evaluate it on other days"
        )
    return decision


def _plan(
    run: Run[JobSettings],
    store: RunStore,
    training: Training,
    decision: Decision,
    *,
    by_hand: bool,
) -> PromotionPlan:
    """Refit, compare the refit with the model that was evaluated, and record what will be published in whose place."""
    serving, generation = _serving(store, training.task)
    replaced = _champion_version(serving, generation)
    if not by_hand:
        _check_unchanged(decision, replaced)
    counts = frozen_inputs.counts_of_run(run, store)
    weather = frozen_inputs.weather_of_run(run, store)
    model, data = refit.refit_model(run, store, training, counts, weather)
    difference = refit.checked_difference(run, store, training, model)
    sha256 = hashlib.sha256(data).hexdigest()
    name = run_store.version_file(training.kind, training.run_id, f"refit-{sha256[:16]}.skops")
    artifact = model_io.store_model(store.objects, name, data)
    champion = _champion(run, training, decision, counts, artifact)
    plan = PromotionPlan(
        champion=champion, replaced=replaced, generation=generation, refit_difference=difference
    )
    return store.save_once(run_store.PLAN, plan)


def _republication_plan(
    run: Run[JobSettings], store: RunStore, registry: Registry, training: Training
) -> PromotionPlan:
    """Record which earlier champion will be put back in whose place."""
    serving, generation = _serving(store, training.task)
    replaced = _champion_version(serving, generation)
    champion = republication.earlier_champion(run, store.objects, registry, training, serving)
    plan = PromotionPlan(
        champion=champion,
        replaced=replaced,
        generation=generation,
        refit_difference=0.0,
        as_published=True,
    )
    return store.save_once(run_store.PLAN, plan)


def _serving(store: RunStore, task: str) -> tuple[Champion | None, int]:
    """Return the champion and the manifest's generation; a manifest that cannot be read may be replaced."""
    try:
        return champion_manifest.read_champion(store.objects, task)
    except ModelUnusable:
        return None, store.objects.read(champion_manifest.MANIFESTS[task]).generation


def _champion_version(champion: Champion | None, generation: int) -> ChampionVersion | None:
    if champion is None:
        return None
    return ChampionVersion(
        version=champion.version,
        run_id=champion.run_id,
        kind=champion.kind,
        generation=generation,
    )


def _check_unchanged(decision: Decision, replaced: ChampionVersion | None) -> None:
    if decision.champion_trouble is None and decision.champion != replaced:
        was, now = (c.version if c else "none" for c in (decision.champion, replaced))
        raise PromotionRefused(
            f"version {decision.version} was compared with champion {was}, but the champion is now {now} "
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
        metrics=challenger_metrics(decision),
        trained_from=counts.first,
        trained_until=rfc3339(parse_instant(counts.last) + HOUR),
        published_at=rfc3339(run.as_of),
        baseline=training.baseline.test.sha256,
        judged_run_id=training.run_id,
        judged_sha256=training.artifact.sha256,
    )


def _publish(store: RunStore, plan: PromotionPlan) -> None:
    """Write the manifest, unless an earlier try of this promotion has.

    Raises PromotionRefused when another champion was published since the plan was made.
    """
    try:
        champion_manifest.publish_champion(
            store.objects, plan.champion, if_generation=plan.generation
        )
    except ObjectChanged as exc:
        serving, generation = _serving(store, plan.champion.task)
        if serving != plan.champion:
            raise PromotionRefused(
                f"version {plan.champion.version} was to replace manifest generation {plan.generation}, which is "
                f"now {generation} (version {serving.version if serving else 'none'}); evaluate and promote again"
            ) from exc


def _finish(
    run: Run[JobSettings],
    store: RunStore,
    registry: Registry,
    training: Training,
    decision: Decision,
    plan: PromotionPlan,
) -> Promotion:
    """Do what follows from the new manifest; every step may be repeated."""
    champion = plan.champion
    tags = {"published_at": champion.published_at}
    if not plan.as_published:
        tags |= _tags(run, store, plan)
    registry.set_tags(training.task, training.version, tags)
    entry = version_summary.new_entry(training).model_copy(
        update={
            "metrics": champion.metrics,
            "decision": decision.decision,
            "artifact_uri": champion.artifact_uri,
            "sha256": champion.sha256,
            "library_versions": champion.library_versions,
        }
    )
    champion_manifest.upsert_summary(store.objects, entry)
    _lead_all(store, registry, plan)
    forecasts = _forecast(run)
    _lead_all(store, registry, plan)
    run.publish_notice(promotion_reports.promotion_notice(run, decision, plan))
    return store.save_once(
        run_store.PROMOTION,
        Promotion(
            execution_id=run.execution_id,
            version=training.version,
            run_id=training.run_id,
            replaced=plan.replaced,
            artifact=Artifact(uri=champion.artifact_uri, sha256=champion.sha256),
            refit_difference=plan.refit_difference,
            forecasts=forecasts,
            as_published=plan.as_published,
        ),
    )


def _forecast(run: Run[JobSettings]) -> int:
    """Publish the new champion's forecasts and return how many; 0 where the workflow makes them, in a large city."""
    if not handing_over.needs_tasks(run):
        return daily_forecast.publish_forecasts(run).forecasts
    handing_over.hand_over(PredictRequest(), run, of_the_day=False)
    return 0


def _lead_all(store: RunStore, registry: Registry, plan: PromotionPlan) -> None:
    """Make registry and summary follow the manifest. Raises PromotionRefused if it is another promotion's by now."""
    serving = champion_agreement.follow_manifest(store.objects, registry, plan.champion.task)
    if serving != plan.champion:
        now = f"version {serving.version}" if serving else "none"
        raise PromotionRefused(
            f"version {plan.champion.version} was published, but another promotion has replaced it before this one "
            f"ended: the champion is {now}, and registry and summary say so too; if version {plan.champion.version} "
            "must serve, promote it again"
        )


def _tags(run: Run[JobSettings], store: RunStore, plan: PromotionPlan) -> dict[str, str]:
    counts = store.find(run_store.FREEZE, FrozenCounts)
    named = {"refit_data.counts": counts.sha256} if counts else {}
    return {
        **named,
        "refit_data.weather": frozen_inputs.weather_of_run(run, store).sha256,
        "refit_uri": plan.champion.artifact_uri,
        "refit_sha256": plan.champion.sha256,
        "refit_difference": f"{plan.refit_difference:.4f}",
        "trained_until": plan.champion.trained_until,
    }
