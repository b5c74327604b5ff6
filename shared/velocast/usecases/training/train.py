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
from velocast.model.evaluation import classification_metrics, metrics, reference_models
from velocast.model.learning import models
from velocast.model.learning.forecaster import library_versions
from velocast.usecases.context import Run
from velocast.usecases.training import frozen_inputs, run_description
from velocast.usecases.training import plots as training_plots
from velocast.usecases.training.datasets import baseline as baselines
from velocast.usecases.training.datasets import count_rows, frames, frozen_counts, frozen_weather
from velocast.usecases.training.datasets.baseline import Baseline
from velocast.usecases.training.datasets.frames import FeatureSource
from velocast.usecases.training.datasets.frozen_counts import FrozenCounts
from velocast.usecases.training.datasets.frozen_weather import FrozenWeather
from velocast.usecases.training.datasets.windows import Windows, cut_windows
from velocast.usecases.training.scores import named_scores
from velocast.usecases.training.stored import kept_rows, model_io, run_store, version_summary
from velocast.usecases.training.stored.records import Artifact, Decision, LearnedRows, Training
from velocast.usecases.training.stored.run_store import RunStore


class TrainRequest(Message):
    """Arguments of the job velocast-train. `force` and `reason` are only recorded: the decision to train is taken."""

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
    source: FeatureSource


def train(request: TrainRequest, run: Run[JobSettings]) -> list[AuditRow]:
    """Fit a challenger, register it in MLflow and leave `runs/<execution_id>/train.json`.

    Killed anywhere and run again with the same execution id, it ends with the same version. test_mode takes at most
    5 counters and 1,000 rows and changes neither summary nor alias. Raises TooLittleHistory, WarehouseError,
    RegistryError.
    """
    store = RunStore(run)
    training = store.find(run_store.TRAINING, Training)
    if training is None:
        training = _train(request, run, store)
    _announce(run, store, training)
    return [_audit_row(run, training)]


def _train(request: TrainRequest, run: Run[JobSettings], store: RunStore) -> Training:
    started = time.monotonic()
    cut = _cut(request, run, store)
    data, learned = _fitted(request, store, cut)
    model = models.from_bytes(data)
    scored, test_current = _test_current(store, model, cut)
    logged = _log(request, run, cut, model, data, scored)
    name = run_store.version_file(request.kind, logged.run_id, run_store.FITTED)
    artifact = model_io.store_model(store.objects, name, data)
    training = _record(request, run, cut, model, logged, artifact).model_copy(
        update={
            "test_current": test_current,
            "rows": learned.rows,
            "seconds": round(time.monotonic() - started, 3),
        }
    )
    # The version's own copy first: a version that train.json names can then always be evaluated.
    own = run_store.version_file(request.kind, logged.run_id, run_store.TRAINING)
    store.objects.write_json(own, training.model_dump(mode="json"))
    return store.save_once(run_store.TRAINING, training)


def _cut(request: TrainRequest, run: Run[JobSettings], store: RunStore) -> _Cut:
    baseline = _baseline_of_run(run, store)
    counts = frozen_inputs.counts_of_run(run, store, baseline.test if baseline else None)
    if baseline is None:
        made = baselines.ensure_baseline(run, counts, keep=not request.test_mode)
        baseline = store.save_once(run_store.BASELINE, made)
    weather = frozen_inputs.weather_of_run(run, store)
    calendar = frozen_inputs.calendar_of_run(run, store)
    windows = cut_windows(counts.known(run), baseline.test.days, run.settings.thresholds)
    counters = _sample_counters(run, counts) if request.test_mode else ()
    source = FeatureSource(
        run,
        frozen_counts.counts_table(run, counts),
        counts.rows_a_day(run),
        counters,
        request.test_mode,
        frozen_weather.weather_table(run, weather),
        calendar,
    )
    return _Cut(counts, baseline, weather, windows, source)


def _baseline_of_run(run: Run[JobSettings], store: RunStore) -> Baseline | None:
    """Return the baseline of this execution, None before the first; a retry keeps it when a newer one is frozen."""
    found = store.find(run_store.BASELINE, Baseline)
    stored = found or baselines.in_force(run)
    return found or (store.save_once(run_store.BASELINE, stored) if stored else None)


def _sample_counters(run: Run[JobSettings], counts: FrozenCounts) -> tuple[str, ...]:
    """Return the counters with the most usable hours, by name where they tie."""
    counters = count_rows.read_counted(run, frozen_counts.counts_table(run, counts))
    most = counters[counters["usable"] > 0].sort_values(
        ["usable", "counter_id"], ascending=[False, True]
    )
    return tuple(most["counter_id"].head(frames.TEST_MODE_COUNTERS))


def _fitted(request: TrainRequest, store: RunStore, cut: _Cut) -> tuple[bytes, LearnedRows]:
    """Return the model's bytes and what it learned from; a retry reads no rows where its first try has fitted."""
    learned = store.find(run_store.LEARNED, LearnedRows)
    data = store.find_bytes(run_store.FITTED)
    return (
        (data, learned) if data is not None and learned is not None else _fit(request, store, cut)
    )


def _fit(request: TrainRequest, store: RunStore, cut: _Cut) -> tuple[bytes, LearnedRows]:
    rows, held_out = frames.learning_frames(
        cut.source, cut.windows.learnable, cut.windows.calibrate_from, kind=request.kind
    )
    # Written before the model: where there is a model, there is this record of it too.
    learned = store.save_once(run_store.LEARNED, _learned(request, rows, held_out))
    model = models.fit_model(
        request.kind, rows, held_out, seed=models.SEED, test_mode=request.test_mode
    )
    data = store.save_bytes_once(run_store.FITTED, model.to_bytes(), model_io.MODEL_TYPE)
    return data, learned


def _learned(request: TrainRequest, rows: pd.DataFrame, held_out: pd.DataFrame) -> LearnedRows:
    classifier = kinds.task_of(request.kind) == "affluence"
    return LearnedRows(
        rows=len(rows) + len(held_out),
        similar_days=reference_models.calibrate_similar_days(held_out) if classifier else None,
    )


def _test_current(store: RunStore, model: models.Model, cut: _Cut) -> tuple[pd.DataFrame, Artifact]:
    """Return the rows of test_current with the model's forecasts, and where the rows are kept."""
    frame, kept = kept_rows.keep_test_current(
        store, lambda: frames.scoring_frame(cut.source, cut.windows.test_current)
    )
    predicted = model.predict(frame)
    return frame.assign(**{name: predicted[name].to_numpy() for name in predicted.columns}), kept


def _log(
    request: TrainRequest,
    run: Run[JobSettings],
    cut: _Cut,
    model: models.Model,
    data: bytes,
    scored: pd.DataFrame,
) -> LoggedRun:
    busy, zone = model.task == kinds.AFFLUENCE, run.settings.city.zone
    scores = (
        classification_metrics.score_busy_hours(scored) if busy else metrics.score_forecasts(scored)
    )
    plots = (
        training_plots.busy_plots(scored, zone)
        if busy
        else training_plots.error_plots(scored, zone)
    ) | training_plots.importance_plot(model, scored)
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
        calendar=cut.source.calendar,
        windows=cut.windows,
        counter_ids=cut.source.counter_ids,
        artifact=artifact,
        feature_definition=model.feature_definition,
        library_versions=library_versions(),
        code_version=code_version(),
        rows=0,
        seconds=0.0,
    )


def _announce(run: Run[JobSettings], store: RunStore, training: Training) -> None:
    """Describe the run, and put the version into the summary and under the alias; may be repeated."""
    run.metrics.set("bike/training_seconds", training.seconds, kind=training.kind)
    registry = Registry(run.settings.mlflow_tracking_uri)
    if store.find(run_store.DECISION, Decision) is None:  # a late retry keeps the score in the name
        registry.describe_run(
            training.run_id,
            name=run_description.run_name(training),
            text=run_description.run_text(training),
        )
    if training.test_mode:
        return
    if version_summary.find_entry(store.objects, training) is None:
        champion_manifest.upsert_summary(store.objects, version_summary.new_entry(training))
    # A late retry must not take the alias from a newer challenger.
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
