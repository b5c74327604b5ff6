"""The fault that the demo injects: found by the detector, and told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from velocast.core.city import load_city
from velocast.core.datetimes import HOUR, rfc3339
from velocast.model.faults.city_faults import judge_city
from velocast_local.city.injected_fault import InjectedFault, inject_fault, inject_into_file
from velocast_local.fault_story import count_messages, find_episode
from velocast_local.simulation.city import simulate_city

CITY = load_city("demoville")
DAYS = 14


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return simulate_city(8, days=80, faultless_days=DAYS + 21)[0]


@pytest.fixture(scope="module")
def first_day(published: pd.DataFrame) -> date:
    last: datetime = published["date"].iloc[-1].to_pydatetime()
    return last.date() - timedelta(days=DAYS - 2)


@pytest.fixture(scope="module")
def faulty(published: pd.DataFrame, first_day: date) -> tuple[pd.DataFrame, InjectedFault]:
    return inject_fault(published, first_day=first_day, zone=CITY.zone)


def test_one_counter_sends_zeros_from_the_fifth_day_for_five_days(
    published: pd.DataFrame, faulty: tuple[pd.DataFrame, InjectedFault], first_day: date
) -> None:
    rows, fault = faulty
    changed = rows["sum_counts"] != published["sum_counts"]
    dead = rows["id_compteur"] == fault.counter_id
    dead &= (rows["date"] >= fault.since) & (rows["date"] < fault.until)

    assert (fault.since.date() - first_day).days + 1 == 5
    assert fault.until - fault.since == timedelta(days=5)
    assert (rows.loc[dead, "sum_counts"] == 0).all()
    assert dead.sum() == 120
    assert fault.bikes == published.loc[dead, "sum_counts"].sum() > 100
    assert changed.sum() > 100
    assert not (changed & ~dead).any()
    assert rows.drop(columns="sum_counts").equals(published.drop(columns="sum_counts"))
    assert fault.counter_name == rows.loc[dead, "nom_compteur"].iloc[0]


def test_it_is_found_within_48_hours_and_is_the_only_fault_that_is_told(
    faulty: tuple[pd.DataFrame, InjectedFault], first_day: date
) -> None:
    rows, fault = faulty
    names = {"id_compteur": "counter_id", "date": "counted_at", "sum_counts": "bike_count"}
    hours = rows.rename(columns=names).assign(quality=None, accepted=False)
    counters = rows.drop_duplicates("id_compteur").rename(
        columns={"id_compteur": "counter_id", "nom_compteur": "counter_name", "id": "site_id"}
    )
    found = judge_city(hours, counters, CITY.zone, country=CITY.holidays).episodes
    told_from = datetime.combine(first_day, datetime.min.time(), tzinfo=UTC) - timedelta(days=14)

    (episode,) = [each for each in found if each.until > told_from]

    assert (episode.counter_id, episode.kind) == (fault.counter_id, "dead")
    assert episode.found_at - fault.since <= 48 * HOUR
    assert abs(episode.since - fault.since) <= 12 * HOUR
    assert (episode.until, episode.open) == (fault.until, False)


def test_a_file_is_changed_in_its_place(
    published: pd.DataFrame, first_day: date, tmp_path: Path
) -> None:
    file = tmp_path / "counts.parquet"
    published.to_parquet(file, index=False)

    fault = inject_into_file(file, first_day=first_day, zone=CITY.zone)

    expected, same = inject_fault(published, first_day=first_day, zone=CITY.zone)
    assert fault == same
    pd.testing.assert_frame_equal(pd.read_parquet(file), expected)


def test_a_counter_that_does_not_count_is_not_chosen(
    published: pd.DataFrame, first_day: date
) -> None:
    zeros = published.assign(sum_counts=0)
    with pytest.raises(ValueError, match="no counter counts around the fifth day"):
        inject_fault(zeros, first_day=first_day, zone=CITY.zone)

    alive = published["id_compteur"].max()
    only = published["sum_counts"].where(published["id_compteur"] == alive, 0)
    one = published.assign(sum_counts=only)
    assert inject_fault(one, first_day=first_day, zone=CITY.zone)[1].counter_id == alive


SINCE = datetime(2025, 11, 22, 8, tzinfo=UTC)
FAULT = InjectedFault("c-1", "Quai [N-S]", SINCE, SINCE + timedelta(days=5), 4100)
FIRST = date(2025, 11, 18)


def ingestion(day: int, *episodes: dict[str, Any]) -> tuple[datetime, dict[str, Any]]:
    return datetime(2025, 11, 17, 2, tzinfo=UTC) + timedelta(day), {"faults": list(episodes)}


def episode(until_day: int, *, still: bool, counter: str = "c-1") -> dict[str, Any]:
    until = datetime(2025, 11, 17, tzinfo=UTC) + timedelta(until_day)
    times = {"since": rfc3339(SINCE), "until": rfc3339(until)}
    return {"counter_id": counter, "kind": "dead", "open": still} | times


def test_the_story_has_a_beginning_and_an_end() -> None:
    another = episode(6, still=True, counter="c-2")
    days = [
        ingestion(5),
        ingestion(6, another),
        ingestion(7, episode(7, still=True), another),
        (ingestion(7)[0] + timedelta(hours=1), {}),  # a sweep that found nothing judged nothing
        ingestion(8, episode(8, still=True)),
        ingestion(11, episode(11, still=False)),
        ingestion(12, episode(11, still=False)),
    ]

    assert find_episode(FAULT, days[:2], FIRST)["found_on_day"] is None
    assert find_episode(FAULT, days[:5], FIRST) == {
        "found_at": "2025-11-24T02:00:00Z",
        "found_on_day": 7,
        "hours_until_found": 42,
        "closed_at": None,
        "closed_on_day": None,
    }
    assert find_episode(FAULT, days, FIRST)["closed_on_day"] == 11


def message(event: str, *lines: str) -> dict[str, Any]:
    fields = [{"name": "Counters", "value": "\n".join(lines)}]
    return {"embeds": [{"footer": {"text": f"Velocast · {event}"}, "fields": fields}]}


def test_messages_are_counted_by_the_counters_name() -> None:
    begun, over = "counters_out_of_order", "counters_work_again"
    messages = [
        message("champion_promoted", "Quai  N-S"),
        message(begun, "[Quai  N-S](https://bikes.example/counter/c-1.html): dead"),
        message(begun, "c-1: dead"),
        message(begun, "Quai  N-S: dead", "c-2: dead"),
        message(over, "Quai  N-S: dead until 2025-11-27"),
    ]

    assert count_messages(FAULT, messages) == {"found": 1, "over": 1, "others": 2}
