"""The forecast for any place and hour: pure functions over an indexed snapshot.

The fallback chain, from narrow to wide intervals. `basis` says which step gave the answer:
1. a known counter in the published hours: its published forecast (`model`, `similar_days`, ...)
2. a known counter at any other hour: its typical week (`typical_week`)
3. an unknown counter with a position, or a counter without history: the mean of its neighbours, weighted by distance,
   and the city's profile, which weighs more the farther away they are (`neighbours`)
4. no counter nearby: the city's profile, which is the median over all counters (`city_profile`)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from velocast.core.datetimes import HOUR
from velocast.core.errors import TooLittleHistory
from velocast.model import spatial_fallback
from velocast.model.spatial_fallback import Z_90, blend, weighted_mean
from velocast.usecases.serving.snapshot_index import LocatedCounter, SnapshotIndex
from velocast.usecases.snapshot_format import Basis, CounterSnapshot

# The typical week reflects neither the current weather nor the trend, so its interval is wider than its own variation.
TYPICAL_WIDENING = 1.25


class Estimate(NamedTuple):
    """Bikes in one hour, the 90 % interval, the probability of a busy hour, the basis of the estimate, and quantiles.

    Quantiles are known of a published forecast only.
    """

    predicted_count: float
    lower: float
    upper: float
    busy_probability: float | None
    basis: Basis
    q25: float | None = None
    q50: float | None = None
    q75: float | None = None


class PastHour(NamedTuple):
    """A past hour: its count, the typical week's count, and its published forecast."""

    bike_count: float | None
    typical_count: float | None
    forecast: Estimate | None


def estimate(
    index: SnapshotIndex,
    target: datetime,
    *,
    counter: CounterSnapshot | None = None,
    position: tuple[float, float] | None = None,
) -> Estimate:
    """Estimate the hour that starts at `target` for a counter, or for a position (latitude, longitude).

    Raises TooLittleHistory when the snapshot contains no count of any counter.
    """
    if counter is not None:
        own = from_published(index, counter, target) or from_typical_week(index, counter, target)
        if own is not None:
            return own
        if counter.latitude is not None and counter.longitude is not None:
            position = (counter.latitude, counter.longitude)
    near = from_neighbours(index, position, target, counter) if position is not None else None
    return near or from_city_profile(index, counter, target)


def from_published(
    index: SnapshotIndex, counter: CounterSnapshot, target: datetime
) -> Estimate | None:
    """Return the published forecast of an hour; None outside the published hours."""
    hour = index.hour_index(target)
    if hour is None or not counter.predicted:
        return None
    value, lower, upper = counter.predicted[hour], counter.lower[hour], counter.upper[hour]
    busy = (
        counter.busy[hour] if counter.busy else _busy(value, lower, upper, counter.busy_threshold)
    )
    quantiles = (counter.q25, counter.q50, counter.q75)
    q25, q50, q75 = (None if known is None else round(known[hour], 1) for known in quantiles)
    found = _rounded(value, lower, upper, busy, counter.basis)
    return found._replace(q25=q25, q50=q50, q75=q75)


def from_typical_week(
    index: SnapshotIndex, counter: CounterSnapshot, target: datetime
) -> Estimate | None:
    """Return the estimate from the counter's typical week at that local hour; None when it has no value."""
    if counter.typical_week is None:
        return None
    hour = index.week_hour(target)
    value = counter.typical_week[hour]
    if value is None:
        return None
    spread = (counter.typical_spread[hour] if counter.typical_spread else None) or math.sqrt(value)
    lower, upper = value - TYPICAL_WIDENING * spread, value + TYPICAL_WIDENING * spread
    busy = _busy(value, lower, upper, counter.busy_threshold)
    return _rounded(value, lower, upper, busy, "typical_week")


def from_neighbours(
    index: SnapshotIndex,
    position: tuple[float, float],
    target: datetime,
    counter: CounterSnapshot | None = None,
) -> Estimate | None:
    """Return the mean of the nearest counters within 3 km, weighted by distance, blended with the city.

    None when no counter is near. At the position of a neighbour, the city's share is zero. The neighbours' interval
    spans all of theirs, because the place between them may be like any of them.
    """
    near = _nearest(index, index.plane.point(*position), counter)
    found = [(km, e) for km, c in near if (e := _own(index, c, target))]
    if not found:
        return None
    distances = [km for km, _ in found]
    weights = spatial_fallback.weights(distances)
    value = weighted_mean(weights, [e.predicted_count for _, e in found])
    lower, upper = min(e.lower for _, e in found), max(e.upper for _, e in found)
    chances = [
        (weight, e.busy_probability)
        for weight, (_, e) in zip(weights, found, strict=True)
        if e.busy_probability is not None
    ]
    busy = weighted_mean(*zip(*chances, strict=True)) if chances else None
    city = from_city_profile(index, None, target)
    share = spatial_fallback.city_share(distances)
    return _rounded(
        blend(value, city.predicted_count, share),
        blend(lower, city.lower, share),
        blend(upper, city.upper, share),
        busy,
        "neighbours",
    )


def from_city_profile(
    index: SnapshotIndex, counter: CounterSnapshot | None, target: datetime
) -> Estimate:
    """Return the median over all counters at the local hour of the week, scaled to the counter's level if known.

    Raises TooLittleHistory when no counter has any history.
    """
    if not index.profile:
        raise TooLittleHistory(
            f"the snapshot of {index.snapshot.published_at:%Y-%m-%d %H:%MZ} contains no count of any counter; "
            "run fetch until some days of counts are stored, then run predict"
        )
    level = counter.level if counter is not None else None
    scale = level / index.usual_level if level and index.usual_level else 1.0
    middle, low, high = (scale * v for v in index.profile[index.week_hour(target)])
    threshold = (counter.busy_threshold if counter else None) or index.usual_threshold
    return _rounded(middle, low, high, _busy(middle, low, high, threshold), "city_profile")


def coming_hours(
    index: SnapshotIndex, counter: CounterSnapshot, first: datetime, hours: int
) -> Iterator[tuple[datetime, Estimate]]:
    """Yield the estimates of `hours` hours from `first` on."""
    for step in range(hours):
        target = first + step * HOUR
        yield target, estimate(index, target, counter=counter)


def past_hours(
    index: SnapshotIndex, counter: CounterSnapshot, before: datetime, hours: int
) -> Iterator[tuple[datetime, PastHour]]:
    """Yield the `hours` hours before `before`, oldest first."""
    for step in range(hours, 0, -1):
        at = before - step * HOUR
        yield (
            at,
            PastHour(
                _counted(counter, at),
                _typical_count(index, counter, at),
                from_published(index, counter, at),
            ),
        )


def _counted(counter: CounterSnapshot, at: datetime) -> float | None:
    if counter.recent_from is None:
        return None
    hour = (at - counter.recent_from) // HOUR
    return counter.recent[hour] if 0 <= hour < len(counter.recent) else None


def _typical_count(index: SnapshotIndex, counter: CounterSnapshot, at: datetime) -> float | None:
    if counter.typical_week is None:
        return None
    return counter.typical_week[index.week_hour(at)]


def _own(index: SnapshotIndex, counter: CounterSnapshot, target: datetime) -> Estimate | None:
    if counter.basis in ("neighbours", "city_profile"):
        return from_typical_week(index, counter, target)
    return from_published(index, counter, target) or from_typical_week(index, counter, target)


def _nearest(
    index: SnapshotIndex, point: tuple[float, float], without: CounterSnapshot | None
) -> Sequence[tuple[float, CounterSnapshot]]:
    def distance(located: LocatedCounter) -> float:
        return math.hypot(located.x - point[0], located.y - point[1])

    return spatial_fallback.nearest(
        (distance(p), p.counter) for p in index.located if p.counter is not without
    )


def _busy(value: float, lower: float, upper: float, threshold: float | None) -> float | None:
    if threshold is None:
        return None
    deviation = (upper - lower) / 2 / Z_90
    if deviation <= 0:
        return float(value > threshold)
    return 0.5 * math.erfc((threshold - value) / deviation / math.sqrt(2))


def _rounded(
    value: float, lower: float, upper: float, busy: float | None, basis: Basis
) -> Estimate:
    return Estimate(
        round(max(0.0, value), 1),
        round(max(0.0, lower), 1),
        round(max(0.0, upper), 1),
        None if busy is None else round(busy, 3),
        basis,
    )
