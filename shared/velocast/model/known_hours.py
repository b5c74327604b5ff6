"""Events and closures that a city knows of, and what they say of hours of counters.

Hours under a closure are not judged, and it is no fault if they are missing; the same goes for the hours of a counter
that another one continues. Hours of an event are taken to be correct, as if a person had accepted them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pandas as pd

from velocast.core.city import City, Histories, PlannedEvent
from velocast.core.datetimes import HOUR


@dataclass(frozen=True)
class KnownHours:
    """The hours [since, until), aware, of one counter that an event or a closure explains. until None: with no end.

    kind `ended`: another counter continues it from there on.
    """

    counter_id: str
    kind: Literal["closure", "event", "ended"]
    since: datetime
    until: datetime | None
    what: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON shows it, times in RFC 3339 with the city's offset."""
        end = None if self.until is None else self.until.isoformat()
        return {**vars(self), "since": self.since.isoformat(), "until": end}


def known_hours(
    events: Sequence[PlannedEvent], counters: pd.DataFrame, zone: ZoneInfo
) -> list[KnownHours]:
    """Return the hours of each counter that events and closures explain, in the events' order.

    counters: counter_id, and where known counter_name, latitude and longitude.
    """
    if not events:
        return []
    return [
        KnownHours(counter, event.kind, event.begins(zone), event.ends(zone), event.what)
        for event in events
        for counter in concerned_counters(event, counters)
    ]


def concerned_counters(event: PlannedEvent, counters: pd.DataFrame) -> list[str]:
    """Return the ids of the counters that an event concerns. counters: as for `known_hours`."""
    described = (_described(row) for row in counters.to_dict("records"))
    return [counter for counter, *more in described if event.concerns(counter, *more)]


def with_counter_ids(
    events: Sequence[PlannedEvent], counters: pd.DataFrame
) -> tuple[PlannedEvent, ...]:
    """Return the events with the ids of the counters that they concern, in place of names and areas.

    Those that concern all counters stay as they are; those that concern none are left out. counters: as for
    `known_hours`.
    """
    found = []
    for event in events:
        everywhere = not event.counters and event.area is None
        ids = () if everywhere else tuple(concerned_counters(event, counters))
        if everywhere or ids:
            found.append(event.model_copy(update={"counters": ids, "area": None}))
    return tuple(found)


def with_histories(city: City, histories: Histories) -> City:
    """Return the city with events that also concern the counters that continue those whose ids they list."""
    if not city.events or not histories.ended:
        return city
    events = []
    for event in city.events:
        newest = tuple(histories.newest(counter_id) for counter_id in event.counters)
        ids = tuple(dict.fromkeys((*event.counters, *newest)))
        events.append(event.model_copy(update={"counters": ids}))
    return city.model_copy(update={"events": tuple(events)})


def ended_hours(histories: Histories) -> list[KnownHours]:
    """Return the hours of counters from the day on which others continue them: that they count nothing is no fault."""
    return [
        KnownHours(counter_id, "ended", each.since, None, f"continued by {each.counter_id}")
        for counter_id, each in sorted(histories.ended.items())
    ]


def _described(row: dict[Any, Any]) -> tuple[str, Any, Any, Any]:
    values = (row.get(name) for name in ("counter_name", "latitude", "longitude"))
    name, latitude, longitude = (None if pd.isna(value) else value for value in values)
    return str(row["counter_id"]), name, latitude, longitude


def explains(known: Sequence[KnownHours], rows: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows, with counter_id and counted_at (aware), are hours that the known ones explain."""
    found = pd.Series(False, rows.index)
    there = set(rows["counter_id"])
    for hours in known:
        if hours.counter_id not in there:
            continue
        about = rows["counter_id"] == hours.counter_id
        about &= rows["counted_at"] > hours.since - HOUR  # includes a partly covered hour
        found |= about & ((rows["counted_at"] < hours.until) if hours.until else True)
    return found
