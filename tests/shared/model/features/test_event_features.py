"""The feature of events: whose counters, which hours."""

from __future__ import annotations

import pandas as pd

from tests.shared.model.small_city import ZONE
from velocast.core.city import PlannedEvent
from velocast.model.features.event_features import event_column

COUNTERS = pd.DataFrame(
    {
        "counter_id": ["c1", "c2", "c3"],
        "counter_name": ["Bridge, north", "Park", None],
        "latitude": [48.85, 48.90, None],
        "longitude": [2.35, 2.40, None],
    }
)
HOURS = pd.date_range("2024-06-20T20:00Z", "2024-06-23T04:00Z", freq="h")
FRAME = pd.DataFrame(
    [(counter, hour) for hour in HOURS for counter in COUNTERS["counter_id"]],
    columns=["counter_id", "target_at"],
)


def marked(*events: PlannedEvent) -> dict[str, tuple[str, str, int]]:
    """Return the first and the last marked hour of each counter, in local time, and how many."""
    column = event_column(FRAME, events, COUNTERS, ZONE)
    rows = FRAME[column > 0].assign(local=lambda f: f["target_at"].dt.tz_convert(ZONE))
    return {
        str(counter): (f"{part.min():%d %H}", f"{part.max():%d %H}", len(part))
        for counter, part in rows.groupby("counter_id")["local"]
    }


def test_a_day_of_the_citys_clock_at_every_counter() -> None:
    day = PlannedEvent(since="2024-06-21", until="2024-06-21", what="Fête", kind="event")
    assert marked(day) == dict.fromkeys(["c1", "c2", "c3"], ("21 00", "21 23", 24))


def test_hours_of_which_a_part_is_meant_at_the_counters_that_are_named() -> None:
    run = {"since": "2024-06-21 18:30", "until": "2024-06-21 20:15", "what": "Run", "kind": "event"}
    assert marked(PlannedEvent(**run, area="bridge")) == {"c1": ("21 18", "21 20", 3)}
    box = {"south": 48.88, "north": 48.95, "west": 2.3, "east": 2.5}
    assert marked(PlannedEvent(**run, area=box)) == {"c2": ("21 18", "21 20", 3)}
    assert marked(PlannedEvent(**run, counters=("c3", "Park"))) == dict.fromkeys(
        ["c2", "c3"], ("21 18", "21 20", 3)
    )


def test_events_add_up_and_closures_are_none() -> None:
    endless = PlannedEvent(since="2024-06-22 23:00", counters=("c1",), what="Fair", kind="event")
    night = PlannedEvent(since="2024-06-20 22:00", until="2024-06-20 23:00", what="X", kind="event")
    closed = PlannedEvent(since="2024-06-21", until="2024-06-22", what="Works", kind="closure")
    assert marked(endless, night, closed) == {
        "c1": ("20 22", "23 06", 9),
        "c2": ("20 22", "20 22", 1),
        "c3": ("20 22", "20 22", 1),
    }
    assert marked() == marked(closed) == {}
