"""The city's API as the library reads it: one record at a time, and whole answers through the replayed city."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from velocast.adapters.city_sources.opendatasoft import LIMITS, CitySource, where
from velocast.adapters.city_sources.opendatasoft_answers import json_lines

from gcp_emulators.core.http_server import HttpServer, free_port
from tests.replayed_city import ReplayedCity, serving, small_frame
from velocast.adapters.city_sources import opendatasoft
from velocast.adapters.city_sources.records import (
    REASONS,
    Count,
    CounterRecord,
    Reject,
    read_counter,
    read_record,
)
from velocast.adapters.city_sources.transport import TimeRange
from velocast.adapters.http_answer import split_lines
from velocast.core.city import City, load_city
from velocast.core.errors import CityRefused, CityTruncated, CityUnreachable

CITY = load_city("demoville")
EXACT = replace(LIMITS, jitter_seconds=0.0)
AS_OF = datetime(2025, 3, 10, 2, tzinfo=UTC)
HOUR_5 = datetime(2025, 3, 9, 5, tzinfo=UTC)
WINDOW = TimeRange(datetime(2025, 3, 4, tzinfo=UTC), datetime(2025, 3, 6, tzinfo=UTC))


def line(**changes: Any) -> bytes:
    record = {"id_compteur": "100-101", "date": "2025-03-09T05:00:00+00:00", "sum_counts": 7}
    return json.dumps(record | changes).encode()


def read(text: bytes) -> Count | Reject:
    return read_record(text, CITY, as_of=AS_OF)


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
    found = read_record(line(date=at), city, as_of=AS_OF)
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
            (line(id_compteur=100), "unreadable_id"),
            (line(id_compteur="\ud800"), "unreadable_id"),
            (line(sum_counts=None), "missing_count"),
            (b'{"id_compteur":"a","date":"2025-03-09T05:00:00Z"}', "missing_count"),
            (line(sum_counts="7"), "unreadable_count"),
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

        assert read_counter(text.encode(), CITY) == CounterRecord(
            "100-101", "1 rue N-S", "100056038", "1 rue", date(2020, 5, 4), 48.85, 2.3
        )

    @pytest.mark.parametrize("text", [b"{", b"[]", b'{"id_compteur":null}'])
    def test_without_an_id_it_is_left_out(self, text: bytes) -> None:
        assert read_counter(text, CITY) is None

    def test_a_name_that_cannot_be_stored_is_unknown(self) -> None:
        text = b'{"id_compteur": "a", "nom_compteur": "\\ud800"}'
        found = read_counter(text, CITY)
        assert found
        assert found.counter_name is None

    @pytest.mark.parametrize(
        "position",
        [
            None,
            "48.8,2.3",
            {"lon": 2.3},
            {"lon": "x", "lat": 1},
            {"lon": "nan", "lat": "nan"},
            {"lon": 10**400, "lat": 1},
        ],
        ids=["none", "text", "half", "no number", "not a number", "too large"],
    )
    def test_wrong_fields_are_unknown(self, position: Any) -> None:
        text = json.dumps(
            {"id_compteur": "a", "coordinates": position, "installation_date": "2020"}
        )

        assert read_counter(text.encode(), CITY) == CounterRecord(
            "a", None, None, None, None, None, None
        )

    def test_place_outside_the_city_is_unknown_and_says_so(self) -> None:
        text = json.dumps({"id_compteur": "a", "coordinates": {"lon": 0, "lat": 0}})

        found = read_counter(text.encode(), CITY)

        assert found is not None
        assert (found.latitude, found.longitude, found.outside_city) == (None, None, True)


class TestJsonLines:
    @pytest.mark.parametrize("size", [1, 3, 7, 1000])
    def test_cut_at_line_feeds_only(self, size: int) -> None:
        body = '{"a":"\u2028"}\n\n{"b":"\x85"}\r\n{"c":1}'.encode()
        chunks = [body[i : i + size] for i in range(0, len(body), size)]

        assert [json.loads(text) for text in json_lines(split_lines(chunks, 1000), "x")] == [
            {"a": "\u2028"},
            {"b": "\x85"},
            {"c": 1},
        ]

    def test_a_name_may_speak_of_interruptions(self) -> None:
        text = b'{"name":"Streaming interrupted"}'

        assert list(json_lines([text], "x")) == [text]


class TestTimeRange:
    def test_where(self) -> None:
        assert where("date", WINDOW) == (
            "date >= date'2025-03-04T00:00:00' AND date < date'2025-03-06T00:00:00'"
        )
        assert where("jour", TimeRange(None, AS_OF)) == "jour < date'2025-03-10T02:00:00'"


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplayedCity]:
    """A small city at AS_OF."""
    with serving(ReplayedCity(tmp_path / "city.parquet", small_frame(), AS_OF)) as city:
        yield city


class Patience:
    """Stands in for sleep: remembers how long the source would have waited."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)


def at_addresses(city: City, base_url: str, *fallbacks: str) -> City:
    """Return the city with its counts published at other addresses."""
    described = city.model_dump()
    described["counts"]["source"] |= {"base_url": base_url, "fallback_base_urls": fallbacks}
    return City(**described)


@pytest.fixture
def patience() -> Patience:
    """No waiting."""
    return Patience()


@pytest.fixture
def source(city: ReplayedCity, patience: Patience) -> Iterator[CitySource]:
    """The source that reads the city."""
    with CitySource(city.city, sleep=patience, limits=EXACT) as source:
        yield source


class TestReadCounts:
    def test_window_is_read_whole(self, source: CitySource) -> None:
        harvest = source.read_counts(WINDOW, as_of=AS_OF)

        assert (harvest.fetched, harvest.rejects, harvest.unknown_fields) == (144, [], [])
        first = harvest.counts.slice(0, 1).to_pylist()[0]
        assert first == {
            "counter_id": "100-101",
            "counted_at": datetime(2025, 3, 4, tzinfo=UTC),
            "bike_count": 10,
            "line": b'{"id_compteur":"100-101","date":"2025-03-04T00:00:00+00:00","sum_counts":10}',
        }

    def test_batches_join(self, source: CitySource, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(opendatasoft, "BATCH_ROWS", 50)

        counts = source.read_counts(WINDOW, as_of=AS_OF).counts

        assert counts.num_rows == 144
        assert (
            len(
                set(
                    zip(
                        counts["counter_id"].to_pylist(),
                        counts["counted_at"].to_pylist(),
                        strict=True,
                    )
                )
            )
            == 144
        )

    def test_nothing_in_the_window(self, source: CitySource) -> None:
        harvest = source.read_counts(
            TimeRange(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)),
            as_of=AS_OF,
        )

        assert (harvest.fetched, harvest.counts.num_rows) == (0, 0)

    def test_bad_records_are_refused_and_the_rest_goes_on(
        self, city: ReplayedCity, source: CitySource
    ) -> None:
        bad = [line(id_compteur=None), line(sum_counts=-4), b"oops"]
        city.faults.extra_lines = [text.decode() for text in (*bad, line(weather="fair"))]

        harvest = source.read_counts(WINDOW, as_of=AS_OF)

        assert harvest.counts.num_rows == 145
        assert [r.reason for r in harvest.rejects] == ["missing_id", "negative_count", "not_json"]
        assert [r.text.encode() for r in harvest.rejects] == bad
        assert harvest.unknown_fields == ["weather"]


class TestAnswersNotBelieved:
    @pytest.mark.parametrize("kind", ["truncated", "disconnected"])
    def test_broken_export_is_asked_for_again(
        self, city: ReplayedCity, source: CitySource, patience: Patience, kind: Any
    ) -> None:
        city.faults.kind, city.faults.times, city.faults.endpoints = kind, 2, ("exports",)

        assert source.read_counts(WINDOW, as_of=AS_OF).fetched == 144
        assert patience.pauses == [1.0, 4.0]

    def test_export_that_always_breaks_is_truncated(
        self, city: ReplayedCity, source: CitySource
    ) -> None:
        city.faults.kind, city.faults.endpoints = "truncated", ("exports",)

        with pytest.raises(
            CityTruncated, match="the export broke off: 'Streaming interrupted due to"
        ):
            source.read_counts(WINDOW, as_of=AS_OF)

    def test_fewer_records_than_the_api_counts_is_truncated(self, patience: Patience) -> None:
        async def records(_: Request) -> Response:
            return JSONResponse({"total_count": 2, "results": []})

        async def exports(_: Request) -> Response:
            return Response(line() + b"\n", media_type="application/jsonlines")

        with (
            answering(records, exports) as base_url,
            CitySource(
                at_addresses(load_city("demoville"), base_url), sleep=patience, limits=EXACT
            ) as source,
            pytest.raises(
                CityTruncated, match="1 records arrived, the API counts 2; fetch the window again"
            ),
        ):
            source.read_counts(WINDOW, as_of=AS_OF)

    @pytest.mark.parametrize("endpoint", ["records", "exports"])
    def test_page_of_html_is_refused_at_once(
        self, city: ReplayedCity, source: CitySource, patience: Patience, endpoint: str
    ) -> None:
        city.faults.kind, city.faults.endpoints = "html", (endpoint,)

        with pytest.raises(CityRefused, match=r"200 \(text/html.*needs .*DOCTYPE html"):
            source.read_counts(WINDOW, as_of=AS_OF)
        assert patience.pauses == []

    def test_html_dressed_as_json_lines_is_refused(self, patience: Patience) -> None:
        async def records(_: Request) -> Response:
            return JSONResponse({"total_count": 0, "results": []})

        async def exports(_: Request) -> Response:
            return Response("\n<html>", media_type="application/jsonlines")

        with (
            answering(records, exports) as base_url,
            CitySource(
                at_addresses(load_city("demoville"), base_url), sleep=patience, limits=EXACT
            ) as source,
            pytest.raises(CityRefused, match="an HTML page came instead of JSON lines"),
        ):
            source.read_counts(WINDOW, as_of=AS_OF)

    @pytest.mark.parametrize(
        "answer", [{"hits": 3}, [1], {"total_count": "3"}, {"total_count": -1}]
    )
    def test_count_of_unknown_shape_is_refused(self, answer: Any, patience: Patience) -> None:
        async def records(_: Request) -> Response:
            return JSONResponse(answer)

        with (
            answering(records, records) as base_url,
            CitySource(
                at_addresses(load_city("demoville"), base_url), sleep=patience, limits=EXACT
            ) as source,
            pytest.raises(CityRefused, match="total_count"),
        ):
            source.read_counts(WINDOW, as_of=AS_OF)


class TestCityThatFails:
    def test_unavailable_for_a_while(
        self, city: ReplayedCity, source: CitySource, patience: Patience
    ) -> None:
        city.faults.kind, city.faults.times = "unavailable", 2

        assert source.read_counts(WINDOW, as_of=AS_OF).fetched == 144
        assert patience.pauses == [1.0, 4.0]

    def test_unavailable_for_good(self, city: ReplayedCity, source: CitySource) -> None:
        city.faults.kind = "unavailable"

        with pytest.raises(CityUnreachable, match=r"503 .*needs records.*503 Service Unavailable"):
            source.read_counts(WINDOW, as_of=AS_OF)

    def test_too_many_requests_are_not_repeated_and_say_when(
        self, city: ReplayedCity, source: CitySource, patience: Patience
    ) -> None:
        city.faults.kind = "too_many_requests"

        with pytest.raises(CityUnreachable, match="takes requests again at 2030-01-01T00:00:00Z"):
            source.read_counts(WINDOW, as_of=AS_OF)
        assert patience.pauses == []

    def test_refusal_quotes_the_api_and_is_not_repeated(
        self, city: ReplayedCity, patience: Patience
    ) -> None:
        described = city.city.model_dump()
        described["counts"]["layout"]["values"] = [{"column": "velos"}]
        wrong = City(**described)

        with (
            CitySource(wrong, sleep=patience, limits=EXACT) as source,
            pytest.raises(CityRefused, match=r"400 .*Unknown field: velos"),
        ):
            source.read_counts(WINDOW, as_of=AS_OF)
        assert patience.pauses == []

    def test_fallback_address_is_used_when_the_first_cannot_be_connected_to(
        self, city: ReplayedCity, patience: Patience
    ) -> None:
        dead = f"http://127.0.0.1:{free_port()}"
        moved = at_addresses(city.city, dead, city.base_url)

        with CitySource(moved, sleep=patience, limits=EXACT) as source:
            assert source.read_counts(WINDOW, as_of=AS_OF).fetched == 144

    def test_fallback_address_is_not_used_for_an_error_answer(
        self, city: ReplayedCity, patience: Patience
    ) -> None:
        async def refuse(_: Request) -> Response:
            return JSONResponse({"message": "no", "error_code": "ODSQLError"}, 400)

        with answering(refuse, refuse) as base_url:
            both = at_addresses(city.city, base_url, city.base_url)
            with (
                CitySource(both, sleep=patience, limits=EXACT) as source,
                pytest.raises(CityRefused, match="400"),
            ):
                source.read_counts(WINDOW, as_of=AS_OF)

    def test_no_address_answers(self, patience: Patience) -> None:
        dead = f"http://127.0.0.1:{free_port()}"

        with (
            CitySource(
                at_addresses(load_city("demoville"), dead), sleep=patience, limits=EXACT
            ) as source,
            pytest.raises(
                CityUnreachable, match=f"none of its addresses can be connected to: {dead}"
            ),
        ):
            source.read_counts(WINDOW, as_of=AS_OF)
        assert patience.pauses == [1.0, 4.0]


class TestReadCounters:
    def test_all_counters(self, source: CitySource) -> None:
        found = source.read_counters()

        assert [c.counter_id for c in found] == ["100-101", "100-102", "200-201"]
        assert found[0].counter_name == "1 rue des Essais N-S"

    def test_who_asks_is_named(self, patience: Patience) -> None:
        agents = []

        async def records(request: Request) -> Response:
            agents.append(request.headers["user-agent"])
            return JSONResponse({"total_count": 0, "results": []})

        async def exports(request: Request) -> Response:
            return Response("")

        with (
            answering(records, exports) as base_url,
            CitySource(
                at_addresses(load_city("demoville"), base_url), sleep=patience, limits=EXACT
            ) as source,
        ):
            assert source.read_counters() == []
        assert agents[0].startswith("velocast (+https://")


def answering(records: Any, exports: Any) -> Any:
    """Serve two endpoints of a city that answers as it likes; gives its address."""
    from contextlib import contextmanager

    base = "/api/explore/v2.1/catalog/datasets/{dataset}"

    @contextmanager
    def server() -> Iterator[str]:
        found = [Route(f"{base}/records", records), Route(f"{base}/exports/jsonl", exports)]
        with HttpServer(found) as running:
            yield running.url

    return server()
