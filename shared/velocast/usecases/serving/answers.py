"""What is answered for a place and an hour: pure functions over a prepared snapshot.

The steps down, each with a wider interval, and `basis` says which was taken:
1. a known counter within the published hours: its published forecast (`model`, `similar_days`, ...)
2. a known counter at any other hour: its typical week (`typical_week`)
3. a place, or a counter without history: half what its neighbours hold, weighted by nearness, half what the city does
   (`neighbours`)
4. far from everything: the middle of the city's counters (`city_profile`)
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
from velocast.usecases.serving.lookup import Board, Placed
from velocast.usecases.snapshot_format import Basis, CounterSnapshot

# The typical week knows neither this week's weather nor its trend, so its band is drawn wider than its own scatter.
TYPICAL_WIDENING = 1.25


class Estimate(NamedTuple):
    """Bikes in one hour, the 90 % interval, the probability that it is a busy hour, and what all of it rests on."""

    predicted_count: float
    lower: float
    upper: float
    busy_probability: float | None
    basis: Basis


class Past(NamedTuple):
    """What is known of a past hour: the count, the typical week, and the forecast of a published hour."""

    bike_count: float | None
    typical_count: float | None
    forecast: Estimate | None


def estimate(
    board: Board,
    target: datetime,
    *,
    counter: CounterSnapshot | None = None,
    position: tuple[float, float] | None = None,
) -> Estimate:
    """Forecast the hour that starts at `target` for a counter, or for a position (latitude, longitude).

    Raises TooLittleHistory when the snapshot holds no count of any counter.
    """
    if counter is not None:
        own = published(board, counter, target) or typical(board, counter, target)
        if own is not None:
            return own
        if counter.latitude is not None and counter.longitude is not None:
            position = (counter.latitude, counter.longitude)
    near = neighbours(board, position, target, counter) if position is not None else None
    return near or city_profile(board, counter, target)


def published(board: Board, counter: CounterSnapshot, target: datetime) -> Estimate | None:
    """Return the published forecast of an hour, None outside the published hours."""
    index = board.hour_index(target)
    if index is None or not counter.predicted:
        return None
    value, lower, upper = counter.predicted[index], counter.lower[index], counter.upper[index]
    busy = (
        counter.busy[index] if counter.busy else _busy(value, lower, upper, counter.busy_threshold)
    )
    return _rounded(value, lower, upper, busy, counter.basis)


def typical(board: Board, counter: CounterSnapshot, target: datetime) -> Estimate | None:
    """Return what the counter's typical week holds at the hour's local place, None where it holds nothing."""
    if counter.typical_week is None:
        return None
    hour = board.week_hour(target)
    value = counter.typical_week[hour]
    if value is None:
        return None
    spread = (counter.typical_spread[hour] if counter.typical_spread else None) or math.sqrt(value)
    lower, upper = value - TYPICAL_WIDENING * spread, value + TYPICAL_WIDENING * spread
    busy = _busy(value, lower, upper, counter.busy_threshold)
    return _rounded(value, lower, upper, busy, "typical_week")


def neighbours(
    board: Board,
    position: tuple[float, float],
    target: datetime,
    counter: CounterSnapshot | None = None,
) -> Estimate | None:
    """Return the mean of the nearest counters within 3 km, weighted by nearness, and of the city, half of each; None
    when none is near. At a counter's own pole the city is left out.

    The neighbours' interval spans theirs: how far they lie apart is what is unknown about the place between them.
    """
    near = _nearest(board, board.plane.point(*position), counter)
    found = [(km, e) for km, c in near if (e := _own(board, c, target))]
    if not found:
        return None
    weights = spatial_fallback.weights([km for km, _ in found])
    value = weighted_mean(weights, [e.predicted_count for _, e in found])
    lower, upper = min(e.lower for _, e in found), max(e.upper for _, e in found)
    chances = [
        (weight, e.busy_probability)
        for weight, (_, e) in zip(weights, found, strict=True)
        if e.busy_probability is not None
    ]
    busy = weighted_mean(*zip(*chances, strict=True)) if chances else None
    city = city_profile(board, None, target)
    nearest_km = found[0][0]
    return _rounded(
        blend(value, city.predicted_count, nearest_km),
        blend(lower, city.lower, nearest_km),
        blend(upper, city.upper, nearest_km),
        busy,
        "neighbours",
    )


def city_profile(board: Board, counter: CounterSnapshot | None, target: datetime) -> Estimate:
    """Return the middle of all counters at the hour's local place in the week, scaled to the counter's level if known.

    Raises TooLittleHistory when no counter has any history.
    """
    if not board.profile:
        raise TooLittleHistory(
            f"the snapshot of {board.snapshot.published_at:%Y-%m-%d %H:%MZ} holds no count of any counter; "
            "let fetch store some days of counts, then run predict"
        )
    level = counter.level if counter is not None else None
    scale = level / board.usual_level if level and board.usual_level else 1.0
    middle, low, high = (scale * v for v in board.profile[board.week_hour(target)])
    threshold = (counter.busy_threshold if counter else None) or board.usual_threshold
    return _rounded(middle, low, high, _busy(middle, low, high, threshold), "city_profile")


def coming(
    board: Board, counter: CounterSnapshot, first: datetime, hours: int
) -> Iterator[tuple[datetime, Estimate]]:
    """Give the forecast of `hours` hours from `first` on."""
    for step in range(hours):
        target = first + step * HOUR
        yield target, estimate(board, target, counter=counter)


def past(
    board: Board, counter: CounterSnapshot, before: datetime, hours: int
) -> Iterator[tuple[datetime, Past]]:
    """Give the `hours` hours before `before`, oldest first, with what is known of each."""
    for step in range(hours, 0, -1):
        at = before - step * HOUR
        yield (
            at,
            Past(
                _counted(counter, at),
                _typical_count(board, counter, at),
                published(board, counter, at),
            ),
        )


def _counted(counter: CounterSnapshot, at: datetime) -> float | None:
    if counter.recent_from is None:
        return None
    index = (at - counter.recent_from) // HOUR
    return counter.recent[index] if 0 <= index < len(counter.recent) else None


def _typical_count(board: Board, counter: CounterSnapshot, at: datetime) -> float | None:
    if counter.typical_week is None:
        return None
    return counter.typical_week[board.week_hour(at)]


def _own(board: Board, counter: CounterSnapshot, target: datetime) -> Estimate | None:
    if counter.basis in ("neighbours", "city_profile"):
        return typical(board, counter, target)
    return published(board, counter, target) or typical(board, counter, target)


def _nearest(
    board: Board, point: tuple[float, float], without: CounterSnapshot | None
) -> Sequence[tuple[float, CounterSnapshot]]:
    def distance(placed: Placed) -> float:
        return math.hypot(placed.x - point[0], placed.y - point[1])

    return spatial_fallback.nearest(
        (distance(p), p.counter) for p in board.placed if p.counter is not without
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
