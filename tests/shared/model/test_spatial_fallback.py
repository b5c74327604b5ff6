"""Blending of neighbours and city, whoever asks: `predict` for a counter without counts, `serve` for a position."""

from __future__ import annotations

import pytest
from scipy.stats import norm

from velocast.model import spatial_fallback


def test_at_most_four_neighbours_within_3_km_the_nearest_first() -> None:
    distances = [(2.9, "e"), (0.5, "b"), (3.1, "far"), (0.1, "a"), (1.0, "c"), (2.0, "d")]
    near = [name for _, name in spatial_fallback.nearest(distances)]
    assert near == ["a", "b", "c", "d"]


def test_a_counter_on_the_same_pole_does_not_outweigh_all_others() -> None:
    assert spatial_fallback.weights([0.0, 0.1, 1.0]) == pytest.approx([10.0, 10.0, 1.0])
    assert spatial_fallback.weighted_mean([10.0, 1.0], [20.0, 130.0]) == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("nearest_km", "blended"), [(0.0, 40.0), (0.02, 40.0), (0.021, 70.0), (2.0, 70.0)]
)
def test_the_city_has_half_a_say_but_none_on_the_same_pole(
    nearest_km: float, blended: float
) -> None:
    assert spatial_fallback.blend(40.0, 100.0, nearest_km) == pytest.approx(blended)


def test_the_normal_quantile_leaves_a_twentieth_on_each_side() -> None:
    assert pytest.approx(norm.ppf(0.95), abs=1e-12) == spatial_fallback.Z_90
