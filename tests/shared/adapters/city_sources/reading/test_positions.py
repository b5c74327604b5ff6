"""Places of counters in every way of writing them, national coordinates among them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from velocast.adapters.city_sources.reading.positions import NOWHERE, place, position_of

WGS84 = "EPSG:4326"
LATITUDE, LONGITUDE = 48.85, 2.35


@pytest.mark.parametrize(
    "value",
    [
        {"lat": 48.85, "lon": 2.35},
        {"lat": "48.85", "lng": "2.35"},
        {"latitude": "48.85", "longitude": "2.35", "human_address": "{}"},
        {"x": 2.35, "y": 48.85},
        {"type": "Point", "coordinates": [2.35, 48.85]},
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [2.35, 48.85, 30]}},
        json.dumps({"type": "Point", "coordinates": [2.35, 48.85]}),
        "48.85,2.35",
        "48.85, 2.35",
        "(48.85, 2.35)",
        "[48.85; 2.35]",
        "POINT (2.35 48.85)",
        "Point(2.35 48.85)",
        "SRID=4326;POINT Z (2.35 48.85 30)",
    ],
    ids=str,
)
def test_understood(value: Any) -> None:
    assert position_of(value, WGS84) == (LATITUDE, LONGITUDE)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "here",
        "48.85",
        48.85,
        [2.35, 48.85],
        {"lat": 48.85},
        {"lat": None, "lon": 1},
        "91,2",
        "{",
        "nan,nan",
    ],
    ids=str,
)
def test_nowhere(value: Any) -> None:
    assert position_of(value, WGS84) == NOWHERE


@pytest.mark.parametrize(
    ("crs", "north", "east", "latitude", "longitude"),
    [
        # the Federal Observatory in Bern, origin of both Swiss systems (swisstopo)
        ("EPSG:2056", 1_200_000, 2_600_000, 46.95108, 7.43864),
        ("EPSG:21781", "200000", "600000", 46.95108, 7.43864),
        # origin of Lambert-93: 46.5 N, 3 E (IGN)
        ("EPSG:2154", 6_600_000, "700000,0", 46.5, 3.0),
    ],
)
def test_national_coordinates(
    crs: str, north: Any, east: Any, latitude: float, longitude: float
) -> None:
    assert place(north, east, crs) == pytest.approx((latitude, longitude), abs=1e-4)
