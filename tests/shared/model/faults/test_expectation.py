"""The median of the others is that of NumPy on the others."""

from __future__ import annotations

import numpy as np

from velocast.model.faults.expectation import median_of_others


def test_gives_each_value_the_weighted_median_of_the_others() -> None:
    rng = np.random.default_rng(1)
    for n in (2, 3, 8, 51):
        values = rng.normal(size=n).round(2)
        weights = rng.integers(1, 4, n)  # whole weights: repeat the value so often

        found = median_of_others(values, weights.astype(float))

        for own in range(n):
            others = np.delete(values, own).repeat(np.delete(weights, own))
            low, high = (np.quantile(others, 0.5, method=m) for m in ("lower", "higher"))
            assert low <= found[own] <= high


def test_says_nothing_of_the_others_where_there_are_none() -> None:
    assert np.isnan(median_of_others(np.array([3.0]), np.array([1.0]))).all()
