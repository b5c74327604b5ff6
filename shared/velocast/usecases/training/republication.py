"""An earlier champion put back as it was published: the same bytes, without fitting it again."""

from __future__ import annotations

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion, SummaryEntry
from velocast.adapters.gcs import Objects
from velocast.adapters.mlflow_registry import Registry
from velocast.core.datetimes import rfc3339
from velocast.core.errors import ModelUnusable, ObjectMissing, PromotionRefused
from velocast.core.settings import JobSettings
from velocast.usecases import model_loading
from velocast.usecases.context import Run
from velocast.usecases.training.stored.records import Decision, Training


def earlier_champion(
    run: Run[JobSettings],
    objects: Objects,
    registry: Registry,
    training: Training,
    serving: Champion | None,
) -> Champion:
    """Return the champion that a version was, to be published again as of now.

    Raises PromotionRefused when the version serves already, was never published, or cannot be used any more: its bytes
    are missing or altered, or this code computes other features than it was trained on.
    """
    version = training.version
    if serving is not None and serving.version == version:
        raise PromotionRefused(f"version {version} is the champion already; name another one")
    entry = _entry(objects, training)
    tags = registry.version_info(training.task, version).tags
    if "refit_sha256" not in tags or entry is None:
        raise PromotionRefused(
            f"version {version} was never the champion, so there is nothing to put back; to promote it, run "
            f"velocast-promote --version={version}"
        )
    champion = Champion(
        version=version,
        run_id=training.run_id,
        task=training.task,
        kind=training.kind,
        artifact_uri=tags["refit_uri"],
        sha256=tags["refit_sha256"],
        feature_definition=training.feature_definition,
        library_versions=entry.library_versions,
        metrics=entry.metrics,
        trained_from=training.counts.first,
        trained_until=tags["trained_until"],
        published_at=rfc3339(run.as_of),
        baseline=training.baseline.test.sha256,
        judged_run_id=training.run_id,
        judged_sha256=training.artifact.sha256,
    )
    _check_usable(objects, champion)
    return champion


def without_comparison(decision: Decision) -> Decision:
    """Return the decision about an earlier champion without what it was compared with then, which serves no more."""
    return decision.model_copy(
        update={
            "reason": f"rollback: version {decision.version} is the champion again, as it was published before",
            "gain": None,
            "champion": None,
            "baseline": decision.baseline.model_copy(update={"old": None}),
            "current": decision.current.model_copy(update={"old": None}),
        }
    )


def _entry(objects: Objects, training: Training) -> SummaryEntry | None:
    for entry in champion_manifest.read_summary(objects):
        if (entry.task, entry.version) == (training.task, training.version):
            return entry
    return None


def _check_usable(objects: Objects, champion: Champion) -> None:
    reason = model_loading.incompatibility(champion)
    if reason is None:
        try:
            model_loading.read_version(objects, champion)
        except (ObjectMissing, ModelUnusable) as exc:
            reason = f"{exc}"
    if reason is not None:
        raise PromotionRefused(
            f"version {champion.version} cannot serve any more: {reason}. Roll back to another version, or deploy the "
            "code that trained it first"
        )
