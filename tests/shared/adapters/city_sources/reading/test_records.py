"""Single records of counts and of counters: what is stored of them, and why others are not."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import pytest

from velocast.adapters.city_sources.reading import read_counters, read_counts
from velocast.adapters.city_sources.records import REASONS, CounterRecord, Reject
from velocast.adapters.city_sources.tables.json_records import tables_of_lines
from velocast.core.city import City, load_city

CITY = load_city("demoville")
AS_OF = datetime(2025, 3, 10, 2, tzinfo=UTC)
HOUR_5 = datetime(2025, 3, 9, 5, tzinfo=UTC)


class Count(NamedTuple):
    """A stored count."""

    counter_id: str
    counted_at: datetime
    bike_count: int
    unknown_fields: tuple[str, ...] = ()


def line(**changes: Any) -> bytes:
    record = {"id_compteur": "100-101", "date": "2025-03-09T05:00:00+00:00", "sum_counts": 7}
    return json.dumps(record | changes).encode()


def read(text: bytes, city: City = CITY) -> Count | Reject:
    """Return what becomes of a record beside a good one."""
    hour = datetime(2025, 3, 8, tzinfo=city.zone)
    other = line(id_compteur="other", date=hour.isoformat())
    harvest = read_counts(city, tables_of_lines([other, text], "test"), AS_OF)
    rows = [row for row in harvest.counts.to_pylist() if row["counter_id"] != "other"]
    assert (harvest.fetched, len(rows) + len(harvest.rejects)) == (2, 1)
    if harvest.rejects:
        return harvest.rejects[0]
    row = rows[0]
    assert row["quality"] is None
    unknown = tuple(harvest.unknown_fields)
    return Count(row["counter_id"], row["counted_at"], row["bike_count"], unknown)


def read_counter(text: bytes) -> CounterRecord | None:
    assert CITY.counters.fields
    found = read_counters(CITY, tables_of_lines([text], "test"), CITY.counters.fields)
    return found[0] if found else None


@pytest.mark.parametrize(
    ("zone", "at", "good"),
    [
        ("Australia/Adelaide", "2025-03-08T15:00:00+10:30", True),
        ("Australia/Adelaide", "2025-03-08T05:00:00Z", False),
        ("Australia/Adelaide", "2025-03-08T04:30:00Z", True),
        ("Australia/Adelaide", "2025-03-08T15:00:00Z", False),
        ("America/St_Johns", "2025-03-08T15:00:00-03:30", True),
        ("America/St_Johns", "2025-03-08T15:00:00Z", False),
        ("Asia/Kathmandu", "2025-03-08T15:00:00+05:45", True),
        ("Europe/Paris", "2025-03-08T15:30:00Z", False),
    ],
)
def test_an_hour_begins_by_the_city_s_own_clock(zone: str, at: str, good: bool) -> None:
    city = CITY.model_copy(update={"time_zone": zone})
    found = read(line(date=at), city)
    if good:
        assert found == Count("100-101", datetime.fromisoformat(at).astimezone(UTC), 7)
    else:
        assert isinstance(found, Reject)
        assert found.reason == "not_on_the_hour"


class TestReadRecord:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (line(), Count("100-101", HOUR_5, 7)),
            (line(sum_counts=0), Count("100-101", HOUR_5, 0)),
            (line(sum_counts=3.0), Count("100-101", HOUR_5, 3)),
            (line(sum_counts=5000), Count("100-101", HOUR_5, 5000)),
            (line(date="2025-03-09T06:00:00+01:00"), Count("100-101", HOUR_5, 7)),
            (line(date="2025-03-09T05:00:00Z"), Count("100-101", HOUR_5, 7)),
            (line(sum_counts="7"), Count("100-101", HOUR_5, 7)),  # Socrata writes numbers so
            (line(id_compteur=100), Count("100", HOUR_5, 7)),
            (line(id_compteur=100.0), Count("100", HOUR_5, 7)),
            (line(photos=None), Count("100-101", HOUR_5, 7, ("photos",))),
            (line(name="1 rue", id="100"), Count("100-101", HOUR_5, 7)),
            (line(date="2025-03-10T01:00:00Z"), Count("100-101", AS_OF.replace(hour=1), 7)),
        ],
    )
    def test_understood(self, text: bytes, expected: Count) -> None:
        assert read(text) == expected

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (b"{", "not_json"),
            (b"\xff\xfe", "not_json"),
            (b'{"sum_counts":NaN}', "not_json"),
            (b"[" * 100_000, "not_json"),
            (b"[1]", "not_a_record"),
            (b"null", "not_a_record"),
            (line(id_compteur=None), "missing_id"),
            (line(id_compteur=""), "missing_id"),
            (b"{}", "missing_id"),
            (line(id_compteur=True), "unreadable_id"),
            (line(id_compteur=1.5), "unreadable_id"),
            (line(id_compteur="\ud800"), "unreadable_id"),
            (line(sum_counts=None), "missing_count"),
            (b'{"id_compteur":"a","date":"2025-03-09T05:00:00Z"}', "missing_count"),
            (line(sum_counts="7 bikes"), "unreadable_count"),
            (line(sum_counts={"n": 7}), "unreadable_count"),
            (line(sum_counts=True), "unreadable_count"),
            (line(sum_counts=-1), "negative_count"),
            (line(sum_counts=-0.5), "negative_count"),
            (line(sum_counts=2.5), "fractional_count"),
            (line(sum_counts=5001), "absurd_count"),
            (line(sum_counts=1e300), "absurd_count"),
            (
                b'{"id_compteur":"a","date":"2025-03-09T05:00:00Z","sum_counts":1e999}',
                "absurd_count",
            ),
            (line(date=None), "missing_time"),
            (line(date="yesterday"), "unreadable_time"),
            (line(date=1741496400), "unreadable_time"),
            (line(date="2025-03-09T05:00:00"), "unreadable_time"),
            (line(date="0001-01-01T00:00:00+23:00"), "unreadable_time"),
            (line(date="1025-03-09T05:00:00Z"), "absurd_time"),
            (line(date="2025-03-09T05:30:00Z"), "not_on_the_hour"),
            (line(date="2025-03-10T02:00:00Z"), "future_hour"),
            (line(date="2095-03-10T02:00:00Z"), "future_hour"),
            (line(date="9999-12-31T23:00:00Z"), "future_hour"),
        ],
    )
    def test_refused_with_its_text(self, text: bytes, reason: str) -> None:
        assert reason in REASONS
        assert read(text) == Reject(reason, text.decode("utf-8", "replace"))


class TestReadCounter:
    def test_all_of_it(self) -> None:
        text = json.dumps(
            {
                "id_compteur": "100-101",
                "nom_compteur": "1 rue N-S",
                "id": "100,056,038",
                "name": "1 rue",
                "installation_date": "2020-05-04",
                "coordinates": {"lon": 2.3, "lat": 48.85},
            }
        )

        assert read_counter(text.encode()) == CounterRecord(
            "100-101", "1 rue N-S", "100056038", "1 rue", date(2020, 5, 4), 48.85, 2.3
        )

    @pytest.mark.parametrize("text", [b"{", b"[]", b'{"id_compteur":null}'])
    def test_without_an_id_it_is_left_out(self, text: bytes) -> None:
        assert read_counter(text) is None

    def test_a_name_that_cannot_be_stored_is_unknown(self) -> None:
        text = b'{"id_compteur": "a", "nom_compteur": "\\ud800"}'
        found = read_counter(text)
        assert found
        assert found.counter_name is None

    @pytest.mark.parametrize(
        "position",
        [
            None,
            "48.8",
            "98.8,2.3",
            {"lon": 2.3},
            {"lon": "x", "lat": 1},
            {"lon": "nan", "lat": "nan"},
            {"lon": 10**400, "lat": 1},
        ],
        ids=["none", "text", "no latitude", "half", "no number", "not a number", "too large"],
    )
    def test_wrong_fields_are_unknown(self, position: Any) -> None:
        text = json.dumps(
            {"id_compteur": "a", "coordinates": position, "installation_date": "2020"}
        )

        assert read_counter(text.encode()) == CounterRecord("a", None, None, None, None, None, None)

    def test_place_outside_the_city_is_unknown_and_says_so(self) -> None:
        text = json.dumps({"id_compteur": "a", "coordinates": {"lon": 0, "lat": 0}})

        found = read_counter(text.encode())

        assert found is not None
        assert (found.latitude, found.longitude, found.outside_city) == (None, None, True)
