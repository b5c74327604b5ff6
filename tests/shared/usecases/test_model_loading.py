"""The loading order: manifest, best compatible version, similar days; each fallback is reported."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from tests import emulators
from tests.shared.usecases import champions
from velocast.adapters import champion_manifest
from velocast.core.datetimes import parse_instant
from velocast.usecases import model_loading
from velocast.usecases.model_loading import FallbackStep, LoadedChampion

pytestmark = pytest.mark.usefixtures("storage_buckets")


@pytest.fixture(autouse=True)
def cold_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each test with an empty model cache."""
    monkeypatch.setattr(model_loading, "_cache", {})


def load() -> tuple[LoadedChampion, list[FallbackStep]]:
    reported: list[FallbackStep] = []
    return model_loading.load_champion(champions.models(), on_fallback=reported.append), reported


def test_before_the_first_champion_no_fallback_is_reported() -> None:
    champions.enter(1, 0.8, decision=None)

    assert load() == (LoadedChampion(), [])


def test_the_manifest_names_the_model() -> None:
    published = champions.publish(3)

    loaded, reported = load()

    assert loaded.manifest == published
    assert (loaded.version, loaded.kind, loaded.run_id) == (3, "gbm", "run-3")
    assert loaded.model is not None
    assert loaded.model.describe() == champions.model(3)[0].describe()
    assert reported == []


def test_a_warm_process_loads_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    champions.publish(3)
    first, _ = load()
    champions.models().delete("models/gbm/run-3/model.skops")

    again, reported = load()

    assert again.model is first.model
    assert reported == []


def test_a_new_champion_takes_over_in_a_warm_process() -> None:
    champions.publish(3)
    load()
    champions.publish(4)

    assert load()[0].version == 4


def test_a_missing_artifact_falls_back_to_the_best_other_version() -> None:
    champions.enter(1, 0.80)
    champions.enter(2, 0.85)
    champions.publish(3)
    champions.models().delete("models/gbm/run-3/model.skops")

    loaded, reported = load()

    assert (loaded.version, loaded.run_id, loaded.manifest) == (2, "run-2", None)
    assert loaded.model is not None
    uri = f"gs://{emulators.BUCKETS['models']}/models/gbm/run-3/model.skops"
    assert reported == [FallbackStep(3, "version 2 (gbm)", f"{uri} does not exist")]


def test_a_wrong_hash_falls_back() -> None:
    champions.enter(1, 0.80)
    champions.publish(3)
    champions.spoil(3)

    loaded, reported = load()

    assert loaded.version == 1
    assert [(step.wanted_version, step.used) for step in reported] == [(3, "version 1 (gbm)")]
    assert "has SHA-256" in reported[0].reason


def test_every_fallback_is_reported() -> None:
    champions.enter(1, 0.80)
    champions.enter(2, 0.85)
    champions.publish(3)
    for version in (1, 2, 3):
        champions.spoil(version)

    loaded, reported = load()

    assert loaded == LoadedChampion()
    assert [(step.wanted_version, step.used) for step in reported] == [
        (3, "version 2 (gbm)"),
        (2, "version 1 (gbm)"),
        (1, "similar_days"),
    ]


def test_an_invalid_artifact_falls_back() -> None:
    champions.publish(3, sha256=hashlib.sha256(b"not a model").hexdigest())
    champions.put(3, data=b"not a model")

    loaded, reported = load()

    assert loaded.model is None
    assert [step.used for step in reported] == ["similar_days"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"feature_definition": "features-old"}, "trained on features features-old"),
        ({"library_versions": {"scikit-learn": "0.1"}}, "trained with scikit-learn 0.1"),
        ({"artifact_uri": "gs://elsewhere/model.skops"}, "is outside gs://"),
    ],
)
def test_an_incompatible_champion_falls_back(change: dict[str, object], reason: str) -> None:
    champions.publish(3, **change)

    loaded, reported = load()

    assert loaded.model is None
    assert len(reported) == 1
    assert reason in reported[0].reason


def test_versions_that_must_not_serve_are_skipped() -> None:
    champions.enter(1, 0.99, decision="REJECT")
    champions.enter(2, 0.98, decision=None)
    champions.enter(4, 0.97, feature_definition="features-old")
    champions.enter(5, 0.96, metrics={})
    champions.enter(6, 0.95, task="affluence")
    champions.enter(7, 0.60, decision="SKIP")
    champions.publish(3)
    champions.spoil(3)

    assert load()[0].version == 7


def test_a_missing_manifest_is_reported_if_there_was_a_champion() -> None:
    champions.enter(1, 0.8, is_champion=True)

    loaded, reported = load()

    assert loaded.version == 1
    assert [(step.wanted_version, step.used) for step in reported] == [(1, "version 1 (gbm)")]
    assert "champion.json is gone" in reported[0].reason


def test_an_unreadable_manifest_falls_back() -> None:
    champions.enter(1, 0.8)
    champions.models().write(champion_manifest.MANIFEST, b"{}", content_type="application/json")

    loaded, reported = load()

    assert loaded.version == 1
    assert reported[0].wanted_version is None
    assert "is not a valid manifest" in reported[0].reason


def test_an_unreadable_summary_leaves_similar_days() -> None:
    champions.publish(3)
    champions.spoil(3)
    champions.models().write(champion_manifest.SUMMARY, b"no json", content_type="application/json")

    loaded, reported = load()

    assert loaded == LoadedChampion()
    assert [step.used for step in reported] == ["similar_days"]


def test_age() -> None:
    published = champions.publish(3)
    moment = parse_instant(published.published_at)

    assert champion_manifest.age_seconds(published, moment + timedelta(hours=2)) == 7200
    assert champion_manifest.age_seconds(published, moment - timedelta(hours=2)) is None
    assert champion_manifest.age_seconds(None, moment) is None
