"""Blending of neighbours and city, whoever asks: `predict` for a counter without counts, `serve` for a position."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from velocast.model import spatial_fallback


def test_at_most_four_neighbours_within_3_km_the_nearest_first() -> None:
    distances = [(2.9, "e"), (0.5, "b"), (3.1, "far"), (0.1, "a"), (1.0, "c"), (2.0, "d")]
    near = [name for _, name in spatial_fallback.nearest(distances)]
    assert near == ["a", "b", "c", "d"]


def test_a_counter_weighs_less_with_its_distance() -> None:
    near, far, farther = spatial_fallback.weights([0.0, 1.0, 2.0])
    assert near == 1.0
    assert far / near == pytest.approx(farther / far) == pytest.approx(np.exp(-1.0))
    assert spatial_fallback.weighted_mean([3.0, 1.0], [20.0, 60.0]) == pytest.approx(30.0)


@pytest.mark.parametrize(("nearest_km", "share"), [(0.0, 0.0), (0.02, 0.0), (0.021, 0.605)])
def test_on_the_same_pole_the_city_has_no_say(nearest_km: float, share: float) -> None:
    assert spatial_fallback.city_share([nearest_km]) == pytest.approx(share, abs=0.001)
    assert spatial_fallback.blend(40.0, 100.0, share) == pytest.approx(40.0 + 60.0 * share)


def test_the_farther_and_fewer_the_neighbours_the_more_the_city_has_a_say() -> None:
    cases = ([0.1, 0.2, 0.3, 0.4], [0.1], [1.0], [3.0])
    shares = [spatial_fallback.city_share(distances) for distances in cases]
    assert shares == sorted(shares)
    assert shares[0] < 0.4
    assert 0.9 < shares[-1] < 1.0


def test_blending_takes_arrays_of_hours() -> None:
    blended = spatial_fallback.blend(np.array([10.0, 20.0]), np.array([20.0, 40.0]), 0.25)
    assert blended.tolist() == [12.5, 25.0]


def test_the_normal_quantile_leaves_a_twentieth_on_each_side() -> None:
    assert pytest.approx(norm.ppf(0.95), abs=1e-12) == spatial_fallback.Z_90
