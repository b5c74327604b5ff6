"""Distances within a city, by an equirectangular projection that is accurate to metres at the size of a city."""

from __future__ import annotations

from math import cos, hypot, radians
from typing import Any, NamedTuple, Protocol, TypeVar

KM_PER_DEGREE = 111.195  # of latitude, on a sphere of 6,371 km
Position = tuple[float, float]  # latitude, longitude in degrees (WGS 84)


class _Scalable(Protocol):
    """A number, or an array of numbers."""

    def __mul__(self, factor: float, /) -> Any: ...


Degrees = TypeVar("Degrees", bound=_Scalable)


class Plane(NamedTuple):
    """A local projection at one latitude, with axes in km to the east (x) and north (y)."""

    km_per_longitude: float

    @classmethod
    def at(cls, latitude: float) -> Plane:
        """Return the plane for a latitude, in degrees."""
        return cls(KM_PER_DEGREE * cos(radians(latitude)))

    def point(self, latitude: Degrees, longitude: Degrees) -> tuple[Degrees, Degrees]:
        """Return a position, or arrays of positions, as (x, y) in km."""
        return longitude * self.km_per_longitude, latitude * KM_PER_DEGREE


def distance_km(one: Position, other: Position) -> float:
    """Return the distance between two positions within a city, in km."""
    plane = Plane.at(one[0])
    (x, y), (other_x, other_y) = plane.point(*one), plane.point(*other)
    return hypot(other_x - x, other_y - y)
