"""An index of a snapshot for fast lookups by counter id, name, hour and position."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import NamedTuple
from zoneinfo import ZoneInfo

from velocast.core.datetimes import HOUR, start_of_hour
from velocast.core.geo import Plane
from velocast.usecases.serving.api_types import Point
from velocast.usecases.site.page_data import PageData
from velocast.usecases.snapshot_format import (
    HOURS_PER_WEEK,
    Basis,
    Bounds,
    CounterSnapshot,
    Snapshot,
)

LOW, HIGH = 0.05, 0.95
# Without a described area, the city's is that of its counters and this much around it, in degrees.
MARGIN = 0.1


class Profile(NamedTuple):
    """Bikes over the city's counters in one local hour of the week: median, 5th and 95th percentile."""

    middle: float
    low: float
    high: float


class LocatedCounter(NamedTuple):
    """A counter with its own history, at `x`, `y` km: usable as a neighbour."""

    x: float
    y: float
    counter: CounterSnapshot


class CachedAnswer(NamedTuple):
    """A serialized response, and how many forecasts of each basis it has."""

    text: str
    bases: Counter[Basis]


@dataclass(frozen=True)
class SnapshotIndex:
    """Everything a request needs, computed once per snapshot.

    profile: one entry for each of the 168 local hours of the week; empty when no counter has any history.
    usual_level, usual_threshold: medians over the counters; None when no counter has one. area: where the city's places
    are; None when neither the city nor a counter says it.
    """

    snapshot: Snapshot
    zone: ZoneInfo
    by_id: dict[str, CounterSnapshot]
    by_name: dict[str, tuple[CounterSnapshot, ...]]
    located: tuple[LocatedCounter, ...]
    profile: tuple[Profile, ...]
    usual_level: float | None
    usual_threshold: float | None
    area: Bounds | None
    plane: Plane
    page_data: PageData
    # The published hours of each counter as the API returns them, filled by the first request for it.
    points: dict[str, tuple[Point, ...]] = field(default_factory=dict)
    # Serialized responses, with their forecasts counted by basis; the key says what the response depends on.
    answers: dict[Hashable, CachedAnswer] = field(default_factory=dict)

    def hour_index(self, target: datetime) -> int | None:
        """Return the position of an hour in the published hours, None when it is outside."""
        if not self.snapshot.hours:
            return None
        index = (target - self.snapshot.hours[0]) // HOUR
        return index if 0 <= index < len(self.snapshot.hours) else None

    def current_hour(self, now: datetime) -> tuple[datetime, bool]:
        """Return the first hour to forecast, and whether the snapshot is stale.

        This is the current hour or, when the current time is outside the published hours, the hour of publication: a
        stale snapshot is still served and marked as stale. A replay is always at its hour of publication and not stale.
        """
        if self.snapshot.clock == "replay":
            return self.hour_of(self.snapshot.published_at), False
        hour = self.hour_of(now)
        if self.hour_index(hour) is not None:
            return hour, False
        return self.hour_of(self.snapshot.published_at), True

    def hour_of(self, instant: datetime) -> datetime:
        """Return the start (UTC) of the hour of the city's clock that contains an instant."""
        return start_of_hour(instant, self.zone)

    def week_hour(self, target: datetime) -> int:
        """Return the local hour of the week, 0 (Monday 0 h) to 167."""
        local = target.astimezone(self.zone)
        return local.weekday() * 24 + local.hour


def build_index(snapshot: Snapshot) -> SnapshotIndex:
    """Build the index of a snapshot. Raises ZoneInfoNotFoundError when the city's zone is unknown."""
    zone = ZoneInfo(snapshot.city.time_zone)
    names: dict[str, list[CounterSnapshot]] = defaultdict(list)
    for counter in snapshot.counters:
        if counter.counter_name:
            names[name_key(counter.counter_name)].append(counter)
    plane = Plane.at(_median(c.latitude for c in snapshot.counters) or 0.0)
    return SnapshotIndex(
        snapshot=snapshot,
        zone=zone,
        by_id={c.counter_id: c for c in snapshot.counters},
        by_name={name: tuple(counters) for name, counters in names.items()},
        located=tuple(_located(snapshot.counters, plane)),
        profile=_profile(snapshot, zone),
        usual_level=_median(c.level for c in snapshot.published),
        usual_threshold=_median(c.busy_threshold for c in snapshot.published),
        area=snapshot.city.bounding_box or _around(snapshot.counters),
        plane=plane,
        page_data=PageData(snapshot),
    )


def _around(counters: Sequence[CounterSnapshot]) -> Bounds | None:
    latitudes = [c.latitude for c in counters if c.latitude is not None]
    longitudes = [c.longitude for c in counters if c.longitude is not None]
    if not latitudes or not longitudes:
        return None
    return Bounds(
        south=min(latitudes) - MARGIN,
        west=min(longitudes) - MARGIN,
        north=max(latitudes) + MARGIN,
        east=max(longitudes) + MARGIN,
    )


def name_key(name: str) -> str:
    """Return a counter's name for comparison, ignoring case and repeated white space."""
    return " ".join(name.split()).casefold()


def has_history(counter: CounterSnapshot) -> bool:
    """Return whether a counter's forecast or typical week is based on its own counts."""
    own = counter.basis in ("model", "similar_days", "typical_week") and bool(counter.predicted)
    return own or counter.typical_week is not None


def _median(values: Iterator[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return median(known) if known else None


def _located(counters: Sequence[CounterSnapshot], plane: Plane) -> Iterator[LocatedCounter]:
    for c in counters:
        if c.latitude is not None and c.longitude is not None and has_history(c):
            yield LocatedCounter(*plane.point(c.latitude, c.longitude), c)


def _profile(snapshot: Snapshot, zone: ZoneInfo) -> tuple[Profile, ...]:
    slots: list[list[float]] = [[] for _ in range(HOURS_PER_WEEK)]
    local = [h.astimezone(zone) for h in snapshot.hours]
    week_hours = [h.weekday() * 24 + h.hour for h in local]
    for counter in snapshot.published:
        if counter.typical_week is not None:
            for slot, value in zip(slots, counter.typical_week, strict=True):
                slot.extend([] if value is None else [value])
        elif has_history(counter):  # forecasts based on other counters add nothing to the profile
            for hour, predicted in zip(week_hours, counter.predicted, strict=False):
                slots[hour].append(predicted)
    everything = [value for slot in slots for value in slot]
    if not everything:
        return ()
    # An hour of the week without values uses the same hour of the other days, else all hours.
    days = [[v for slot in slots[hour::24] for v in slot] for hour in range(24)]
    return tuple(_spread(slot or days[i % 24] or everything) for i, slot in enumerate(slots))


def _spread(values: Sequence[float]) -> Profile:
    ordered = sorted(values)
    last = len(ordered) - 1
    low, high = ordered[math.floor(last * LOW)], ordered[math.ceil(last * HIGH)]
    return Profile(median(ordered), low, high)
