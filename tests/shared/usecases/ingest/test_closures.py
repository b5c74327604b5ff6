"""Stored hours under a closure that the city's file names."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from tests.shared.usecases import small_city
from velocast.core import schemas
from velocast.core.city import PlannedEvent, load_city
from velocast.core.datetimes import rfc3339
from velocast.core.settings import Thresholds
from velocast.model.faults.city_faults import judge_city
from velocast.model.known_hours import KnownHours
from velocast.usecases.ingest import fault_news, quality, verdicts
from velocast.usecases.ingest.faults import read_judged_hours
from velocast.usecases.ingest.notices import read_links
from velocast.usecases.ingest.verdicts import Verdict

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables", "topics")
CITY = load_city("demoville")
UNTIL = small_city.AS_OF
WORKS = PlannedEvent(since="2025-03-01", until="2025-03-02", what="Works", kind="closure")


def mark(*events: PlannedEvent) -> pd.DataFrame:
    """Find what is wrong in the city that knows of these events, and store it."""
    found = quality.search_changes(
        small_city.warehouse(),
        CITY.model_copy(update={"events": events}),
        Thresholds(),
        mark_from=UNTIL - timedelta(days=45),
        until=UNTIL,
    ).all()
    quality.store_changes(small_city.warehouse(), found.rows, learned_at=UNTIL)
    return found.rows


def stored() -> pd.DataFrame:
    rows = small_city.warehouse().read(
        schemas.COUNTS,
        columns=["counter_id", "counted_at", "quality"],
        where="counted_at > '2000-01-01T00:00:00Z'",
    )
    frame = rows.to_pandas()
    return frame.assign(day=frame["counted_at"].dt.tz_convert(CITY.zone).dt.date.astype(str))


def closed_days() -> dict[str, set[str]]:
    rows = stored()
    closed = rows[rows["quality"] == "closed"]
    return {str(counter): set(own["day"]) for counter, own in closed.groupby("counter_id")}


@pytest.fixture
def city() -> pd.DataFrame:
    rows = small_city.make(days=35)
    small_city.store(rows)
    return rows


def test_its_hours_are_marked_once_and_only_they(city: pd.DataFrame) -> None:
    first = city["counter_id"].min()
    works = WORKS.model_copy(update={"counters": (first,)})

    changes = mark(works)

    days = {"2025-03-01", "2025-03-02"}
    assert closed_days() == {first: days}
    rows = stored()
    own = rows[(rows["counter_id"] == first) & rows["day"].isin(days)]
    assert (own["quality"] == "closed").all()
    assert len(own) == (changes["quality"] == "closed").sum()
    assert (rows.drop(own.index)["quality"] != "closed").all()
    assert mark(works).empty


def test_each_closure_has_its_own_counters_and_days(city: pd.DataFrame) -> None:
    first, second, third, _ = sorted(city["counter_id"].unique())
    one_day = {"since": "2025-02-20", "until": "2025-02-20", "counters": (second,)}
    to_the_end = {"since": "2025-03-08 12:30", "until": None, "counters": (third,)}

    mark(
        WORKS.model_copy(update={"counters": (first,)}),
        WORKS.model_copy(update=one_day),
        WORKS.model_copy(update=to_the_end),
    )

    assert closed_days() == {
        first: {"2025-03-01", "2025-03-02"},
        second: {"2025-02-20"},
        third: {"2025-03-08", "2025-03-09"},
    }
    rows = stored()
    last = rows[(rows["counter_id"] == third) & (rows["quality"] == "closed")]
    assert last["counted_at"].min() == pd.Timestamp("2025-03-08 12:00", tz=CITY.zone)


def test_they_are_usable_again_when_the_file_no_longer_names_them(city: pd.DataFrame) -> None:
    mark(WORKS)
    assert len(closed_days()) == 4

    mark()

    assert closed_days() == {}


def test_a_closure_of_another_year_is_marked_too() -> None:
    old = small_city.make(days=3).assign(quality=None)
    old["counted_at"] -= timedelta(days=800)
    small_city.store(pd.concat([small_city.make(days=20).assign(quality=None), old]))
    day = (old["counted_at"].min() + timedelta(days=1)).tz_convert(CITY.zone).date().isoformat()

    mark(WORKS.model_copy(update={"since": day, "until": day}))

    assert set.union(*closed_days().values()) == {day}


def test_a_closure_outranks_a_detector_but_neither_the_city_nor_a_person(
    city: pd.DataFrame,
) -> None:
    counters = sorted(city["counter_id"].unique())
    qualities = dict(zip(counters, ["outage", "flagged", None, "refused"], strict=True))
    small_city.store(city.assign(quality=city["counter_id"].map(qualities)))
    since = pd.Timestamp("2025-03-01", tz=CITY.zone).tz_convert("UTC").to_pydatetime()
    until = since + timedelta(days=1)
    word = Verdict(counters[2], since, until, "accept", "me", UNTIL)
    verdicts.give_verdict(small_city.warehouse(), word)

    mark(WORKS)

    both = {"2025-03-01", "2025-03-02"}
    assert closed_days() == {counters[0]: both, counters[2]: {"2025-03-02"}}
    changes = mark(WORKS)
    assert changes.empty


def test_a_dead_counter_is_explained_where_people_are_told_of_faults(city: pd.DataFrame) -> None:
    counter = city.groupby("counter_id")["bike_count"].sum().idxmax()
    dead = (city["counter_id"] == counter) & (city["counted_at"] >= "2025-03-06T23:00Z")
    small_city.store(city.assign(bike_count=city["bike_count"].mask(dead, 0)))
    hours, counters = read_judged_hours(
        small_city.warehouse(), since=UNTIL - timedelta(days=129), until=UNTIL
    )
    (episode,) = judge_city(hours, counters, CITY.zone, country=CITY.holidays).episodes
    since = pd.Timestamp("2025-03-07", tz=CITY.zone).to_pydatetime()
    known = KnownHours(str(counter), "closure", since, None, "Works")
    run = small_city.fetch_run()

    told = fault_news.compare_faults(run, [episode])
    assert len(told.begun) == 1
    small_city.remember_faults(told.recent)

    found = judge_city(hours, counters, CITY.zone, country=CITY.holidays, known=[known])
    news = fault_news.compare_faults(run, found.episodes, found.known)
    assert (news.begun, news.recent) == ([], [])
    named = read_links(run)(str(counter))
    assert str(city.loc[city["counter_id"] == counter, "counter_name"].iloc[0]) in named
    assert news.over == [f"{named}: dead since {rfc3339(episode.since)[:10]} is explained: Works"]
