"""Forecasts for a place without history, from its neighbours and from the city as a whole.

`predict` uses it for counters that have never counted, `serve` for positions and for counters without a forecast. It is
pure Python, because `serve` loads neither numpy nor pandas.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp
from statistics import NormalDist
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class _Blendable(Protocol):
    """A number, or an array of numbers."""

    def __add__(self, other: Any, /) -> Any: ...

    def __sub__(self, other: Any, /) -> Any: ...


Count = TypeVar("Count", bound=_Blendable)

NEIGHBOURS = 4
NEIGHBOUR_KM = 3.0
# A neighbour's weight falls to 1/e over this distance. The city's value weighs as much as one and a half counters at
# the place itself. For counters whose history was hidden, R2 was 0.45 in Paris and 0.28 in Montréal; with weights of
# 1/distance and half of the city's value, it was 0.41 and 0.24.
FALL_OFF_KM = 1.0
CITY_WEIGHT = 1.5
SAME_KM = 0.02  # within this distance it is the same pole, and the city's value is not used
# Half the width of a 90 % interval of a normal error, in standard deviations.
Z_90 = NormalDist().inv_cdf(0.95)


def nearest(distances: Iterable[tuple[float, T]]) -> list[tuple[float, T]]:
    """Return the neighbours among (km, counter): at most NEIGHBOURS within NEIGHBOUR_KM, nearest first."""
    near = (found for found in distances if found[0] <= NEIGHBOUR_KM)
    return sorted(near, key=lambda found: found[0])[:NEIGHBOURS]


def weights(distances: Sequence[float]) -> list[float]:
    """Return the weight of each neighbour by its distance in km, at most 1."""
    return [exp(-km / FALL_OFF_KM) for km in distances]


def weighted_mean(weights: Sequence[float], values: Sequence[float]) -> float:
    """Return the weighted mean of values. At least one weight must be above 0."""
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


def city_share(distances: Sequence[float]) -> float:
    """Return the share of the city's value in a blend with neighbours at these distances in km, nearest first.

    It is 0 within SAME_KM of a counter.
    """
    if distances[0] <= SAME_KM:
        return 0.0
    return CITY_WEIGHT / (CITY_WEIGHT + sum(weights(distances)))


def blend(neighbours: Count, city: Count, share: float) -> Count:
    """Return the blend of the neighbours' value and the city's, or of arrays of values. share: the city's."""
    blended: Count = neighbours + share * (city - neighbours)
    return blended
