"""Forecasts for a place without history of its own: from its neighbours and from the city as a whole.

`predict` uses it for counters that never counted, `serve` for a position and for counters without a forecast. Pure
Python: `serve` loads neither numpy nor pandas.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import TypeVar

T = TypeVar("T")

NEIGHBOURS = 4
NEIGHBOUR_KM = 3.0
# Two counters on one pole are not infinitely near: the floor keeps one of them from silencing the other.
NEAREST_KM = 0.1
# Streets differ more than places: with their history hidden, counters of Paris were missed by 63 bikes with their
# neighbours alone, by 62 with the median of the city, by 58 with half of each.
CITY_SHARE = 0.5
SAME_KM = 0.02  # within this distance it is the same pole, and the city has nothing to add
Z_90 = NormalDist().inv_cdf(
    0.95
)  # half the width of a 90 % interval, in standard deviations of a normal error


def nearest(distances: Iterable[tuple[float, T]]) -> list[tuple[float, T]]:
    """Return the neighbours among (km, counter): at most NEIGHBOURS within NEIGHBOUR_KM, the nearest first."""
    near = (found for found in distances if found[0] <= NEIGHBOUR_KM)
    return sorted(near, key=lambda found: found[0])[:NEIGHBOURS]


def weights(distances: Sequence[float]) -> list[float]:
    """Return how much each neighbour counts, by its distance in km; not normalised."""
    return [1 / max(km, NEAREST_KM) for km in distances]


def weighted_mean(weights: Sequence[float], values: Sequence[float]) -> float:
    """Return the weighted mean of values; at least one weight is above 0."""
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


def blend(neighbours: float, city: float, nearest_km: float) -> float:
    """Blend the neighbours' value with the city's; at a counter's own pole the city is left out."""
    share = 0.0 if nearest_km <= SAME_KM else CITY_SHARE
    return neighbours + share * (city - neighbours)
