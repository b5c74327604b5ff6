"""Small trained models, and their objects in the models bucket."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from tests import emulators
from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion, SummaryEntry
from velocast.adapters.gcs import Objects
from velocast.model.features import definition
from velocast.model.learning.forecaster import TrainedModel, fit_forecaster, library_versions


def models() -> Objects:
    """Return the models bucket."""
    return emulators.objects()


@cache
def model(seed: int = 1) -> tuple[TrainedModel, bytes]:
    """Return a small model of random rows and its bytes. The bytes depend on the seed, the forecasts do not."""
    made = replace(_fitted(), seed=seed)
    return made, made.to_bytes()


@cache
def _fitted() -> TrainedModel:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        rng.uniform(5, 20, (300, len(definition.FEATURES))), columns=definition.FEATURES
    )
    frame = frame.assign(
        counter_id="c1",
        origin_at=pd.Timestamp("2025-01-01T00:00Z"),
        target_at=pd.Timestamp("2025-01-01T08:00Z"),
        day_type="working",
        bike_count=frame["similar_day_mean"] + rng.normal(0, 2, len(frame)),
        lead_day=0,
        local_hour=8,
        busy_threshold=15.0,
    )
    return fit_forecaster("gbm", frame.head(200), frame.tail(100), seed=1, test_mode=True)


def put(version: int, *, data: bytes | None = None) -> dict[str, Any]:
    """Store a version's artifact and return the fields that manifest and summary share."""
    content = model(version)[1] if data is None else data
    name = f"models/gbm/run-{version}/model.skops"
    models().write(name, content, content_type="application/octet-stream")
    return {
        "version": version,
        "run_id": f"run-{version}",
        "task": "forecast",
        "kind": "gbm",
        "artifact_uri": models().uri(name),
        "sha256": hashlib.sha256(content).hexdigest(),
        "feature_definition": definition.FEATURE_DEFINITION,
        "library_versions": library_versions(),
    }


def publish(version: int = 3, **changes: Any) -> Champion:
    """Make a version the champion."""
    values = put(version) | {
        "metrics": {"current_r2": 0.9, "current_rmse": 12.0},
        "trained_from": "2025-01-01T00:00:00Z",
        "trained_until": "2025-03-01T23:00:00Z",
        "published_at": "2025-03-02T05:00:00Z",
        "baseline": "b" * 64,
        "judged_run_id": f"run-{version}",
        "judged_sha256": "a" * 64,
    }
    champion = Champion(**values | changes)
    _, generation = champion_manifest.read_champion(models())
    champion_manifest.publish_champion(models(), champion, if_generation=generation)
    return champion


def enter(version: int, r2: float, **changes: Any) -> SummaryEntry:
    """Add a trained version to the summary."""
    values = put(version) | {
        "trained_at": "2025-02-20T05:00:00Z",
        "metrics": {"current_r2": r2},
        "decision": "DEPLOY",
    }
    entry = SummaryEntry(**values | changes)
    champion_manifest.upsert_summary(models(), entry)
    return entry


def spoil(version: int) -> None:
    """Change a version's artifact."""
    models().write(
        f"models/gbm/run-{version}/model.skops", b"spoilt", content_type="application/octet-stream"
    )
