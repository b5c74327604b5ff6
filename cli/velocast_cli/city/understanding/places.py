"""Where a table holds the positions of counters, and in which reference system."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from velocast_cli.city.understanding import words
from velocast_cli.city.understanding.cells import NumberFormat

_BOTH = re.compile(
    r"^\s*(?:\(?\[?-?\d{1,3}\.\d+\s*[,; ]\s*-?\d{1,3}\.\d+\]?\)?|POINT\s*Z?\s*\(.*\)"
    r"|\{.*(?:\"lat|\"coordinates\"|\"latitude).*\})\s*$",
    re.IGNORECASE,
)
_LATITUDE = frozenset(
    ["lat", "latitude", "breite", "breitengrad", "latitud", "latitudine", "breedtegraad"]
)
_LONGITUDE = frozenset(
    [
        "lon",
        "lng",
        "long",
        "longitude",
        "lange",
        "laenge",
        "langengrad",
        "longitud",
        "longitudine",
        "lengtegraad",
    ]
)
_EAST = frozenset(
    ["x", "ost", "easting", "east", "e", "rechtswert", "coordx", "coord", "xkoordinate", "ostwert"]
)
_NORTH = frozenset(
    ["y", "nord", "northing", "north", "n", "hochwert", "coordy", "ykoordinate", "nordwert"]
)
# reference systems of grids in metres: east from, to, north from, to
GRIDS = {
    "EPSG:2056": (2_450_000, 2_850_000, 1_050_000, 1_310_000),  # Switzerland, LV95
    "EPSG:21781": (450_000, 850_000, 50_000, 310_000),  # Switzerland, LV03
    "EPSG:2154": (90_000, 1_260_000, 6_000_000, 7_200_000),  # France, Lambert 93
    "EPSG:25832": (250_000, 950_000, 4_900_000, 6_200_000),  # Germany, Denmark, Italy: UTM 32
    "EPSG:2180": (140_000, 900_000, 120_000, 800_000),  # Poland
    "EPSG:28992": (-7_000, 300_000, 289_000, 629_000),  # Netherlands
    "EPSG:31370": (14_000, 297_000, 21_000, 246_000),  # Belgium
    "EPSG:27700": (0, 700_000, 0, 1_300_000),  # Great Britain
    "EPSG:2157": (400_000, 800_000, 500_000, 970_000),  # Ireland
}
_ONLY_IN = {
    "EPSG:21781": ("Europe/Zurich",),
    "EPSG:2154": ("Europe/Paris",),
    "EPSG:2180": ("Europe/Warsaw",),
    "EPSG:28992": ("Europe/Amsterdam",),
    "EPSG:31370": ("Europe/Brussels",),
    "EPSG:27700": ("Europe/London",),
    "EPSG:2157": ("Europe/Dublin",),
    "EPSG:25832": ("Europe/Berlin", "Europe/Copenhagen", "Europe/Oslo", "Europe/Rome"),
}


@dataclass(frozen=True)
class PlaceColumns:
    """The columns of the position: one with both coordinates, or two. extent: their smallest and largest values."""

    position: str | None = None
    latitude: str | None = None
    longitude: str | None = None
    extent: tuple[float, float, float, float] | None = None  # west, east, south, north

    @property
    def columns(self) -> list[str]:
        """All of them."""
        return [c for c in (self.position, self.latitude, self.longitude) if c]

    def crs(self, time_zone: str) -> str | None:
        """Return the reference system; None where it is not known for certain."""
        if self.position or self.extent is None:
            return "EPSG:4326"
        west, east, south, north = self.extent
        if -180 <= west <= east <= 180 and -90 <= south <= north <= 90:
            return "EPSG:4326"
        fitting = [
            name
            for name, (w, e, s, n) in GRIDS.items()
            if w <= west
            and east <= e
            and s <= south
            and north <= n
            and time_zone in _ONLY_IN.get(name, (time_zone,))
        ]
        return fitting[0] if len(fitting) == 1 else None


def find_place_columns(frame: pd.DataFrame, style: NumberFormat) -> PlaceColumns:
    """Return where the position of a counter is, if anywhere."""
    for name in frame.columns:
        values = pd.unique(frame[name].dropna())[:200]
        if len(values) and all(_BOTH.match(v) for v in values):
            return PlaceColumns(position=str(name))
    for east_words, north_words, limit in ((_LONGITUDE, _LATITUDE, 0.0), (_EAST, _NORTH, 1000.0)):
        easts = _named(frame, east_words, style, limit)
        norths = _named(frame, north_words, style, limit)
        if easts and norths:
            (east, x), (north, y) = easts, norths
            return PlaceColumns(
                None, north, east, (float(x.min()), float(x.max()), float(y.min()), float(y.max()))
            )
    return PlaceColumns()


def _named(
    frame: pd.DataFrame, names: frozenset[str], style: NumberFormat, limit: float
) -> tuple[str, pd.Series] | None:
    """Return a column of coordinates and its values. limit: the least of a grid in metres, 0 for degrees."""
    for name in frame.columns:
        if not words.has(name, names):
            continue
        values = pd.Series(style.parse(frame[name])).replace(0, np.nan).dropna()
        if values.empty or len(values) < 0.5 * frame[name].notna().sum():
            values = (
                pd.to_numeric(frame[name].str.replace(",", "."), errors="coerce")
                .replace(0, np.nan)
                .dropna()
            )
        if values.empty:
            continue
        degrees = values.abs().max() <= 180 and (values % 1 != 0).mean() > 0.5
        if (
            degrees
            if not limit
            else (values.min() > limit and values.nunique() <= max(50, len(values) // 4))
        ):
            return str(name), values
    return None
