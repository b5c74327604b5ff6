"""Which events and closures the snapshot shows, and of which counters."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.shared.usecases.serving import snapshots
from velocast.core.city import PlannedEvent, load_city
from velocast.usecases.forecasting.snapshot.shown_events import shown_events
from velocast.usecases.snapshot_format import EventCard

CITY = load_city("demoville")
COUNTERS = [snapshots.counter(number, 50) for number in range(3)]
SINCE = snapshots.RECENT_FROM  # 16 February, 23:00 UTC
UNTIL = snapshots.ORIGIN + timedelta(days=5)


def shown(*events: dict[str, object]) -> tuple[EventCard, ...]:
    planned = tuple(PlannedEvent(**({"what": "x", "kind": "closure"} | each)) for each in events)
    city = CITY.model_copy(update={"events": planned})
    return shown_events(city, COUNTERS, since=SINCE, until=UNTIL)


def test_events_are_in_the_order_of_their_start_with_their_counters() -> None:
    first, second = shown(
        {"since": "2026-03-04", "until": "2026-03-05", "area": "rue 1", "what": "Works"},
        {"since": "2026-02-20", "what": "Strike", "kind": "event"},
    )

    assert (first.what, first.kind, first.counters, first.until) == ("Strike", "event", None, None)
    assert (second.what, second.counters) == ("Works", ("c-1",))
    assert second.since == datetime(2026, 3, 4, tzinfo=CITY.zone)
    assert second.until == datetime(2026, 3, 6, tzinfo=CITY.zone)


@pytest.mark.parametrize(
    ("event", "is_shown"),
    [
        ({"since": "2026-02-01", "until": "2026-02-15"}, False),
        ({"since": "2026-02-01", "until": "2026-02-17"}, True),
        ({"since": "2026-03-07"}, True),
        ({"since": "2026-03-08"}, False),
        ({"since": "2026-03-04", "counters": ("gone",)}, False),
    ],
)
def test_only_events_of_the_shown_hours_and_of_known_counters_are_shown(
    event: dict[str, object], is_shown: bool
) -> None:
    assert bool(shown(event)) is is_shown
