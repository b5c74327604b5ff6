from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from velocast.model.evaluation import classification_metrics
from velocast.model.evaluation.classification_metrics import BusyScores
from velocast.model.evaluation.metrics import RowsMismatch


def said(probability: list[float], busy: list[bool], *, threshold: float = 0.5) -> pd.DataFrame:
    n = len(probability)
    return pd.DataFrame(
        {
            "counter_id": [f"c{k % 3}" for k in range(n)],
            "target_at": pd.date_range("2025-03-01", periods=n, freq="h", tz="UTC"),
            "lead_day": [k % 2 for k in range(n)],
            "bike_count": [12.0 if b else 10.0 for b in busy],
            "busy_threshold": 10.0,
            "busy_probability": probability,
            "busy": [p >= threshold for p in probability],
        }
    )


def test_scores_follow_their_definitions() -> None:
    random = np.random.default_rng(4)
    busy = random.random(300) < 0.3
    probability = np.clip(0.5 * busy + random.random(300) * 0.7, 0, 1)
    frame = said(list(probability), list(busy))
    found = classification_metrics.score_busy_hours(frame)
    guess = probability >= 0.5
    assert found.rows == 300
    assert found.counters == 3
    assert found.base_rate == pytest.approx(busy.mean())
    assert found.accuracy == pytest.approx(metrics.accuracy_score(busy, guess))
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(busy, guess))
    assert found.precision == pytest.approx(metrics.precision_score(busy, guess))
    assert found.recall == pytest.approx(metrics.recall_score(busy, guess))
    assert found.f1 == pytest.approx(metrics.f1_score(busy, guess))
    assert found.brier == pytest.approx(metrics.brier_score_loss(busy, probability))
    naive = metrics.brier_score_loss(busy, np.full(300, busy.mean()))
    assert found.brier_relative == pytest.approx(found.brier / naive)
    assert [lead.lead_day for lead in found.lead_days] == [0, 1]
    assert sum(lead.rows for lead in found.lead_days) == 300


def test_a_count_at_the_threshold_is_not_busy() -> None:
    frame = said([0.9, 0.1], [False, True])
    assert classification_metrics.is_busy(frame).tolist() == [False, True]


def test_rows_without_a_label_are_left_out() -> None:
    frame = said([0.9, 0.1, 0.4, 0.6], [True, False, True, False])
    frame.loc[2, "bike_count"] = np.nan
    frame.loc[3, ["busy_threshold", "busy_probability"]] = np.nan
    assert classification_metrics.score_busy_hours(frame).rows == 2


def test_undefined_scores_are_none() -> None:
    found = classification_metrics.score_busy_hours(said([0.1, 0.2], [False, False]))
    assert found.brier == pytest.approx(0.025)
    assert found == BusyScores(
        rows=2,
        base_rate=0.0,
        accuracy=1.0,
        balanced_accuracy=None,
        precision=None,
        recall=None,
        f1=None,
        brier=found.brier,
        brier_relative=None,
        counters=2,
        lead_days=found.lead_days,
    )


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda f: pd.concat([f, f.head(1)]), "1 of 3 rows repeat"),
        (lambda f: f.assign(bike_count=np.nan), "none of 2 rows has a count and a threshold"),
        (
            lambda f: f.assign(busy_probability=[0.5, np.nan]),
            "1 of 2 rows with a label have no prob",
        ),
    ],
)
def test_rows_that_do_not_match_are_refused(
    broken: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    with pytest.raises(RowsMismatch, match=message):
        classification_metrics.score_busy_hours(broken(said([0.9, 0.1], [True, False])))
