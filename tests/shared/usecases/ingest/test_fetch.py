"""fetch, from the replayed city to the tables: stored counts, rejects, notices, and recovery by the next run."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from google.cloud import bigquery

from tests import emulators
from tests.frame_rows import named_rows
from tests.replayed_city import FIRST, ReplayedCity, serving, small_frame, without_pauses
from velocast.adapters.bigquery.jobs import Jobs
from velocast.adapters.city_sources.transports import portal
from velocast.core.datetimes import rfc3339
from velocast.core.errors import CityError, CityRefused, CityTruncated, CityUnreachable, EventError
from velocast.core.requests import FetchRequest
from velocast.core.settings import FetchSettings
from velocast.usecases import audit
from velocast.usecases.context import Run, Runtime
from velocast.usecases.ingest import fetch as ingest

LINK_101 = "[1 rue des Essais N-S](https://bikes.example/counter/100-101.html)"
LINK_201 = "[3 rue des Essais N-S](https://bikes.example/counter/200-201.html)"
NOW = datetime(2025, 3, 10, 2, tzinfo=UTC)
PUBLISHED = datetime(2025, 3, 9, 23, tzinfo=UTC)  # end of what the city shows at NOW
HOURS = int((PUBLISHED - FIRST) / timedelta(hours=1))
SPOT = "2025-03-09T05:00:00+00:00"  # counter 100-101 counts 15 there


class Gauges:
    """Records gauges instead of exporting them."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.flushed = 0

    def set(self, name: str, value: float, **_: str) -> None:
        self.values[name] = float(value)

    def flush(self) -> None:
        self.flushed += 1


@cache
def warm_runtime() -> Runtime[FetchSettings]:
    """One process serves many events: its clients are created once."""
    return Runtime(FetchSettings.load(), component="fetch")


class Lab:
    """A replayed city, the warehouse behind fetch, and the notices it publishes."""

    def __init__(
        self, city: ReplayedCity, client: bigquery.Client, topics: emulators.RunningPubSub
    ) -> None:
        self.city = city
        self.client = client
        self.topics = topics
        self.gauges = Gauges()
        self.runs = 0
        self.runtime = warm_runtime()
        self.runtime.settings = FetchSettings.load()
        self.runtime.__dict__["metrics"] = self.gauges

    def fetch(self, **request: str) -> dict[str, Any]:
        """Run fetch at the city's current time and return the details of its audit row."""
        self.runs += 1
        run = Run(self.runtime, self.city.now, f"m{self.runs}")
        (row,) = ingest.fetch_city_data(FetchRequest(**request), run)
        assert (row.event_type, row.status, row.as_of) == ("INGESTION", "OK", self.city.now)
        assert row.event_id == f"fetch:m{self.runs}:ingestion"
        audit.write(self.runtime.warehouse, [row], environment="dev")
        return row.details

    def rows(self, table: str) -> pd.DataFrame:
        query = f"SELECT * FROM bike_traffic_raw.{table}"
        return self.client.query_and_wait(query).to_arrow(create_bqstorage_client=False).to_pandas()

    def counts(self, *, quality: bool = False) -> dict[tuple[str, str], Any]:
        """Return the stored rows: (counter, hour) -> bikes, or the quality if it is set."""
        rows = self.rows("counts")
        column = "quality" if quality else "bike_count"
        values = rows[rows[column].notna()]
        hours = [rfc3339(hour) for hour in values["counted_at"]]
        return dict(zip(zip(values["counter_id"], hours, strict=True), values[column], strict=True))

    def counter(self, counter_id: str = "100-101") -> dict[Hashable, Any]:
        rows = self.rows("counters").set_index("counter_id")
        return rows.loc[counter_id].to_dict()

    def notices(self) -> list[dict[str, Any]]:
        return self.topics.notices()


@pytest.fixture(scope="module")
def served_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayedCity]:
    """A city behind its API, shared by all tests here."""
    path = tmp_path_factory.mktemp("city") / "city.parquet"
    with serving(ReplayedCity(path, small_frame(), NOW)) as city:
        yield city


@pytest.fixture
def lab(
    served_city: ReplayedCity,
    warehouse_tables: bigquery.Client,
    topics: emulators.RunningPubSub,
    monkeypatch: pytest.MonkeyPatch,
) -> Lab:
    """The small city at NOW with empty tables and no wait between retries."""
    monkeypatch.setattr(portal, "LIMITS", without_pauses(portal.LIMITS))
    monkeypatch.setenv("VELOCAST_CITY", served_city.described())
    served_city.now = NOW
    served_city.publish(small_frame())
    return Lab(served_city, warehouse_tables, topics)


def expected(until: datetime, frame: pd.DataFrame | None = None) -> dict[tuple[str, str], int]:
    """The expected rows when everything before `until` is stored."""
    frame = small_frame() if frame is None else frame
    rows = frame[frame["date"] < pd.Timestamp(until)]
    keys = [(r.id_compteur, rfc3339(r.date)) for r in named_rows(rows)]
    return dict(zip(keys, rows["sum_counts"], strict=True))


def line(**changes: Any) -> str:
    record = {"id_compteur": "300-301", "date": SPOT, "sum_counts": 7}
    return json.dumps(record | changes)


class TestWhatIsStored:
    def test_first_run_takes_everything_the_city_has(self, lab: Lab) -> None:
        details = lab.fetch()

        assert lab.counts() == expected(PUBLISHED)
        assert details == {
            "since": None,
            "until": "2025-03-10T02:00:00Z",
            "fetched": 3 * HOURS,
            "inserted": 3 * HOURS,
            "updated": 0,
            "unchanged": 0,
            "rejected": 0,
            "rejected_by_reason": {},
            "rejects_stored": 0,
            "repeated": 0,
            "unknown_fields": [],
            "newest": "2025-03-09T22:00:00Z",
            "counters": {
                "metadata": "read",
                "new": 3,
                "renamed": [],
                "moved": [],
                "outside_city": [],
                "without_counts": 0,
            },
            "quality": {
                "marked": {},
                "usable_again": 0,
                "suspects": {},
                "faults": [],
                "new_faults": [],
                "over": [],
            },
            "gaps": {"hours": 0, "counters": 0, "bikes": 0.0, "by_basis": {}},
            "weather": {"status": "not configured"},
        }
        assert lab.gauges.values == {
            "bike/records_ingested": 3 * HOURS,
            "bike/records_rejected": 0,
            "bike/newest_count_age_seconds": 4 * 3600,
        }
        assert lab.notices() == []

    def test_many_counts_are_loaded_in_parts_and_merged_once(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loaded, append = list[int](), Jobs.append

        def counted(self: Jobs, name: str, rows: pa.Table) -> None:
            loaded.append(rows.num_rows)
            append(self, name, rows)

        monkeypatch.setattr(Jobs, "append", counted)
        monkeypatch.setattr(ingest, "STORED_AT_ONCE", HOURS)
        details = lab.fetch()

        assert loaded[:3] == [HOURS] * 3
        assert lab.counts() == expected(PUBLISHED)
        assert details["inserted"] == 3 * HOURS
        assert lab.fetch()["inserted"] == 0

    def test_next_day_adds_a_day_and_leaves_the_rest_alone(self, lab: Lab) -> None:
        lab.fetch()
        lab.city.next_day()

        details = lab.fetch()

        assert details["since"] == "2025-03-02T22:00:00Z"  # newest less seven days
        assert (details["inserted"], details["updated"], details["unchanged"]) == (
            72,
            0,
            7 * 72 + 3,
        )
        assert lab.counts() == expected(PUBLISHED + timedelta(days=1))
        stored_at = lab.rows("counts")["ingested_at"].value_counts()
        assert sorted(stored_at) == [72, 3 * HOURS]

    def test_late_correction_updates_only_its_row(self, lab: Lab) -> None:
        lab.fetch()
        frame = small_frame()
        frame.loc[(frame["id_compteur"] == "100-101") & (frame["date"] == SPOT), "sum_counts"] = 99
        lab.city.publish(frame)
        lab.city.now += timedelta(hours=1)

        details = lab.fetch()

        assert (details["inserted"], details["updated"]) == (0, 1)
        assert lab.counts() == expected(PUBLISHED, frame)
        rows = lab.rows("counts")
        assert list(rows[rows["ingested_at"] > NOW]["bike_count"]) == [99]
        (revision,) = lab.rows("revisions").to_dict("records")
        assert (revision["counter_id"], rfc3339(revision["counted_at"])) == (
            "100-101",
            "2025-03-09T05:00:00Z",
        )
        assert (revision["old_count"], revision["new_count"]) == (15, 99)
        assert (revision["known_at"], revision["learned_at"]) == (NOW, lab.city.now)
        lab.fetch()
        assert len(lab.rows("revisions")) == 1

    def test_the_same_run_again_changes_no_row(self, lab: Lab) -> None:
        lab.city.faults.extra_lines = [line(sum_counts=-1)]
        lab.fetch()
        tables = ("counts", "counters", "rejects")
        before = {t: lab.rows(t) for t in tables}

        details = lab.fetch()

        assert (details["inserted"], details["updated"], details["rejects_stored"]) == (0, 0, 0)
        for table in tables:
            key = list(before[table].columns[:2])
            pd.testing.assert_frame_equal(
                before[table].sort_values(key, ignore_index=True),
                lab.rows(table).sort_values(key, ignore_index=True),
            )

    def test_counters_have_names_places_and_first_and_last_hour(self, lab: Lab) -> None:
        lab.fetch()
        lab.city.next_day()
        lab.fetch()

        counter = lab.counter()
        assert counter["counter_name"] == "1 rue des Essais N-S"
        assert (counter["site_id"], counter["site_name"]) == ("100", "1 rue des Essais")
        assert (counter["latitude"], counter["longitude"]) == (48.85, 2.31)
        assert str(counter["installed_on"])[:10] == "2020-05-04"
        assert rfc3339(counter["first_seen_at"]) == "2025-03-01T00:00:00Z"
        assert rfc3339(counter["last_seen_at"]) == "2025-03-10T22:00:00Z"


class TestWindow:
    def test_backfill_of_a_range(self, lab: Lab) -> None:
        details = lab.fetch(since="2025-03-03T00:00:00Z", until="2025-03-04T00:00:00+01:00")

        hours = {hour for _, hour in lab.counts()}
        assert details["inserted"] == 3 * 23
        assert (min(hours), max(hours)) == ("2025-03-03T00:00:00Z", "2025-03-03T22:00:00Z")

    def test_until_alone_takes_all_before_it(self, lab: Lab) -> None:
        assert lab.fetch(until="2025-03-02T00:00:00Z")["inserted"] == 3 * 24

    def test_backfill_never_reaches_past_as_of(self, lab: Lab) -> None:
        details = lab.fetch(since="2025-03-09T00:00:00Z", until="2027-01-01T00:00:00Z")

        assert details["until"] == "2025-03-10T02:00:00Z"

    @pytest.mark.parametrize(
        ("request_", "message"),
        [
            ({"since": "yesterday"}, "since 'yesterday' is not an RFC 3339 time"),
            ({"until": "2025-03-04T00:00:00"}, "until .* has no zone"),
            (
                {"since": "2025-03-05T00:00:00Z", "until": "2025-03-04T00:00:00Z"},
                "since 2025-03-05T00:00:00Z is not before until 2025-03-04T00:00:00Z",
            ),
            ({"since": "2025-04-05T00:00:00Z"}, "the window would be empty"),
        ],
    )
    def test_unusable_window(self, lab: Lab, request_: dict[str, str], message: str) -> None:
        with pytest.raises(EventError, match=message):
            lab.fetch(**request_)
        assert lab.counts() == {}


BAD_RECORDS = {
    "missing_id": line(id_compteur=None),
    "negative_count": line(sum_counts=-3),
    "fractional_count": line(sum_counts=2.5),
    "absurd_count": line(sum_counts=123456),
    "missing_count": line(sum_counts=None),
    "unreadable_time": line(date="soon"),
    "future_hour": line(date="2025-03-10T03:00:00Z"),
    "unreadable_count": line(sum_counts="\ud800"),
    "not_json": "not a record at all",
}


class TestBadRecords:
    def test_are_stored_as_rejects_once_and_corrected_by_the_next_run(self, lab: Lab) -> None:
        lab.city.faults.extra_lines = list(BAD_RECORDS.values())

        details = lab.fetch()

        assert lab.counts() == expected(PUBLISHED)
        assert details["rejected_by_reason"] == dict.fromkeys(sorted(BAD_RECORDS), 1)
        assert lab.gauges.values["bike/records_rejected"] == len(BAD_RECORDS)
        rejects = lab.rows("rejects")
        records = zip(rejects["reason"], map(stored_text, rejects["record"]), strict=True)
        assert dict(records) == BAD_RECORDS
        source = "comptage-velo-donnees-compteurs the first..2025-03-10T02:00:00"
        assert set(rejects["source"]) == {source}

        lab.city.next_day()
        again = lab.fetch()
        assert (again["rejected"], again["rejects_stored"]) == (len(BAD_RECORDS) - 1, 0)
        assert len(lab.rows("rejects")) == len(BAD_RECORDS)  # sent again, and known

        lab.city.faults.extra_lines = [line()]  # what the city meant
        assert lab.fetch()["inserted"] == 1
        assert lab.counts()["300-301", "2025-03-09T05:00:00Z"] == 7

    def test_whole_count_written_as_a_float_is_a_count(self, lab: Lab) -> None:
        lab.city.faults.extra_lines = [line(sum_counts=3.0)]

        assert lab.fetch()["rejected"] == 0
        assert lab.counts()["300-301", "2025-03-09T05:00:00Z"] == 3

    def test_unknown_field_is_stored_without_it_and_reported(self, lab: Lab) -> None:
        lab.city.faults.extra_lines = [
            line(scooters=4),
            line(date="2025-03-09T06:00:00Z", scooters=5),
        ]

        details = lab.fetch()

        assert details["unknown_fields"] == ["scooters"]
        assert details["inserted"] == 3 * HOURS + 2

    def test_two_values_for_one_hour_are_both_rejected(self, lab: Lab) -> None:
        twice = [line(sum_counts=7), line(sum_counts=8)]
        lab.city.faults.extra_lines = twice

        details = lab.fetch()

        assert details["rejected_by_reason"] == {"conflicting_duplicate": 2}
        assert lab.counts() == expected(PUBLISHED)
        assert sorted(stored_text(r) for r in lab.rows("rejects")["record"]) == twice

        lab.city.faults.extra_lines = twice[1:]
        lab.fetch()
        assert lab.counts()["300-301", "2025-03-09T05:00:00Z"] == 8

    def test_two_values_do_not_replace_the_stored_one(self, lab: Lab) -> None:
        lab.fetch()
        lab.city.faults.extra_lines = [line(id_compteur="100-101", sum_counts=77)]

        details = lab.fetch()

        assert details["rejected_by_reason"] == {"conflicting_duplicate": 2}
        assert lab.counts() == expected(PUBLISHED)

    def test_the_same_record_twice_is_one_count(self, lab: Lab) -> None:
        lab.city.faults.extra_lines = [line(), line()]

        details = lab.fetch()

        assert (details["repeated"], details["rejected"]) == (1, 0)
        assert lab.counts()["300-301", "2025-03-09T05:00:00Z"] == 7


def stored_text(record: Any) -> str:
    """Return a stored reject as it was published: JSON, or text that is not JSON."""
    value = json.loads(record) if isinstance(record, str) else record
    return value if isinstance(value, str) else json.dumps(value)


class TestCounters:
    def test_counter_that_moved(self, lab: Lab) -> None:
        lab.fetch()
        lab.city.faults.counters = {"100-101": {"coordinates": {"lon": 2.31, "lat": 48.86}}}
        lab.city.next_day()

        details = lab.fetch()

        assert details["counters"]["moved"] == ["100-101"]
        assert lab.counter()["latitude"] == 48.86
        moved_at = lab.counter()["moved_at"]
        assert moved_at is not None
        (notice,) = lab.notices()
        assert (notice["event"], notice["counters"]) == ("counters_out_of_order", [LINK_101])
        assert "moved more than 50 m" in notice["reason"]

        lab.city.next_day()
        assert lab.fetch()["counters"]["moved"] == []
        assert lab.counter()["moved_at"] == moved_at
        assert lab.notices() == []

    def test_a_correction_of_a_few_metres_raises_no_notice(self, lab: Lab) -> None:
        lab.fetch()
        lab.city.faults.counters = {"100-101": {"coordinates": {"lon": 2.3104, "lat": 48.85}}}

        assert lab.fetch()["counters"]["moved"] == []
        assert lab.counter()["longitude"] == 2.3104

    def test_counter_that_was_renamed(self, lab: Lab) -> None:
        lab.fetch()
        lab.city.faults.counters = {"100-101": {"nom_compteur": "Totem 64 rue N-S"}}

        assert lab.fetch()["counters"]["renamed"] == ["100-101"]
        assert lab.counter()["counter_name"] == "Totem 64 rue N-S"
        assert lab.fetch()["counters"]["renamed"] == []

    def test_name_left_empty_does_not_replace_a_known_one(self, lab: Lab) -> None:
        lab.fetch()
        lab.city.faults.counters = {"100-101": {"nom_compteur": None, "name": "", "id": None}}
        lab.fetch()

        assert lab.counter()["counter_name"] == "1 rue des Essais N-S"
        assert lab.counter()["site_id"] == "100"

    def test_place_outside_the_city_is_unknown_and_reported(self, lab: Lab) -> None:
        lab.city.faults.counters = {"100-101": {"coordinates": {"lon": 0.0, "lat": 0.0}}}

        assert lab.fetch()["counters"]["outside_city"] == ["100-101"]
        assert pd.isna(lab.counter()["latitude"])

        lab.city.faults.counters = {}
        details = lab.fetch()
        assert details["counters"]["moved"] == []  # found, not moved
        assert lab.counter()["latitude"] == 48.85

    def test_counts_go_on_without_the_counters_data_set(self, lab: Lab) -> None:
        lab.city.faults.kind, lab.city.faults.datasets = "unavailable", ("counters",)

        details = lab.fetch()

        assert details["counters"]["metadata"].startswith("unavailable: ")
        assert "503" in details["counters"]["metadata"]
        assert lab.counts() == expected(PUBLISHED)
        assert pd.isna(lab.counter()["counter_name"])

        lab.city.faults.kind = None
        lab.fetch()
        assert lab.counter()["counter_name"] == "1 rue des Essais N-S"


class TestCityInTrouble:
    def test_an_empty_day_is_no_error(self, lab: Lab) -> None:
        frame = small_frame()
        gap = (frame["date"] >= pd.Timestamp(PUBLISHED)) & (
            frame["date"] < pd.Timestamp(PUBLISHED + timedelta(days=1))
        )
        lab.city.publish(frame[~gap])
        lab.fetch()
        lab.city.next_day()

        assert lab.fetch()["inserted"] == 0

        lab.city.next_day()
        assert lab.fetch()["inserted"] == 72

    def test_a_city_without_any_count_is_stale(self, lab: Lab) -> None:
        lab.city.now = FIRST - timedelta(days=2)

        details = lab.fetch()

        assert (details["fetched"], details["newest"]) == (0, None)
        (notice,) = lab.notices()
        assert (notice["event"], notice["newest_count_at"]) == ("data_stale", None)
        assert notice["age_hours"] is None

    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            ("truncated", CityTruncated),
            ("html", CityRefused),
            ("unavailable", CityUnreachable),
        ],
    )
    def test_nothing_is_stored_of_an_incomplete_answer(
        self, lab: Lab, kind: Any, error: type[CityError]
    ) -> None:
        lab.fetch()
        lab.city.next_day()
        lab.city.faults.kind, lab.city.faults.endpoints = kind, ("exports",)

        with pytest.raises(error):
            lab.fetch()
        assert lab.counts() == expected(PUBLISHED)
        assert lab.gauges.values["bike/newest_count_age_seconds"] == 28 * 3600
        assert lab.gauges.flushed == 1

        lab.city.faults.kind = None
        lab.fetch()
        assert lab.counts() == expected(PUBLISHED + timedelta(days=1))

    def test_down_for_three_days_and_back(self, lab: Lab) -> None:
        lab.fetch()
        lab.city.faults.kind = "unavailable"
        told = []
        for _ in range(3):
            lab.city.next_day()
            with pytest.raises(CityUnreachable):
                lab.fetch()
            told.append([n["event"] for n in lab.notices()])
        assert lab.counts() == expected(PUBLISHED)
        assert told == [[], [], ["data_stale"]]  # more than three days old only then

        lab.city.faults.kind = None
        lab.city.next_day()
        details = lab.fetch()

        assert details["inserted"] == 4 * 72
        assert lab.counts() == expected(PUBLISHED + timedelta(days=4))
        assert lab.notices() == []

    def test_a_city_that_answers_and_publishes_nothing_new_is_stale(self, lab: Lab) -> None:
        frame = small_frame()
        lab.city.publish(frame[frame["date"] < pd.Timestamp(PUBLISHED)])
        lab.fetch()
        lab.city.next_day(3)

        lab.fetch()

        (notice,) = lab.notices()
        assert notice["event_id"] == "fetch:data_stale:2025-03-13"
        assert (notice["newest_count_at"], notice["age_hours"]) == ("2025-03-09T22:00:00Z", 76.0)
        assert "published no newer counts" in notice["reason"]


class TestQuality:
    def silent(self, start: str, hours: int, counter: str = "200-201") -> pd.DataFrame:
        frame = small_frame()
        first = pd.Timestamp(start)
        zeros = (
            (frame["id_compteur"] == counter)
            & (frame["date"] >= first)
            & (frame["date"] < first + pd.Timedelta(hours=hours))
        )
        frame.loc[zeros, "sum_counts"] = 0
        return frame

    def test_a_day_of_zeros_is_an_outage_with_one_notice(self, lab: Lab) -> None:
        lab.city.publish(self.silent("2025-03-08T10:00Z", 30))

        details = lab.fetch()

        marked = lab.counts(quality=True)
        assert set(marked.values()) == {"outage"}
        assert {c for c, _ in marked} == {"200-201"}
        assert (min(h for _, h in marked), len(marked)) == ("2025-03-08T10:00:00Z", 30)
        assert details["quality"]["marked"] == {"outage": 30}
        said = f"{LINK_201}: dead since 2025-03-08 (0 bikes in 30 hours, "
        assert [line[: len(said)] for line in details["quality"]["new_faults"]] == [said]
        (notice,) = lab.notices()
        assert notice["event"] == "counters_out_of_order"
        assert notice["counters"] == details["quality"]["new_faults"]
        (fault,) = notice["faults"]
        assert (notice["cause"], fault["counter"], fault["kind"]) == ("faults", LINK_201, "dead")
        assert fault["since"] == "2025-03-08"

        lab.city.next_day()
        assert lab.fetch()["quality"]["marked"] == {}
        assert lab.notices() == []

    def test_the_end_of_a_fault_is_told_once(self, lab: Lab) -> None:
        lab.city.publish(self.silent("2025-03-08T10:00Z", 60))
        begun = lab.fetch()
        assert [each["open"] for each in begun["quality"]["faults"]] == [True]
        lab.notices()

        lab.city.next_day(2)
        ended = f"{LINK_201}: dead from 2025-03-08 until 2025-03-11"
        assert lab.fetch()["quality"]["over"] == [ended]
        (notice,) = lab.notices()
        assert notice["event"] == "counters_work_again"
        (over,) = notice["faults"]
        assert (over["counter"], over["over"]) == (LINK_201, "ended")

        lab.city.next_day()
        assert lab.fetch()["quality"]["over"] == []
        assert lab.notices() == []

    def test_less_than_a_day_of_zeros_is_none(self, lab: Lab) -> None:
        lab.city.publish(self.silent("2025-03-08T10:00Z", 23))
        lab.fetch()

        assert lab.counts(quality=True) == {}

    def test_a_counter_that_hardly_counts_may_be_silent(self, lab: Lab) -> None:
        frame = small_frame()
        quiet = frame["id_compteur"] == "200-201"
        frame.loc[quiet, "sum_counts"] = (frame.loc[quiet, "date"].dt.hour == 12).astype("int32")
        frame.loc[quiet & (frame["date"] >= pd.Timestamp("2025-03-07T13:00Z")), "sum_counts"] = 0
        lab.city.publish(frame)
        lab.fetch()

        assert lab.counts(quality=True) == {}

    def test_an_outage_grows_by_the_day_and_is_found_from_its_beginning(self, lab: Lab) -> None:
        lab.city.publish(self.silent("2025-03-09T05:00Z", 100))
        lab.fetch()
        assert lab.counts(quality=True) == {}  # 18 hours so far

        lab.city.next_day()
        lab.fetch()
        assert len(lab.counts(quality=True)) == 42

        lab.city.next_day(3)
        lab.fetch()
        assert len(lab.counts(quality=True)) == 100

    def test_an_outage_stays_marked_when_its_usual_days_are_too_old(self, lab: Lab) -> None:
        frame = small_frame(days=60)
        dead = (frame["id_compteur"] == "200-201") & (
            frame["date"] >= pd.Timestamp("2025-03-05T00:00Z")
        )
        frame.loc[dead, "sum_counts"] = 0
        lab.city.publish(frame)
        for _ in range(3):
            lab.fetch()
            lab.city.next_day(18)

        # these counts keep the clock of UTC, so in summer a working one is an hour late
        marked = {key for key in lab.counts(quality=True) if key[0] == "200-201"}
        until = lab.city.now - timedelta(
            days=18, hours=5
        )  # 21:00Z of the day before, in summer time
        assert len(marked) == dead[frame["date"] <= pd.Timestamp(until)].sum()

    def test_corrected_zeros_are_usable_again(self, lab: Lab) -> None:
        lab.city.publish(self.silent("2025-03-08T10:00Z", 30))
        lab.fetch()
        lab.city.publish(small_frame())

        details = lab.fetch()

        assert (details["updated"], details["quality"]["usable_again"]) == (30, 30)
        assert lab.counts(quality=True) == {}

    def test_an_old_outage_is_marked_without_a_notice(self, lab: Lab) -> None:
        lab.city.publish(self.silent("2025-03-07T10:00Z", 30))
        lab.city.now = datetime(2025, 3, 23, 2, tzinfo=UTC)

        details = lab.fetch()

        assert details["quality"]["marked"] == {"outage": 30}
        assert details["quality"]["new_faults"] == []
        assert lab.notices() == []

    def test_the_merged_hour_of_autumn_is_marked(self, lab: Lab) -> None:
        frame = small_frame(datetime(2024, 10, 20, tzinfo=UTC), days=10)
        merged = (frame["date"] == pd.Timestamp("2024-10-27T00:00Z")) & (
            frame["id_compteur"] != "200-201"
        )
        lab.city.publish(frame[~merged])
        lab.city.now = datetime(2024, 10, 29, 2, tzinfo=UTC)

        details = lab.fetch()

        assert details["quality"]["marked"] == {"clock_change": 2}
        assert lab.counts(quality=True) == {
            ("100-101", "2024-10-27T01:00:00Z"): "clock_change",
            ("100-102", "2024-10-27T01:00:00Z"): "clock_change",
        }
        assert lab.fetch()["quality"]["marked"] == {}


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('{"é": null}', '{"é": null}'),
        ("oops", '"oops"'),
        ('{"a": NaN}', json.dumps('{"a": NaN}')),
        ('{"a": "\\ud800"}', json.dumps('{"a": "\\ud800"}')),
    ],
)
def test_rejected_text_becomes_json(text: str, stored: str) -> None:
    assert ingest.reject_as_json(text) == stored
