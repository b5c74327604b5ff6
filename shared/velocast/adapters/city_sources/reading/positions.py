"""Places of counters, in the ways that cities write them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any

WGS84 = "EPSG:4326"
_WKT = re.compile(r"(?:SRID=\d+;)?\s*POINT\s*Z?\s*\(\s*([^\s,()]+)\s+([^\s,()]+)", re.IGNORECASE)
_PAIR = re.compile(r"[(\[]?\s*([-+]?[\d.]+)\s*[,;]\s*([-+]?[\d.]+)\s*[)\]]?")
_NAMES = (("lat", "lon"), ("lat", "lng"), ("latitude", "longitude"), ("y", "x"))
ReadPosition = tuple[float | None, float | None]
NOWHERE: ReadPosition = (None, None)


def position_of(value: Any, crs: str) -> ReadPosition:
    """Return latitude and longitude in degrees (WGS 84); None for both if the value is no place.

    value: an object ({"lat", "lon"}, {"latitude", "longitude"}, {"x", "y"}), GeoJSON, both also as text, WKT, or text
    "latitude,longitude". crs: the reference system of its numbers.
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return NOWHERE
    if isinstance(value, dict):
        return _from_object(value, crs)
    if isinstance(value, str):
        if found := _WKT.match(value.strip()):
            return place(found.group(2), found.group(1), crs)
        if found := _PAIR.fullmatch(value.strip()):
            return place(found.group(1), found.group(2), crs)
    return NOWHERE


def place(north: Any, east: Any, crs: str) -> ReadPosition:
    """Return latitude and longitude in degrees (WGS 84) from coordinates in a reference system; None, None if wrong."""
    try:
        y, x = float(_with_point(north)), float(_with_point(east))
    except (TypeError, ValueError, OverflowError):
        return NOWHERE
    if not (math.isfinite(x) and math.isfinite(y)):
        return NOWHERE
    if crs.upper() != WGS84:
        x, y = _to_wgs84(crs)(x, y)
    return (y, x) if abs(y) <= 90 and abs(x) <= 180 else NOWHERE


def _with_point(value: Any) -> Any:
    return value.strip().replace(",", ".") if isinstance(value, str) else value


def _from_object(value: dict[str, Any], crs: str) -> ReadPosition:
    coordinates = value.get("coordinates")
    if isinstance(coordinates, list) and len(coordinates) >= 2:  # GeoJSON: longitude first
        return place(coordinates[1], coordinates[0], crs)
    if isinstance(value.get("geometry"), dict):
        return _from_object(value["geometry"], crs)
    for north, east in _NAMES:
        if north in value and east in value:
            return place(value[north], value[east], crs)
    return NOWHERE


@cache
def _to_wgs84(crs: str) -> Callable[[float, float], tuple[float, float]]:
    from pyproj import Transformer  # 30 MB, and only few cities publish national coordinates

    transform: Callable[[float, float], tuple[float, float]] = Transformer.from_crs(
        crs, WGS84, always_xy=True
    ).transform
    return transform
