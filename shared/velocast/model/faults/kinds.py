"""The kinds of faults, and the quality that each gives to the hours it is about."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

FaultKind = Literal[
    "dead",
    "stuck",
    "halved",
    "doubled",
    "level_shift",
    "spike",
    "swapped",
    "clock_shift",
    "sparse",
]
QUALITY_OF: dict[FaultKind, str] = {
    "dead": "outage",
    "stuck": "stuck",
    "halved": "level_shift",
    "doubled": "level_shift",
    "level_shift": "level_shift",
    "spike": "spike",
    "swapped": "swapped",
    "clock_shift": "clock_shift",
    "sparse": "sparse",
}
NAMES: tuple[FaultKind, ...] = tuple(QUALITY_OF)


class Mark(IntEnum):
    """A fault in an array of hours; 0 is none. The others are in the order of NAMES."""

    NONE = 0
    DEAD = 1
    STUCK = 2
    HALVED = 3
    DOUBLED = 4
    LEVEL_SHIFT = 5
    SPIKE = 6
    SWAPPED = 7
    CLOCK_SHIFT = 8
    SPARSE = 9

    @property
    def kind(self) -> FaultKind:
        """The kind's name. Raises IndexError for NONE."""
        if not self:
            raise IndexError("no fault has no kind")
        return NAMES[self - 1]


LEVELS = (Mark.HALVED, Mark.DOUBLED, Mark.LEVEL_SHIFT)


def level_of(share: float) -> Mark:
    """Return the kind of a lasting change of level to `share` of what is usual."""
    if 1.5 <= share <= 3.0:
        return Mark.DOUBLED
    return Mark.HALVED if 1 / 3 <= share <= 0.68 else Mark.LEVEL_SHIFT
