"""Closures and events explain what would be a fault, in the hours of the counters that they name only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from tests.shared.model.faults.simulated_city import ZONE, city_hours
from velocast.core.city import Continuation, PlannedEvent, histories_of, load_city
from velocast.model.faults.city_faults import JudgedCity, judge_city
from velocast.model.known_hours import (
    ended_hours,
    explains,
    known_hours,
    with_counter_ids,
    with_histories,
)

COUNTER = "1-in"
BROKEN = pd.Timestamp("2024-05-11", tz=ZONE)
CITY = ZoneInfo(ZONE)


@pytest.fixture(scope="module")
def hours() -> pd.DataFrame:
    return city_hours(days=56)


def counters(hours: pd.DataFrame) -> pd.DataFrame:
    ids = hours["counter_id"].unique()
    return pd.DataFrame({"counter_id": ids, "counter_name": [f"Rue {i}" for i in ids]})


def judged(hours: pd.DataFrame, **event: object) -> JudgedCity:
    """Judge hours in the city that knows of one event."""
    values = {"since": "2024-05-11", "what": "Works", "counters": (COUNTER,), **event}
    known = known_hours([PlannedEvent(**values)], counters(hours), CITY)
    return judge_city(hours, counters(hours), CITY, country="FR", known=known)


def dead(hours: pd.DataFrame, days: int) -> pd.DataFrame:
    late = hours["counted_at"].between(BROKEN, BROKEN + pd.Timedelta(days=days), inclusive="left")
    own = (hours["counter_id"] == COUNTER) & late
    return hours.assign(bike_count=hours["bike_count"].mask(own, 0))


def missing(hours: pd.DataFrame, days: int) -> pd.DataFrame:
    changed = dead(hours.assign(bike_count=hours["bike_count"] + 1), days)
    return hours[changed["bike_count"] > 0].reset_index(drop=True)


@pytest.mark.parametrize("change", [dead, missing])
def test_a_closure_raises_no_alarm_for_zeros_and_missing_hours(
    hours: pd.DataFrame, change: object
) -> None:
    faulty = change(hours, 8)
    alone = judge_city(faulty, counters(hours), CITY, country="FR")
    assert {each.counter_id for each in alone.episodes} == {COUNTER}

    found = judged(faulty, until="2024-05-18", kind="closure")

    assert found.episodes == []
    assert pd.isna(found.quality).all()
    (known,) = found.known
    assert (known.counter_id, known.what, known.until) == (
        COUNTER,
        "Works",
        BROKEN + pd.Timedelta(days=8),
    )


def test_what_lasts_longer_than_its_closure_is_a_fault_from_there_on(hours: pd.DataFrame) -> None:
    found = judged(dead(hours, 15), until="2024-05-18", kind="closure")

    (episode,) = found.episodes
    assert (episode.counter_id, episode.kind) == (COUNTER, "dead")
    assert episode.since == BROKEN + pd.Timedelta(days=8)


def test_a_closure_of_another_counter_explains_nothing(hours: pd.DataFrame) -> None:
    found = judged(dead(hours, 8), until="2024-05-18", kind="closure", counters=("2-in",))

    assert [each.counter_id for each in found.episodes] == [COUNTER]


def test_closed_days_are_not_learned_from(hours: pd.DataFrame) -> None:
    # without the closure a fifth of the level lasts so long that it becomes the usual one
    own = (hours["counter_id"] == COUNTER) & (hours["counted_at"] < BROKEN + pd.Timedelta(days=8))
    own &= hours["counted_at"] >= BROKEN
    low = hours.assign(bike_count=np.where(own, hours["bike_count"] // 5, hours["bike_count"]))

    assert judged(low, until="2024-05-18", kind="closure").episodes == []


def test_an_event_makes_unusual_counts_right(hours: pd.DataFrame) -> None:
    own = (hours["counter_id"] == COUNTER) & (
        hours["counted_at"].between(BROKEN, BROKEN + pd.Timedelta(days=3), inclusive="left")
    )
    parade = hours.assign(bike_count=hours["bike_count"].mask(own, hours["bike_count"] * 9 + 60))
    alone = judge_city(parade, counters(hours), CITY, country="FR")
    assert {each.counter_id for each in alone.episodes} == {COUNTER}

    found = judged(parade, until="2024-05-13", kind="event", counters=(), area="rue 1-")

    assert found.episodes == []
    assert {each.counter_id for each in found.known} == {"1-in", "1-out"}


def test_without_an_end_it_lasts(hours: pd.DataFrame) -> None:
    found = judged(dead(hours, 30), kind="closure")

    assert found.episodes == []
    assert found.known[0].until is None


def test_times_are_of_the_city_s_clock(hours: pd.DataFrame) -> None:
    event = PlannedEvent(
        since="2024-05-11 10:30", until="2024-05-11 12:00", counters=(COUNTER,), what="x", kind="event"
    )  # fmt: skip
    known = known_hours([event], counters(hours), CITY)

    found = hours[explains(known, hours)]

    local = found["counted_at"].dt.tz_convert(ZONE)
    assert set(found["counter_id"]) == {COUNTER}
    assert [f"{at:%d %H}" for at in local] == ["11 10", "11 11"]


def test_names_and_areas_become_the_ids_of_the_counters_that_are_meant() -> None:
    """So that a version that is trained again later means the same counters, whatever they are called by then."""
    there = pd.DataFrame({"counter_id": ["1", "2"], "counter_name": ["Rue de Rivoli", "Quai"]})
    there = there.assign(latitude=[48.8, np.nan], longitude=[2.3, np.nan])
    run = {"since": "2024-05-11", "what": "Run", "kind": "event"}
    box = {"south": 48, "north": 49, "west": 2, "east": 3}
    asked: list[dict[str, Any]] = [
        {},
        {"area": "rivoli"},
        {"area": box},
        {"counters": ("Quai", "1")},
        {"area": "nowhere"},
    ]
    found = with_counter_ids([PlannedEvent(**run, **one) for one in asked], there)
    assert [each.counters for each in found] == [(), ("1",), ("1",), ("1", "2")]
    assert all(each.area is None for each in found)


def test_an_event_also_concerns_the_counters_that_continue_those_it_names() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    chain = [Continuation("b", ("a",), at), Continuation("c", ("b",), at + timedelta(days=9))]
    run = {"since": "2026-02-01", "what": "Run", "kind": "event"}
    asked: list[dict[str, Any]] = [{"counters": ("a", "x")}, {"counters": ("x",)}, {}]
    city = load_city("paris").model_copy(
        update={"events": tuple(PlannedEvent(**run, **one) for one in asked)}
    )
    found = with_histories(city, histories_of(chain)).events
    assert [event.counters for event in found] == [("a", "x", "c"), ("x",), ()]


def test_a_counter_that_another_one_continues_misses_nothing_from_then_on() -> None:
    since = datetime(2026, 3, 1, tzinfo=UTC)
    (ended,) = ended_hours(histories_of([Continuation("new", ("old",), since)]))
    assert (ended.counter_id, ended.kind, ended.since, ended.until, ended.what) == (
        "old",
        "ended",
        since,
        None,
        "continued by new",
    )
    hours = [since - timedelta(hours=1), since, since + timedelta(days=9)]
    rows = pd.DataFrame({"counter_id": "old", "counted_at": pd.to_datetime(hours, utc=True)})
    assert list(explains([ended], rows)) == [False, True, True]
    assert not explains([ended], rows.assign(counter_id="new")).any()
