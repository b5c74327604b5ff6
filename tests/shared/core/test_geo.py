"""Distances on the plane, against the great circle and against surveyed distances."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

import numpy as np
import pytest

from velocast.core.geo import Plane, Position, distance_km

EARTH_KM = 6371.0
EIFFEL_TOWER, NOTRE_DAME = (48.85837, 2.294481), (48.852968, 2.349902)


def great_circle_km(one: Position, other: Position) -> float:
    """The haversine formula."""
    lat, other_lat = radians(one[0]), radians(other[0])
    north, east = other_lat - lat, radians(other[1] - one[1])
    return (
        2
        * EARTH_KM
        * asin(sqrt(sin(north / 2) ** 2 + cos(lat) * cos(other_lat) * sin(east / 2) ** 2))
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (EIFFEL_TOWER, NOTRE_DAME),
        ((51.9607, 7.6261), (51.9707, 7.6461)),  # Muenster
        ((-37.8136, 144.9631), (-37.8036, 144.9531)),  # Melbourne, south of the equator
        ((64.1466, -21.9426), (64.1366, -21.9026)),  # Reykjavik, far north
    ],
)
def test_a_distance_is_the_great_circle_s_within_a_thousandth(
    one: Position, other: Position
) -> None:
    assert distance_km(one, other) == pytest.approx(great_circle_km(one, other), rel=1e-3)
    assert distance_km(one, other) == pytest.approx(distance_km(other, one), rel=1e-3)


def test_the_eiffel_tower_is_4_km_from_notre_dame() -> None:
    assert distance_km(EIFFEL_TOWER, NOTRE_DAME) == pytest.approx(4.1, abs=0.05)


def test_a_plane_takes_arrays_of_positions() -> None:
    plane = Plane.at(48.86)
    x, y = plane.point(np.array([48.85, 48.86]), np.array([2.3, 2.4]))
    assert [(x[1], y[1])] == [plane.point(48.86, 2.4)]
