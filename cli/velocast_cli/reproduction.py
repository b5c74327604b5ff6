"""Train a model version again from its frozen data and compare the forecasts of both."""

from __future__ import annotations

import hashlib

import numpy as np

from velocast.adapters.mlflow_registry import Registry
from velocast.core import kinds
from velocast.core.code_version import code_version
from velocast.core.errors import ModelUnusable
from velocast.core.requests import Message
from velocast.core.settings import JobSettings
from velocast.model.features import definition
from velocast.model.learning import models
from velocast.model.learning.forecaster import library_versions
from velocast.usecases.context import Run
from velocast.usecases.training.datasets import frames
from velocast.usecases.training.refit import relative_difference
from velocast.usecases.training.stored import model_io, run_store
from velocast.usecases.training.stored.kept_rows import source_of
from velocast.usecases.training.stored.records import Training
from velocast.usecases.training.stored.run_store import RunStore
from velocast_cli import datasets as baselines

TOLERANCE = 0.01


class Reproduction(Message):
    """How a version compares with its retrained copy.

    rows: forecasts of test_current that were compared. largest_difference: between two forecasts of an hour, in bikes
    per hour; for a classifier, between two probabilities.
    relative_difference: RMS of the differences divided by the RMS of the version's forecasts. It need not be 0:
    BigQuery's summation order is not deterministic, so sums differ in their last bits, and a tree that splits on one of
    them assigns a few hours to another leaf.
    """

    version: int
    kind: str
    same_bytes: bool
    rows: int
    largest_difference: float
    relative_difference: float
    tolerance: float
    reproduced: bool
    stored_sha256: str
    again_sha256: str
    datasets: dict[str, str]
    changed: tuple[str, ...]


def reproduce(
    run: Run[JobSettings],
    version: int,
    *,
    task: kinds.Task = "forecast",
    tolerance: float = TOLERANCE,
) -> Reproduction:
    """Train a version of `velocast-<task>` again and compare; nothing is stored or registered.

    tolerance: the largest relative difference that counts as reproduced. Raises RegistryError when there is no such
    version; ModelUnusable when this code has other features, when frozen data is missing, altered or different from its
    copy in BigQuery, or when the stored model is missing or altered.
    """
    store, registry = RunStore(run), Registry(run.settings.mlflow_tracking_uri)
    training = run_store.training_of_version(store, registry, task, version)
    _check(run, training)
    stored = model_io.load_model(store.objects, training.artifact)
    again = _trained(run, training)
    data = again.to_bytes()
    frame = frames.scoring_frame(source_of(run, training), training.windows.test_current)
    before, after = models.primary_output(stored, frame), models.primary_output(again, frame)
    apart = relative_difference(before, after)
    sha256 = hashlib.sha256(data).hexdigest()
    same = sha256 == training.artifact.sha256
    return Reproduction(
        version=version,
        kind=training.kind,
        same_bytes=same,
        rows=len(frame),
        largest_difference=float(np.abs(after - before).max()) if len(frame) else 0.0,
        relative_difference=apart,
        tolerance=tolerance,
        reproduced=same or apart <= tolerance,
        stored_sha256=training.artifact.sha256,
        again_sha256=sha256,
        datasets=training.dataset_hashes,
        changed=_changes(training),
    )


def _check(run: Run[JobSettings], training: Training) -> None:
    if training.feature_definition != definition.FEATURE_DEFINITION:
        raise ModelUnusable(
            f"version {training.version} was trained with {training.feature_definition} by code "
            f"{training.code_version}, but this code is {code_version()} with {definition.FEATURE_DEFINITION}; "
            "install the code of the version"
        )
    source_of(run, training)  # loads the tables again that have expired
    found = baselines.verify_datasets(run, list(training.dataset_hashes.values()))
    faults = [fault for verified in found for fault in verified.faults]
    if faults:
        raise ModelUnusable(f"version {training.version} cannot be trained again: {faults[0]}")


def _trained(run: Run[JobSettings], training: Training) -> models.Model:
    rows, held_out = frames.learning_frames(
        source_of(run, training),
        training.windows.learnable,
        training.windows.calibrate_from,
        kind=training.kind,
    )
    return models.fit_model(
        training.kind, rows, held_out, seed=training.seed, test_mode=training.test_mode
    )


def _changes(training: Training) -> tuple[str, ...]:
    """Return the libraries and code that changed since the training and may explain a difference."""
    here = library_versions() | {"velocast": code_version()}
    then = training.library_versions | {"velocast": training.code_version}
    return tuple(
        f"{name} {was}, now {here.get(name, 'absent')}"
        for name, was in sorted(then.items())
        if here.get(name) != was
    )
