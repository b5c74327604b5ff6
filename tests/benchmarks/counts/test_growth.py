"""The benchmark of growth: what its cities hold, and how it scores."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.counts.growth import markdown
from benchmarks.counts.simulated_growth import simulated_city


@pytest.mark.parametrize("trend", [0.0, 0.1])
def test_a_city_has_the_growth_that_it_says(trend: float) -> None:
    found = simulated_city(3, trend=trend, counters=6)

    if trend == 0:
        assert found.growth == 0
        assert not found.growth_of.any()
    else:
        assert found.growth == pytest.approx(trend, abs=0.05)
    assert abs(found.perfect - found.growth) < 0.06
    assert 0.01 < np.isnan(found.days.counts).mean() < 0.15


def test_a_step_is_in_the_counts_of_its_counter_only() -> None:
    plain, stepped = (
        simulated_city(3, trend=0.0, counters=4, steps=steps).days.counts
        for steps in ({}, {2: (500, 1.5)})
    )

    def mean(counts: np.ndarray, counter: int) -> float:
        return float(np.nanmean(counts[counter, 500:]))

    assert mean(stepped, 2) / mean(plain, 2) == pytest.approx(1.5, abs=0.1)
    assert mean(stepped, 1) / mean(plain, 1) == pytest.approx(1.0, abs=0.1)
    assert np.nanmean(stepped[2, :500]) / np.nanmean(plain[2, :500]) == pytest.approx(1, abs=0.1)


def test_scores_truth_intervals_and_false_claims() -> None:
    def row(change: float, *, placebo: bool, claimed: bool) -> dict[str, object]:
        way = {"change": change, "low": change - 0.03, "high": change + 0.03}
        return {
            "what": "city", "placebo": placebo, "truth": 0.0, "perfect": 0.01,
            "raw": way, "rebuilt": way, "adjusted": way, "claimed": claimed,
        }  # fmt: skip

    real = [row(change, placebo=False, claimed=True) for change in (0.01, 0.025, -0.05, 0.0)]
    placebo = [row(0.0, placebo=True, claimed=claimed) for claimed in (True, False)]
    effect = {
        "placebo": False,
        "truth": 0.1,
        "change": 0.12,
        "low": 0.0,
        "high": 0.2,
        "claimed": True,
    }

    lines = markdown([*real, *placebo], [effect, {**effect, "placebo": True}, {"placebo": True}])

    assert "| city | adjusted | 4 + 2 | 2.8 | 0.50 | 0.75 | 3.0 | 0.500 |" in lines
    assert "| city | raw | 4 + 2 | 2.8 | 0.50 | 0.75 | 3.0 | – |" in lines
    assert lines[-1].endswith("| 1 + 1 | 2.0 | 1.00 | 1.00 | 10.0 | 1.000 |")
