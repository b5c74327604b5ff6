"""The search for what a city published late: found once, with few requests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from google.cloud import bigquery

from tests import emulators
from tests.replayed_city import ReplayedCity, serving, small_frame, without_pauses
from velocast.adapters.city_sources.transports import portal
from velocast.core.errors import EventError, WarehouseError
from velocast.core.requests import FetchRequest
from velocast.core.settings import FetchSettings
from velocast.usecases import audit
from velocast.usecases.context import Run, Runtime
from velocast.usecases.ingest import quality
from velocast.usecases.ingest.requested import ingest_city_data
from velocast.usecases.ingest.sweep import ranges
from velocast_local.city import opendatasoft_replay

DAY = timedelta(days=1)
FIRST = datetime(2025, 5, 1, tzinfo=UTC)
NOW = datetime(2025, 7, 8, 2, tzinfo=UTC)
LATE = (NOW - 40 * DAY).date()
FULL = small_frame(FIRST, days=80)
LATE_ROWS = (FULL["date"].dt.date == LATE) & (FULL["id_compteur"] == "100-101")


class Sweeps:
    """A city, and what its fetches and sweeps did."""

    def __init__(self, city: ReplayedCity, client: bigquery.Client) -> None:
        self.city = city
        self.client = client
        self.requests: list[str] = []
        self.runs = 0
        self.runtime = Runtime(FetchSettings.load(), component="fetch")

    def run(self, **request: Any) -> dict[str, Any]:
        """Run one event at the city's time; `requests` then holds the paths that the city was asked."""
        self.runs += 1
        self.requests.clear()
        run = Run(self.runtime, self.city.now, f"m{self.runs}")
        (row,) = ingest_city_data(FetchRequest(**request), run)
        audit.write(self.runtime.warehouse, [row], environment="dev")
        return row.details

    def stored(self) -> pd.DataFrame:
        sql = "SELECT counter_id, counted_at, bike_count FROM bike_traffic_raw.counts ORDER BY 1, 2"
        return self.client.query_and_wait(sql).to_arrow(create_bqstorage_client=False).to_pandas()

    def published(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return what the city's file says up to now."""
        until = self.city.replay.published_until()
        rows = frame[frame["date"] < until].sort_values(["id_compteur", "date"])
        return rows[["id_compteur", "date", "sum_counts"]]


@pytest.fixture
def sweeps(
    tmp_path_factory: pytest.TempPathFactory,
    warehouse_tables: bigquery.Client,
    topics: emulators.RunningPubSub,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Sweeps]:
    """A city that has not published the LATE_ROWS yet, after its first fetch."""
    del topics  # for notices
    monkeypatch.setattr(portal, "LIMITS", without_pauses(portal.LIMITS))
    path = tmp_path_factory.mktemp("city") / "city.parquet"
    with serving(ReplayedCity(path, FULL[~LATE_ROWS], NOW)) as city:
        monkeypatch.setenv("VELOCAST_CITY", city.described())
        made = Sweeps(city, warehouse_tables)
        answer = opendatasoft_replay._Api._answer

        def noted(self: Any, request: Any, *others: Any) -> Any:
            made.requests.append(request.url.path.rpartition("/datasets/")[2])
            return answer(self, request, *others)

        monkeypatch.setattr(opendatasoft_replay._Api, "_answer", noted)
        made.run()
        yield made


COUNTS = "comptage-velo-donnees-compteurs"


def same(stored: pd.DataFrame, published: pd.DataFrame) -> bool:
    return [tuple(row) for row in stored.itertuples(index=False)] == [
        tuple(row) for row in published.itertuples(index=False)
    ]


def test_late_rows_are_found_once_and_only_their_day_is_read(sweeps: Sweeps) -> None:
    assert same(sweeps.stored(), sweeps.published(FULL[~LATE_ROWS]))

    before = sweeps.run(sweep_days=60)
    assert (before["sweep"]["days_compared"], before["sweep"]["days_differing"]) == (53, 0)
    assert sweeps.requests == [f"{COUNTS}/records"]  # one request when nothing came late

    sweeps.city.publish(FULL)
    sweeps.city.now += timedelta(hours=1)
    assert sweeps.run()["inserted"] == 0  # the week's overlap does not reach so far

    found = sweeps.run(sweep_days=60)
    assert found["sweep"]["days"] == [LATE.isoformat()]
    assert (found["sweep"]["hours_added"], found["sweep"]["hours_revised"]) == (24, 0)
    assert found["fetched"] == 3 * 28  # the day and two hours on both sides
    assert sweeps.requests == [f"{COUNTS}/records", f"{COUNTS}/records", f"{COUNTS}/exports/jsonl"]
    assert same(sweeps.stored(), sweeps.published(FULL))

    again = sweeps.run(sweep_days=60)
    assert (again["sweep"]["days_differing"], again["inserted"], again["updated"]) == (0, 0, 0)
    assert len(sweeps.requests) == 1


def test_an_estimate_ends_when_its_hour_was_counted_late(sweeps: Sweeps) -> None:
    """A fetch estimates the last 45 days again; this hour is 60 days old."""
    hour = "2025-05-09T10:00:00Z"
    sweeps.client.query_and_wait(
        "INSERT INTO bike_traffic_raw.count_estimates "
        "(counter_id, counted_at, estimated_count, lower, upper, basis, made_at) "
        f"VALUES ('100-101', '{hour}', 50, 40, 60, 'usual', '2025-06-01T02:00:00Z')"
    )
    frame = FULL.copy()
    chosen = (frame["date"] == pd.Timestamp(hour)) & (frame["id_compteur"] == "100-101")
    frame.loc[chosen, "sum_counts"] += 5
    sweeps.city.publish(frame)
    sweeps.city.now += timedelta(hours=1)

    def estimated() -> list[int]:
        sql = f"SELECT COUNT(*) FROM bike_traffic_raw.count_estimates WHERE counted_at = '{hour}'"
        return [row[0] for row in sweeps.client.query_and_wait(sql)]

    sweeps.run()
    assert estimated() == [1]
    sweeps.run(sweep_days=65)
    assert estimated() == [0]


def test_a_sweep_that_died_after_storing_judges_its_days_when_it_is_delivered_again(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps.city.publish(FULL)
    sweeps.city.now += timedelta(hours=1)

    def die(*_: object) -> None:
        raise WarehouseError("BigQuery is away")

    with monkeypatch.context() as patched:
        patched.setattr(quality, "mark_quality_from", die)
        with pytest.raises(WarehouseError):
            sweeps.run(sweep_days=60)
    again = sweeps.run(sweep_days=60)

    assert (again["sweep"]["days_differing"], again["inserted"]) == (0, 0)
    assert {"quality", "gaps"} <= set(again)
    sweeps.city.now += timedelta(hours=1)
    assert "quality" not in sweeps.run(sweep_days=60)


def test_corrected_rows_are_found_and_remembered(sweeps: Sweeps) -> None:
    frame = FULL[~LATE_ROWS].copy()
    chosen = (frame["date"] == pd.Timestamp("2025-06-01T10:00Z")) & (
        frame["id_compteur"] == "100-101"
    )
    frame.loc[chosen, "sum_counts"] += 5
    sweeps.city.publish(frame)
    sweeps.city.now += timedelta(hours=1)

    details = sweeps.run(sweep_days=60)

    assert (details["inserted"], details["updated"]) == (0, 1)
    sql = "SELECT old_count, new_count FROM bike_traffic_raw.revisions WHERE counted_at > '2025-01-01'"
    (revision,) = [tuple(row.values()) for row in sweeps.client.query_and_wait(sql)]
    assert revision == (20, 25)


def test_a_day_that_the_city_counts_another_way_is_read_once(sweeps: Sweeps) -> None:
    """Rejected rows are in the city's totals and never in ours."""
    frame = FULL[~LATE_ROWS].copy()
    frame.loc[frame["date"] == pd.Timestamp("2025-06-01T10:00Z"), "sum_counts"] = -1
    sweeps.city.publish(frame)
    sweeps.city.now += timedelta(hours=1)
    assert sweeps.run(sweep_days=60)["rejected"] == 3

    sweeps.city.now += 7 * DAY
    again = sweeps.run(sweep_days=60)
    # the day that was not over at the first fetch is new; the one with rejects is remembered, and not read again
    assert again["sweep"]["days"] == ["2025-07-07"]
    assert list(again["sweep"]["told"]) == ["2025-06-01", "2025-07-07"]
    assert again["rejected"] == 0


def test_days_that_the_city_has_deleted_are_kept_and_not_read(sweeps: Sweeps) -> None:
    before = len(sweeps.stored())
    sweeps.city.publish(FULL[FULL["date"] >= pd.Timestamp("2025-06-01", tz="UTC")])

    details = sweeps.run(sweep_days=60)

    assert (details["sweep"]["days_differing"], details["sweep"]["told"]) == (0, {})
    assert len(sweeps.stored()) == before
    assert len(sweeps.requests) == 1


def test_a_city_without_totals_is_read_whole(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opendatasoft_replay, "BY_DAY", "nothing")  # the portal refuses the question
    sweeps.city.publish(FULL)

    details = sweeps.run(sweep_days=60)

    assert details["sweep"]["days_compared"] is None
    assert details["inserted"] == 24
    assert len(sweeps.requests) == 3


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"sweep_days": 60, "since": "2025-06-01T00:00:00Z"},
            "cannot be combined with since or until",
        ),
        ({"sweep_days": 7}, "within the days that each fetch reads again"),
    ],
)
def test_what_cannot_be_swept_is_refused(
    sweeps: Sweeps, request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(EventError, match=message):
        sweeps.run(**request_)


def test_days_are_read_in_runs_of_a_year_at_most() -> None:
    days = [date(2024, 1, 1) + n * DAY for n in (0, 1, 2, 5, 7)]
    few = dict.fromkeys((date(2024, 1, 1) + n * DAY for n in range(400)), 72)
    assert ranges(days, few) == [(days[0], days[2]), (days[3], days[3]), (days[4], days[4])]
    assert [(last - first).days + 1 for first, last in ranges(list(few), few)] == [366, 34]


def test_days_of_many_counters_are_read_in_shorter_runs() -> None:
    days = [date(2024, 1, 1) + n * DAY for n in range(6)]
    records = dict(zip(days, [900_000, 900_000, 900_000, 3_000_000, 10, 1_999_990], strict=True))
    found = ranges(days, records)
    assert found == [(days[0], days[1]), (days[2], days[2]), (days[3], days[3]), (days[4], days[5])]
