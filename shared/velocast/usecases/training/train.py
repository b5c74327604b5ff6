"""Fits a challenger on everything known except the two test sets, and registers it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pandas as pd

from velocast.adapters import champion_manifest
from velocast.adapters.mlflow_registry import DatasetUse, LoggedRun, Registry
from velocast.core import kinds
from velocast.core.audit_row import AuditRow
from velocast.core.code_version import code_version
from velocast.core.datetimes import rfc3339
from velocast.core.requests import Message
from velocast.core.settings import JobSettings
from velocast.model.evaluation import classification_metrics, metrics
from velocast.model.learning import models
from velocast.model.learning.forecaster import library_versions
from velocast.usecases.context import Run
from velocast.usecases.training import model_io, run_store
from velocast.usecases.training import plots as training_plots
from velocast.usecases.training.datasets import baseline as baselines
from velocast.usecases.training.datasets import frames, frozen_counts
from velocast.usecases.training.datasets import frozen_weather as weather_datasets
from velocast.usecases.training.datasets.baseline import Baseline
from velocast.usecases.training.datasets.frames import Source
from velocast.usecases.training.datasets.frozen_counts import FrozenCounts
from velocast.usecases.training.datasets.frozen_weather import FrozenWeather
from velocast.usecases.training.datasets.windows import Windows, cut_windows
from velocast.usecases.training.records import Artifact, Training
from velocast.usecases.training.run_store import Records
from velocast.usecases.training.scores import named_scores


class TrainRequest(Message):
    """Arguments of the job velocast-train; `force` and `reason` are recorded, the decision was taken before."""

    kind: kinds.Kind = kinds.DEFAULT_KIND
    force: bool = False
    reason: str = ""
    test_mode: bool = False


@dataclass(frozen=True)
class _Cut:
    """What one run trains on."""

    counts: FrozenCounts
    baseline: Baseline
    weather: FrozenWeather
    windows: Windows
    source: Source


def train(request: TrainRequest, run: Run[JobSettings]) -> list[AuditRow]:
    """Fit a challenger, register it in MLflow and leave `runs/<execution_id>/train.json`.

    Killed anywhere and run again with the same execution id, it ends with the same version. test_mode takes at most
    5 counters and 1,000 rows and touches neither summary nor alias. Raises TooLittleHistory, WarehouseError,
    RegistryError.
    """
    records = Records(run)
    training = records.find(run_store.TRAINING, Training)
    if training is None:
        training = _train(request, run, records)
    _announce(run, records, training)
    return [_audit_row(run, training)]


def _train(request: TrainRequest, run: Run[JobSettings], records: Records) -> Training:
    started = time.monotonic()
    cut = _cut(request, run, records)
    model, data, rows = _fitted(request, records, cut)
    trial = _tried(model, cut)
    logged = _log(request, run, cut, model, data, trial)
    name = f"{run_store.folder(request.kind, logged.run_id)}/{run_store.FITTED}"
    artifact = model_io.store_model(records.objects, name, data)
    training = _record(request, run, cut, model, logged, artifact).model_copy(
        update={"rows": rows, "seconds": round(time.monotonic() - started, 3)}
    )
    # The version's own copy first: a version that train.json names can then always be evaluated.
    own = f"{run_store.folder(request.kind, logged.run_id)}/{run_store.TRAINING}"
    records.objects.write_json(own, training.model_dump(mode="json"))
    return records.settle(run_store.TRAINING, training)


def _cut(request: TrainRequest, run: Run[JobSettings], records: Records) -> _Cut:
    baseline = _settled_baseline(run, records)
    counts = records.find(run_store.FREEZE, FrozenCounts)
    if counts is None:
        tested_on = baseline.test if baseline else None
        counts = records.settle(run_store.FREEZE, frozen_counts.freeze(run, tested_on))
    if baseline is None:
        made = baselines.baseline(run, counts, keep=not request.test_mode)
        baseline = records.settle(run_store.BASELINE, made)
    weather = frozen_weather(run, records)
    windows = cut_windows(counts.known(run), baseline.test.days, run.settings.thresholds)
    counters = _sample_counters(run, counts) if request.test_mode else ()
    source = Source(
        run,
        frozen_counts.table_of(run, counts),
        counts.rows_a_day(run),
        counters,
        request.test_mode,
        weather_datasets.table_of(run, weather),
    )
    return _Cut(counts, baseline, weather, windows, source)


def _settled_baseline(run: Run[JobSettings], records: Records) -> Baseline | None:
    """Return the baseline of this execution, None in the first training: an operator may freeze another meanwhile."""
    found = records.find(run_store.BASELINE, Baseline)
    stored = found or baselines.in_force(run)
    return found or (records.settle(run_store.BASELINE, stored) if stored else None)


def frozen_weather(run: Run[JobSettings], records: Records) -> FrozenWeather:
    """Return the weather of this execution, frozen by its first try; also for `promote`."""
    found = records.find(run_store.WEATHER, FrozenWeather)
    return found or records.settle(run_store.WEATHER, weather_datasets.freeze(run))


def _sample_counters(run: Run[JobSettings], counts: FrozenCounts) -> tuple[str, ...]:
    """Return the counters with the most usable hours, by name where they tie."""
    import pyarrow.compute as pc

    rows = frozen_counts.read(run, counts)
    usable = rows.filter(pc.is_null(rows["quality"]))
    hours = usable.group_by("counter_id").aggregate([("counted_at", "count")]).to_pylist()
    most = sorted(hours, key=lambda row: (-row["counted_at_count"], row["counter_id"]))
    return tuple(row["counter_id"] for row in most[: frames.TEST_MODE_COUNTERS])


def _fitted(request: TrainRequest, records: Records, cut: _Cut) -> tuple[models.Model, bytes, int]:
    """Return the model, its bytes and the number of rows it learned from; the first try's when there was one."""
    rows, held_out = frames.learning_frames(
        cut.source, cut.windows.learnable, cut.windows.calibrate_from
    )
    data = records.find_model(run_store.FITTED)
    if data is None:
        fresh = models.fit_model(
            request.kind, rows, held_out, seed=models.SEED, test_mode=request.test_mode
        )
        data = records.settle_model(run_store.FITTED, fresh.to_bytes())
    return models.from_bytes(data), data, len(rows) + len(held_out)


def _tried(model: models.Model, cut: _Cut) -> pd.DataFrame:
    frame = frames.scoring_frame(cut.source, cut.windows.test_current)
    predicted = model.predict(frame)
    return frame.assign(**{name: predicted[name].to_numpy() for name in predicted.columns})


def _log(
    request: TrainRequest,
    run: Run[JobSettings],
    cut: _Cut,
    model: models.Model,
    data: bytes,
    trial: pd.DataFrame,
) -> LoggedRun:
    busy, zone = model.task == kinds.AFFLUENCE, run.settings.city.zone
    scores = (
        classification_metrics.score_busy_hours(trial) if busy else metrics.score_forecasts(trial)
    )
    plots = (
        training_plots.busy_plots(trial, zone) if busy else training_plots.error_plots(trial, zone)
    )
    return Registry(run.settings.mlflow_tracking_uri).log_training(
        task=model.task,
        kind=request.kind,
        params=model.describe() | {"seed": models.SEED, "test_mode": request.test_mode},
        metrics=named_scores("current", scores),
        artifacts={run_store.FITTED: data, **plots},
        datasets=_uses(cut),
        tags=_tags(request, run, cut, model),
        run_key=run.execution_id,
    )


def _uses(cut: _Cut) -> list[DatasetUse]:
    uses = [
        ("counts", cut.counts.sha256, cut.counts.uri, "training"),
        ("train_baseline", cut.baseline.train.sha256, cut.baseline.train.uri, "training"),
        ("test_baseline", cut.baseline.test.sha256, cut.baseline.test.uri, "test"),
        ("weather", cut.weather.sha256, cut.weather.uri, "training"),
    ]
    return [DatasetUse(name=n, sha256=s, uri=u, context=c) for n, s, u, c in uses]


def _tags(
    request: TrainRequest, run: Run[JobSettings], cut: _Cut, model: models.Model
) -> dict[str, str]:
    libraries = {f"library.{name}": text for name, text in library_versions().items()}
    return libraries | {
        "kind": request.kind,
        "city": run.settings.city_name,
        "as_of": rfc3339(run.as_of),
        "reason": request.reason,
        "forced": str(request.force).lower(),
        "test_mode": str(request.test_mode).lower(),
        "feature_definition": model.feature_definition,
        "code_version": code_version(),
        **{f"data.{name}": sha256 for name, sha256 in _hashes(cut).items()},
    }


def _hashes(cut: _Cut) -> dict[str, str]:
    return {use.name: use.sha256 for use in _uses(cut)}


def _record(
    request: TrainRequest,
    run: Run[JobSettings],
    cut: _Cut,
    model: models.Model,
    logged: LoggedRun,
    artifact: Artifact,
) -> Training:
    return Training(
        execution_id=run.execution_id,
        version=logged.version,
        run_id=logged.run_id,
        task=model.task,
        kind=request.kind,
        seed=models.SEED,
        test_mode=request.test_mode,
        as_of=rfc3339(run.as_of),
        reason=request.reason,
        counts=cut.counts,
        baseline=cut.baseline,
        weather=cut.weather,
        windows=cut.windows,
        counter_ids=cut.source.counter_ids,
        artifact=artifact,
        feature_definition=model.feature_definition,
        library_versions=library_versions(),
        code_version=code_version(),
        rows=0,
        seconds=0.0,
    )


def _announce(run: Run[JobSettings], records: Records, training: Training) -> None:
    """Put the version into summary and alias, as often as this is run."""
    run.metrics.set("bike/training_seconds", training.seconds, kind=training.kind)
    if training.test_mode:
        return
    if not run_store.summary_entries(records.objects, training):
        champion_manifest.upsert_summary(records.objects, run_store.summary_entry(training))
    registry = Registry(run.settings.mlflow_tracking_uri)
    # Guarded: a late repetition must not take the alias from a younger challenger.
    if (registry.get_alias(training.task, run_store.CHALLENGER) or 0) < training.version:
        registry.set_alias(training.task, run_store.CHALLENGER, training.version)


def _audit_row(run: Run[JobSettings], training: Training) -> AuditRow:
    return AuditRow(
        event_id=f"train:{run.execution_id}:training",
        timestamp=run.as_of,
        event_type="TRAINING",
        as_of=run.as_of,
        execution_id=run.execution_id,
        new_champion_run_id=training.run_id,
        details={
            "version": training.version,
            "kind": training.kind,
            "reason": training.reason,
            "test_mode": training.test_mode,
            "rows": training.rows,
            "training_seconds": training.seconds,
            "counts": training.counts.model_dump(),
            "windows": training.windows.model_dump(mode="json"),
            "artifact": training.artifact.model_dump(),
        },
    )
