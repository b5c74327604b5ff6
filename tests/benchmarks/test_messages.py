"""The benchmark of messages: which incidents are put in, which weeks are quiet, and what counts as told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.messages import (
    Incident,
    Told,
    busiest,
    by_week,
    inject,
    plan,
    read_messages,
    untold,
)

FIRST = date(2026, 3, 2)
COUNTERS = [f"c{n}" for n in range(8)]
NAMES = {name: f"Counter {name}" for name in COUNTERS}


def at(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 3, 2, hour, tzinfo=UTC) + timedelta(days=day)


def test_only_incidents_that_end_within_the_weeks_are_put_in() -> None:
    assert len(plan(COUNTERS, FIRST, 12)) == 5
    assert [each.name for each in plan(COUNTERS, FIRST, 6)] == ["dead", "stuck"]
    assert plan(COUNTERS, FIRST, 1) == []
    assert len({each.counter for each in plan(COUNTERS, FIRST, 12)}) == 5


def test_an_incident_changes_its_own_hours_alone(tmp_path: Path) -> None:
    hours = pd.date_range(at(0, 0), at(20, 0), freq="h")
    rows = pd.concat(
        pd.DataFrame({"id_compteur": name, "date": hours, "sum_counts": 50.0 - n})
        for n, name in enumerate(("a", "b"))
    )
    file = tmp_path / "counts.parquet"
    rows.to_parquet(file)
    assert busiest(file) == ["a", "b"]
    inject(
        file,
        [
            Incident("dead", "counters_out_of_order", at(2), at(4), "a"),
            Incident("nothing published", "data_stale", at(10), at(12)),
        ],
    )
    left = pd.read_parquet(file)
    dead = left[(left["id_compteur"] == "a") & (left["sum_counts"] == 0)]
    assert (dead["date"].min(), dead["date"].max()) == (at(2), at(4, 11))
    assert not left["date"].between(at(10), at(12, 11)).any()
    assert len(left) == len(rows) - 2 * 48
    assert set(left.loc[left["id_compteur"] == "b", "sum_counts"]) == {49.0}


def test_a_week_is_quiet_when_no_incident_reaches_it() -> None:
    incident = Incident("dead", "counters_out_of_order", at(8), at(11), "c1")
    told = [
        Told(at(1), "weekly_digest", ""),
        Told(at(9), "counters_out_of_order", "Counter c1: dead"),
        Told(at(9), "counters_out_of_order", "x"),
        Told(at(30), "weekly_digest", ""),
    ]
    rows = by_week(told, [incident], FIRST, 4)
    assert [(row["quiet"], row["messages"]) for row in rows] == [
        (True, 1),
        (False, 2),
        (False, 0),  # its end is told in this week
        (True, 0),
    ]
    assert rows[1]["events"] == {"counters_out_of_order": 2}


@pytest.mark.parametrize(
    ("message", "is_told"),
    [
        (Told(at(9), "counters_out_of_order", "Counter c1: dead"), True),
        (Told(at(9), "counters_out_of_order", "Counter c2: dead"), False),
        (Told(at(9), "counters_work_again", "Counter c1: dead"), False),
        (Told(at(7), "counters_out_of_order", "Counter c1: dead"), False),
        (Told(at(20), "counters_out_of_order", "Counter c1: dead"), False),
    ],
)
def test_an_incident_is_told_by_a_message_in_time_that_names_its_counter(
    message: Told, is_told: bool
) -> None:
    incident = Incident("dead", "counters_out_of_order", at(8), at(11), "c1")
    assert untold([message], [incident], NAMES) == ([] if is_told else [incident])


def test_messages_are_read_as_discord_stores_them() -> None:
    embed = {
        "timestamp": "2026-03-03T12:00:00Z",
        "footer": {"text": "Velocast · data_stale · waited for the end of the quiet hours"},
        "fields": [{"name": "Age", "value": "80 h"}],
    }
    assert read_messages([{"embeds": [embed]}]) == [Told(at(1), "data_stale", "80 h")]
