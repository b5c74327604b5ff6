"""An area of a city."""

from __future__ import annotations

from velocast.core.city.reading import Strict


class BoundingBox(Strict):
    """The area in which a counter of the city can be, in degrees (WGS 84)."""

    south: float
    west: float
    north: float
    east: float

    def contains(self, latitude: float, longitude: float) -> bool:
        """Return whether a position is inside the box, edges included."""
        return self.south <= latitude <= self.north and self.west <= longitude <= self.east
