"""A snapshot made ready to answer from: looked up by id, name, hour and place in no time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import NamedTuple
from zoneinfo import ZoneInfo

from velocast.core.datetimes import HOUR
from velocast.core.geo import Plane
from velocast.usecases.serving.api_types import Point
from velocast.usecases.snapshot_format import HOURS_PER_WEEK, CounterSnapshot, Snapshot

LOW, HIGH = 0.05, 0.95


class Profile(NamedTuple):
    """What the counters of the city hold in one local hour of the week: median, 5th and 95th percentile, bikes."""

    middle: float
    low: float
    high: float


class Placed(NamedTuple):
    """A counter that can speak for its surroundings, at `x`, `y` km."""

    x: float
    y: float
    counter: CounterSnapshot


@dataclass(frozen=True)
class Board:
    """Everything a request needs, computed once for each snapshot.

    profile: one entry for each of the 168 local hours of the week; empty when no counter has any history.
    usual_level, usual_threshold: medians over the counters; None when no counter has one.
    """

    snapshot: Snapshot
    zone: ZoneInfo
    by_id: dict[str, CounterSnapshot]
    by_name: dict[str, tuple[CounterSnapshot, ...]]
    placed: tuple[Placed, ...]
    profile: tuple[Profile, ...]
    usual_level: float | None
    usual_threshold: float | None
    plane: Plane
    # Filled by the first request for each counter: the published hours as they are answered.
    points: dict[str, tuple[Point, ...]] = field(default_factory=dict)

    def hour_index(self, target: datetime) -> int | None:
        """Return the place of an hour among the published ones, None when it lies outside."""
        if not self.snapshot.hours:
            return None
        index = (target - self.snapshot.hours[0]) // HOUR
        return index if 0 <= index < len(self.snapshot.hours) else None

    def current_hour(self, now: datetime) -> tuple[datetime, bool]:
        """Return the hour that the coming hours start with, and whether the snapshot is stale.

        It is the running hour, or that of the publication when now lies outside the published hours: an old snapshot
        then still answers, and says so.
        """
        hour = floor_hour(now)
        if self.hour_index(hour) is not None:
            return hour, False
        return floor_hour(self.snapshot.published_at), True

    def week_hour(self, target: datetime) -> int:
        """Return the local hour of the week, 0 (Monday 0 h) to 167."""
        local = target.astimezone(self.zone)
        return local.weekday() * 24 + local.hour


def prepare(snapshot: Snapshot) -> Board:
    """Build the board of a snapshot. Raises ZoneInfoNotFoundError when the city's zone is unknown."""
    zone = ZoneInfo(snapshot.city.time_zone)
    names: dict[str, list[CounterSnapshot]] = defaultdict(list)
    for counter in snapshot.counters:
        if counter.counter_name:
            names[name_key(counter.counter_name)].append(counter)
    plane = Plane.at(_median(c.latitude for c in snapshot.counters) or 0.0)
    return Board(
        snapshot=snapshot,
        zone=zone,
        by_id={c.counter_id: c for c in snapshot.counters},
        by_name={name: tuple(counters) for name, counters in names.items()},
        placed=tuple(_place(snapshot.counters, plane)),
        profile=_profile(snapshot, zone),
        usual_level=_median(c.level for c in snapshot.counters),
        usual_threshold=_median(c.busy_threshold for c in snapshot.counters),
        plane=plane,
    )


def floor_hour(instant: datetime) -> datetime:
    """Return the start of the UTC hour that an instant lies in, in UTC."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def name_key(name: str) -> str:
    """Return a counter's name as it is compared: case and runs of white space do not count."""
    return " ".join(name.split()).casefold()


def has_history(counter: CounterSnapshot) -> bool:
    """Tell whether a counter's own counts stand behind its forecast or typical week."""
    own = counter.basis in ("model", "similar_days", "typical_week") and bool(counter.predicted)
    return own or counter.typical_week is not None


def _median(values: Iterator[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return median(known) if known else None


def _place(counters: Sequence[CounterSnapshot], plane: Plane) -> Iterator[Placed]:
    for c in counters:
        if c.latitude is not None and c.longitude is not None and has_history(c):
            yield Placed(*plane.point(c.latitude, c.longitude), c)


def _profile(snapshot: Snapshot, zone: ZoneInfo) -> tuple[Profile, ...]:
    slots: list[list[float]] = [[] for _ in range(HOURS_PER_WEEK)]
    local = [h.astimezone(zone) for h in snapshot.hours]
    week_hours = [h.weekday() * 24 + h.hour for h in local]
    for counter in snapshot.counters:
        if counter.typical_week is not None:
            for slot, value in zip(slots, counter.typical_week, strict=True):
                slot.extend([] if value is None else [value])
        elif has_history(counter):  # what was borrowed from others tells nothing of the city
            for hour, predicted in zip(week_hours, counter.predicted, strict=False):
                slots[hour].append(predicted)
    everything = [value for slot in slots for value in slot]
    if not everything:
        return ()
    # An hour of the week that nobody knows yet takes the same hour of the other days, else all hours.
    days = [[v for slot in slots[hour::24] for v in slot] for hour in range(24)]
    return tuple(_spread(slot or days[i % 24] or everything) for i, slot in enumerate(slots))


def _spread(values: Sequence[float]) -> Profile:
    ordered = sorted(values)
    last = len(ordered) - 1
    low, high = ordered[math.floor(last * LOW)], ordered[math.ceil(last * HIGH)]
    return Profile(median(ordered), low, high)
