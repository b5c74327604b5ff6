"""A version's entry in the summary of all versions, which the champion manifest's folder holds."""

from __future__ import annotations

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import SummaryEntry
from velocast.adapters.gcs import Objects
from velocast.usecases.training.stored.records import Training


def new_entry(training: Training) -> SummaryEntry:
    """Return the entry of a version that was trained and is not evaluated yet."""
    return SummaryEntry(
        version=training.version,
        run_id=training.run_id,
        task=training.task,
        kind=training.kind,
        trained_at=training.as_of,
        dataset_hashes=training.dataset_hashes,
        artifact_uri=training.artifact.uri,
        sha256=training.artifact.sha256,
        feature_definition=training.feature_definition,
        library_versions=training.library_versions,
    )


def find_entry(objects: Objects, training: Training) -> SummaryEntry | None:
    """Return a version's entry as it is stored, None when it has none yet."""
    key = (training.task, training.version)
    entries = champion_manifest.read_summary(objects)
    return next((entry for entry in entries if (entry.task, entry.version) == key), None)
