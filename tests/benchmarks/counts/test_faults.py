"""The benchmark of faults: what it puts into counts, how it scores, and the rule that stands beside."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.counts.faults import MARKS, markdown, recalls, zero_rule
from benchmarks.counts.injected_faults import FAULTS, SWAPPED, Injector
from tests.shared.model.faults.simulated_city import city_hours, grid_of
from velocast.model.faults.day_grid import DayGrid
from velocast.model.faults.ledger import NEVER


@pytest.fixture(scope="module")
def grid() -> DayGrid:
    return grid_of(city_hours())


@pytest.mark.parametrize("name", [*FAULTS, SWAPPED])
def test_puts_a_fault_only_where_it_says(grid: DayGrid, name: str) -> None:
    faulty = np.zeros(grid.counts.shape[:2], bool)
    faulty[0] = True
    injector = Injector(grid.counts, faulty, grid.pairs, np.random.default_rng(5))

    fault = injector.inject(name)

    assert fault is not None
    assert name in MARKS
    changed = (np.nan_to_num(injector.counts) != np.nan_to_num(grid.counts)).any(2)
    days = slice(fault.day, fault.day + fault.days)
    assert changed[fault.counter, days].all() or name in ("halved", "stuck, a day repeated")
    changed[:, days] = False
    assert not changed.any()
    assert not np.isin(fault.counter, [0])
    assert 3 <= fault.days <= 40


def test_puts_no_two_faults_in_one_place_and_gives_up(grid: DayGrid) -> None:
    injector = Injector(
        grid.counts,
        np.ones(grid.counts.shape[:2], bool),
        grid.pairs,
        np.random.default_rng(5),
    )

    assert injector.inject("dead") is None


def test_the_rule_of_zeros_needs_a_day_of_them_on_a_counter_that_counts(grid: DayGrid) -> None:
    counts = grid.counts.copy()
    counts[0, 10, 12:] = counts[0, 11, :12] = 0  # 24 hours
    counts[1, 10, :23] = 0
    counts[1, 10, 23] = 5
    quiet = DayGrid(
        **{**vars(grid), "counts": np.concatenate([counts, (counts[:1] > 90).astype("float32")])}
    )

    found = zero_rule(quiet)

    assert found[0, 10:12].tolist() == [11, 11]
    assert (found != NEVER).sum() == 2


def test_recall_is_the_share_found_in_time() -> None:
    outcomes = [
        {
            "city": "x",
            "fault": "dead",
            "half": n % 2,
            "usual": 50 * n,
            "days_until_found": until,
            "days_until_zero_rule": NEVER,
        }
        for n, until in enumerate([1, 2, 3, NEVER])
    ]

    (row,) = recalls(outcomes)

    assert (row["within_2"], row["within_7"], row["zeros_7"]) == (0.5, 0.75, 0.0)
    assert row["halves_7"] == [1.0, 0.5]
    assert (row["quiet_n"], row["quiet_7"]) == (2, 1.0)
    assert "| dead | 4 | 0.50 | 0.75 | 1.00 / 0.50 | 1.00 (2) | 0.00 |" in markdown([row], [], [])
