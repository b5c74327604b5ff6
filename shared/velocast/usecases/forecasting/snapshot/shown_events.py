"""The events and closures that the snapshot shows: those of its recent and its forecast hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from velocast.core.city import City, PlannedEvent
from velocast.usecases.snapshot_format import CounterSnapshot, EventCard


def shown_events(
    city: City, counters: Sequence[CounterSnapshot], *, since: datetime, until: datetime
) -> tuple[EventCard, ...]:
    """Return the city's events that have an hour in [since, until) and concern a counter, by their start."""
    cards = (_card(city, event, counters) for event in city.events)
    shown = [
        card
        for card in cards
        if card.since < until and (card.until is None or card.until > since) and card.counters != ()
    ]
    return tuple(sorted(shown, key=lambda card: card.since))


def _card(city: City, event: PlannedEvent, counters: Sequence[CounterSnapshot]) -> EventCard:
    everywhere = not event.counters and event.area is None
    concerned = (
        c.counter_id
        for c in counters
        if event.concerns(c.counter_id, c.counter_name, c.latitude, c.longitude)
    )
    return EventCard(
        kind=event.kind,
        what=event.what,
        since=event.begins(city.zone),
        until=event.ends(city.zone),
        counters=None if everywhere else tuple(concerned),
    )
