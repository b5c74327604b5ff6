"""The names and descriptions of MLflow's runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from velocast.model.evaluation.classification_metrics import BusyScores
from velocast.usecases.training.run_description import run_name, run_text
from velocast.usecases.training.stored.records import Decision, Training


def at(name: str) -> Any:
    return SimpleNamespace(uri=f"gs://datasets/{name}.parquet")


def training(**changes: Any) -> Training:
    values = {
        "kind": "blend",
        "version": 3,
        "as_of": "2025-11-24T05:00:00Z",
        "reason": "REFRESH: the training data ended 30 days ago.",
        "test_mode": False,
        "counts": at("counts"),
        "baseline": SimpleNamespace(train=at("train"), test=at("test")),
        "weather": None,
    }
    made: Any = Training.model_construct
    return cast("Training", made(**(values | changes)))


def decision(score: float | None, **changes: Any) -> Decision:
    current = SimpleNamespace(new=SimpleNamespace(r2=score))
    values = {"decision": "DEPLOY", "reason": "It is better.", "task": "forecast"}
    made: Any = Decision.model_construct
    return cast("Decision", made(**(values | {"current": current} | changes)))


def busy() -> Decision:
    scores: Any = BusyScores.model_construct
    current = SimpleNamespace(new=scores(balanced_accuracy=0.811))
    return decision(None, task="affluence", current=current)


@pytest.mark.parametrize(
    ("changes", "judged", "name"),
    [
        ({}, None, "blend v3, 24 Nov 2025"),
        ({}, decision(0.9163), "blend v3, 24 Nov 2025, R2 0.92"),
        ({}, decision(None), "blend v3, 24 Nov 2025"),
        ({"kind": "affluence"}, busy(), "affluence v3, 24 Nov 2025, balanced accuracy 0.81"),
        ({"test_mode": True}, decision(0.5), "blend v3, 24 Nov 2025, R2 0.50, test mode"),
    ],
)
def test_a_run_is_named_by_what_it_is(
    changes: dict[str, Any], judged: Decision | None, name: str
) -> None:
    assert run_name(training(**changes), judged) == name


def test_a_description_says_what_became_of_it_and_leads_to_its_data() -> None:
    cloud = "https://storage.cloud.google.com"
    assert run_text(training(weather=at("weather")), decision(0.9), record="gs://m/d.json") == (
        "**May become the champion.** It is better.\n\n"
        "Trained because: REFRESH: the training data ended 30 days ago.\n\n"
        f"Data: [counts]({cloud}/datasets/counts.parquet), "
        f"[train_baseline]({cloud}/datasets/train.parquet), "
        f"[test_baseline]({cloud}/datasets/test.parquet), "
        f"[weather]({cloud}/datasets/weather.parquet)\n\n"
        f"[All scores]({cloud}/m/d.json)"
    )
    assert run_text(training(reason="")).startswith("Not judged yet.\n\nData: [counts]")
