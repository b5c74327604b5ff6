"""Scores of intervals, held to scikit-learn's pinball loss and to a distribution that is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import mean_pinball_loss

from velocast_cli.backtesting.interval_scores import LEVELS, score_intervals

RANDOM = np.random.default_rng(4)


def rows(n: int, *, spread: float = 1.0) -> pd.DataFrame:
    """Counts of a normal distribution of deviation 10; quantiles are right where spread is 1."""
    mean = RANDOM.uniform(50, 500, n)
    frame = pd.DataFrame({"predicted_count": mean, "local_hour": np.arange(n) % 24})
    for name, level in LEVELS.items():
        frame[name] = mean + spread * 10 * stats.norm.ppf(level)
    return frame.assign(bike_count=RANDOM.normal(mean, 10))


def test_right_quantiles_are_recognized_at_every_level_and_hour() -> None:
    found = score_intervals(rows(100_000))
    assert found["below"] == pytest.approx(LEVELS, abs=0.01)
    assert found["coverage_by_tenth"] == pytest.approx([0.9] * 10, abs=0.015)
    assert found["coverage_by_hour"] == pytest.approx([0.9] * 24, abs=0.02)
    # 2 * (deviation of the density at the interval's end) / 0.05, for a normal distribution
    assert found["winkler"] == pytest.approx(
        2 * 10 * stats.norm.pdf(stats.norm.ppf(0.95)) / 0.05, rel=0.02
    )
    assert found["crps"] == pytest.approx(10 / np.sqrt(np.pi), rel=0.05)


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_intervals_that_are_too_narrow_or_too_wide_score_worse(spread: float) -> None:
    right, wrong = score_intervals(rows(20_000)), score_intervals(rows(20_000, spread=spread))
    assert wrong["winkler"] > 1.05 * right["winkler"]
    assert wrong["crps"] > 1.02 * right["crps"]


def test_crps_weighs_the_pinball_losses_of_scikit_learn() -> None:
    frame = rows(500)
    losses = [
        mean_pinball_loss(frame["bike_count"], frame[name], alpha=level)
        for name, level in LEVELS.items()
    ]
    expected = 2 * np.dot(losses, [0.15, 0.225, 0.25, 0.225, 0.15])
    assert score_intervals(frame)["crps"] == pytest.approx(expected)


def test_the_winkler_score_of_three_hours() -> None:
    frame = pd.DataFrame(
        {
            "bike_count": [5.0, 8.0, 25.0],
            "predicted_count": 15.0,
            "lower": 10.0,
            "upper": 20.0,
            "local_hour": [0, 0, 1],
        }
    )
    found = score_intervals(frame)
    assert found["winkler"] == pytest.approx((30 + 20 * (5 + 2 + 5)) / 3)
    assert found["crps"] is None
    assert found["coverage_by_hour"] == [0.0, 0.0, *[None] * 22]
    assert found["below"] == pytest.approx({"lower": 2 / 3, "upper": 2 / 3})


def test_the_winkler_score_is_least_at_the_true_quantiles() -> None:
    """It is a proper score, so no other interval of normal counts may have a lower one."""
    frame = rows(20_000)
    counted = np.random.default_rng(0).normal(100, 20, len(frame))

    def score(low: float, high: float) -> float:
        given = frame.assign(bike_count=counted, lower=low, upper=high)
        return float(score_intervals(given)["winkler"])

    low, high = np.quantile(counted, [0.05, 0.95])
    best = score(low, high)
    for less, more in ((-4, 0), (4, 0), (0, -4), (0, 4), (-3, 3), (3, -3)):
        assert score(low + less, high + more) > best


def test_forecasts_without_intervals_have_no_such_scores() -> None:
    missing = rows(10).assign(**dict.fromkeys(LEVELS, np.nan))
    assert score_intervals(missing) == score_intervals(rows(10).drop(columns=list(LEVELS)))
    found = score_intervals(rows(10).drop(columns=list(LEVELS)))
    assert set(found.values()) == {None}
