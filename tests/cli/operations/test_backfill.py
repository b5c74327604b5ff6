"""`velocast backfill` against a function with one instance, behind Pub/Sub, with a replayed city."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud import bigquery
from typer.testing import CliRunner, Result

from tests import emulators
from tests.audit_rows import audit_rows
from tests.cli.operations.pushed_functions import OneInstance, pushed
from tests.functions.deployed import Deployed
from tests.replayed_city import ReplayedCity, serving, small_frame, without_pauses
from velocast.adapters.city_sources.transports import portal
from velocast.adapters.pubsub import Publisher
from velocast.core.errors import EventError
from velocast.core.requests import FetchRequest
from velocast_cli.main import app
from velocast_cli.operations import runs_awaited
from velocast_cli.operations.backfill import covered, split_windows
from velocast_cli.operations.time_options import parse_duration
from velocast_local.city.opendatasoft_replay import Faults

NOW = datetime(2025, 3, 21, 2, tzinfo=UTC)
WHOLE = ("--since", "2025-03-01", "--until", "2025-03-15", "--window", "4d")


@dataclass
class Lab:
    """The function fetch as it is deployed, its city, its tables and its topics."""

    fetch: OneInstance
    city: ReplayedCity
    tables: bigquery.Client
    topics: emulators.RunningPubSub

    def ran(self) -> list[tuple[str, str]]:
        """The windows that were fetched, in order, from the audit trail."""
        rows = [row["details"] for row in audit_rows(self.tables) if row["status"] == "OK"]
        return sorted((row["since"][:10], row["until"][:10]) for row in rows)

    def counts(self) -> int:
        found = self.tables.query_and_wait("SELECT COUNT(*) AS n FROM bike_traffic_raw.counts")
        return int(next(iter(found))["n"])


@pytest.fixture(scope="module")
def served_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayedCity]:
    path = tmp_path_factory.mktemp("city") / "city.parquet"
    with serving(ReplayedCity(path, small_frame(), NOW)) as city:
        yield city


@pytest.fixture(scope="module")
def function(served_city: ReplayedCity, stack_variables: dict[str, str]) -> Iterator[Deployed]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in stack_variables.items():
            environment.setenv(name, value)
        environment.setenv("VELOCAST_CITY", served_city.described())
        yield Deployed("fetch")


@pytest.fixture
def lab(
    function: Deployed,
    served_city: ReplayedCity,
    warehouse_tables: bigquery.Client,
    topics: emulators.RunningPubSub,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Lab]:
    monkeypatch.setattr(portal, "LIMITS", without_pauses(portal.LIMITS))
    monkeypatch.setattr(runs_awaited, "FIRST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(runs_awaited, "LONGEST_PAUSE_SECONDS", 0.3)
    monkeypatch.setenv("VELOCAST_CITY", served_city.described())
    monkeypatch.setenv("VELOCAST_AS_OF", "2025-03-21T02:00:00Z")
    served_city.publish(small_frame())
    topics.now = NOW
    made = Lab(OneInstance(function), served_city, warehouse_tables, topics)
    with pushed(topics, made.fetch):
        yield made


def velocast(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["backfill", *arguments])


def test_windows_published_at_once_end_as_dead_letters(lab: Lab) -> None:
    """The fault: a busy instance answers 429, and five deliveries are soon over."""
    lab.fetch.seconds = 1.0
    publisher = Publisher(emulators.PROJECT)
    for since, until in split_windows(NOW - timedelta(20), NOW - timedelta(4), timedelta(4)):
        publisher.publish(
            "velocast-fetch", FetchRequest(since=since.isoformat(), until=until.isoformat())
        )
    assert lab.topics.broker.wait_idle(60)
    assert 429 in lab.fetch.statuses
    assert lab.topics.published("velocast-dead-letter")


def test_a_backfill_publishes_one_window_at_a_time(lab: Lab) -> None:
    lab.fetch.seconds = 0.3  # many times what publishing takes
    ended = velocast(*WHOLE, "--json")
    assert ended.exit_code == 0, ended.output
    assert 429 not in lab.fetch.statuses
    assert not lab.topics.published("velocast-dead-letter")
    found = json.loads(ended.stdout)
    assert [part["outcome"] for part in found["parts"]] == ["done"] * 4
    assert found["parts"][0] | {"execution_id": ""} == {
        "what": "counts",
        "since": "2025-03-01T00:00:00Z",
        "until": "2025-03-05T00:00:00Z",
        "outcome": "done",
        "execution_id": "",
        "fetched": 3 * 4 * 24,
        "inserted": 3 * 4 * 24,
        "updated": 0,
        "rejected": 0,
        "forecasts": 0,
        "error": None,
    }
    assert lab.ran() == [
        ("2025-03-01", "2025-03-05"),
        ("2025-03-05", "2025-03-09"),
        ("2025-03-09", "2025-03-13"),
        ("2025-03-13", "2025-03-15"),
    ]
    assert lab.counts() == 3 * 14 * 24
    assert found["days_without_counts"] == []


def test_it_goes_on_where_it_stopped(lab: Lab) -> None:
    velocast("--since", "2025-03-01", "--until", "2025-03-09", "--window", "4d")
    again = velocast(*WHOLE)
    assert again.exit_code == 0, again.output
    assert again.stdout.count("done before") == 2
    assert "2 of 4 parts done now, 2 before; 432 new rows" in again.stdout
    assert len(lab.ran()) == 4
    assert velocast(*WHOLE, "--again").stdout.count("done before") == 0
    assert len(lab.ran()) == 8
    assert max(map(len, again.stdout.splitlines())) <= 80


def test_a_city_that_is_down_stops_it_and_the_next_run_goes_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = itertools.count()

    def patience() -> float:
        # The minute is over when it was asked for seven times after the first failure: it waits for no slow machine.
        return 10.0 * next(asked) if any(status >= 500 for status in lab.fetch.statuses) else 0.0

    clock = SimpleNamespace(monotonic=patience)
    monkeypatch.setattr(runs_awaited, "time", clock)
    lab.city.replay.faults = Faults("unavailable")
    stopped = velocast(*WHOLE, "--patience", "1m", "--json")
    assert stopped.exit_code == 1
    found = json.loads(stopped.stdout)
    outcomes = [part["outcome"] for part in found["parts"]]
    assert outcomes == ["failed", "not tried", "not tried", "not tried"]
    assert "city_unreachable" in found["parts"][0]["error"]
    assert "failed, will be tried again: city_unreachable" in stopped.stderr
    assert len(found["days_without_counts"]) == 14
    lab.city.replay.faults = Faults()
    monkeypatch.setattr(runs_awaited, "time", time)
    resumed = velocast(*WHOLE)
    assert resumed.exit_code == 0, resumed.output
    assert lab.counts() == 3 * 14 * 24


def test_what_the_city_does_not_have_is_said(lab: Lab) -> None:
    ended = velocast("--since", "2025-02-25", "--until", "2025-03-03", "--window", "3d")
    assert ended.exit_code == 0, ended.output
    assert "the city has nothing" in ended.stdout
    assert (
        "4 days without any count: 2025-02-25, 2025-02-26, 2025-02-27, 2025-02-28" in ended.stdout
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "2025-03-05", "--until", "2025-03-01"), "is not before until"),
        (("--since", "yesterday", "--until", "2025-03-01"), "since 'yesterday' is not"),
        ((*WHOLE[:4], "--window", "a week"), "'a week' is no duration"),
    ],
)
def test_wrong_arguments_are_explained(
    arguments: tuple[str, ...], said: str, topics: Any, warehouse_tables: Any
) -> None:
    ended = velocast(*arguments)
    assert ended.exit_code == 1
    assert said in ended.stderr


def at(hour: int) -> datetime:
    return datetime(2025, 3, 1, tzinfo=UTC) + timedelta(hours=hour)


def test_windows_cover_the_range_and_the_last_is_shorter() -> None:
    assert split_windows(at(0), at(5), timedelta(hours=2)) == [
        (at(0), at(2)),
        (at(2), at(4)),
        (at(4), at(5)),
    ]
    with pytest.raises(EventError, match="the shortest is one hour"):
        split_windows(at(0), at(5), timedelta(minutes=5))


@pytest.mark.parametrize(
    ("ranges", "whole"),
    [
        ([], False),
        ([(0, 4)], True),
        ([(2, 4), (0, 2)], True),
        ([(0, 2), (3, 4)], False),
        ([(1, 9)], False),
        ([(-5, 9), (0, 1)], True),
    ],
)
def test_a_window_is_done_only_if_nothing_of_it_is_missing(
    ranges: list[tuple[int, int]], whole: bool
) -> None:
    assert covered((at(0), at(4)), [(at(a), at(b)) for a, b in ranges]) is whole


def test_durations() -> None:
    assert [parse_duration(text) for text in ("7d", "36h", "45m")] == [
        timedelta(days=7),
        timedelta(hours=36),
        timedelta(minutes=45),
    ]
