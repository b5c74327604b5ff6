"""Opendatasoft's API as the library reads it: whole answers of the replayed city, and answers that are not believed."""

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

from gcp_emulators.core.http_server import HttpServer, free_port
from tests.replayed_city import ReplayedCity, serving, small_frame
from velocast.adapters.city_sources.source import CitySource
from velocast.adapters.city_sources.tables import json_records
from velocast.adapters.city_sources.transport import DayTotals, TimeRange
from velocast.adapters.city_sources.transports.opendatasoft import where
from velocast.adapters.city_sources.transports.opendatasoft_answers import json_lines
from velocast.adapters.city_sources.transports.portal import LIMITS
from velocast.adapters.http_answer import split_lines
from velocast.core.city import City, load_city
from velocast.core.errors import CityRefused, CityTruncated, CityUnreachable

EXACT = replace(LIMITS, jitter_seconds=0.0)
AS_OF = datetime(2025, 3, 10, 2, tzinfo=UTC)
WINDOW = TimeRange(datetime(2025, 3, 4, tzinfo=UTC), datetime(2025, 3, 6, tzinfo=UTC))


def line(**changes: Any) -> bytes:
    record = {"id_compteur": "100-101", "date": "2025-03-09T05:00:00+00:00", "sum_counts": 7}
    return json.dumps(record | changes).encode()


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


def test_days_are_counted_and_added_up_in_one_request(city: ReplayedCity) -> None:
    found = CitySource(city.city, limits=EXACT).read_day_totals(WINDOW)
    hours = sum(range(24))
    # three counters; counter number n counts 10 n + the hour
    whole = DayTotals(72, 24.0 * (10 + 20 + 30) + 3 * hours)
    assert found == {date(2025, 3, 4): whole, date(2025, 3, 5): whole}


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
    """Return the city published at other addresses."""
    described = city.model_dump()
    for part in ("counts", "counters"):
        described[part]["source"] |= {"base_url": base_url, "fallback_base_urls": fallbacks}
    return City(**described)


@pytest.fixture
def patience() -> Patience:
    """No waiting."""
    return Patience()


@pytest.fixture
def source(city: ReplayedCity, patience: Patience) -> CitySource:
    """The source that reads the city."""
    return CitySource(city.city, sleep=patience, limits=EXACT)


def reading(base_url: str, patience: Patience) -> CitySource:
    """Return a source that reads the city at an address."""
    return CitySource(at_addresses(load_city("demoville"), base_url), sleep=patience, limits=EXACT)


class TestReadCounts:
    def test_window_is_read_whole(self, source: CitySource) -> None:
        harvest = source.read_counts(WINDOW, as_of=AS_OF)

        assert (harvest.fetched, harvest.rejects, harvest.unknown_fields) == (144, [], [])
        first = harvest.counts.slice(0, 1).to_pylist()[0]
        assert first == {
            "counter_id": "100-101",
            "counted_at": datetime(2025, 3, 4, tzinfo=UTC),
            "bike_count": 10,
            "quality": None,
        }

    def test_batches_join(self, source: CitySource, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(json_records, "CHUNK_ROWS", 50)

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
        city.faults.extra_lines = [
            text.decode()
            for text in (*bad, line(id_compteur="new", date="2025-03-05T00:00:00Z", weather="fair"))
        ]

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
            pytest.raises(
                CityTruncated, match="1 records arrived, the portal counts 2; fetch again"
            ),
        ):
            reading(base_url, patience).read_counts(WINDOW, as_of=AS_OF)

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
            pytest.raises(CityRefused, match="an HTML page came instead of JSON lines"),
        ):
            reading(base_url, patience).read_counts(WINDOW, as_of=AS_OF)

    @pytest.mark.parametrize(
        "answer", [{"hits": 3}, [1], {"total_count": "3"}, {"total_count": -1}]
    )
    def test_count_of_unknown_shape_is_refused(self, answer: Any, patience: Patience) -> None:
        async def records(_: Request) -> Response:
            return JSONResponse(answer)

        with (
            answering(records, records) as base_url,
            pytest.raises(CityRefused, match="total_count"),
        ):
            reading(base_url, patience).read_counts(WINDOW, as_of=AS_OF)


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

        source = CitySource(wrong, sleep=patience, limits=EXACT)
        with pytest.raises(CityRefused, match=r"400 .*Unknown field: velos"):
            source.read_counts(WINDOW, as_of=AS_OF)
        assert patience.pauses == []

    def test_fallback_address_is_used_when_the_first_cannot_be_connected_to(
        self, city: ReplayedCity, patience: Patience
    ) -> None:
        dead = f"http://127.0.0.1:{free_port()}"
        moved = at_addresses(city.city, dead, city.base_url)

        source = CitySource(moved, sleep=patience, limits=EXACT)
        assert source.read_counts(WINDOW, as_of=AS_OF).fetched == 144

    def test_fallback_address_is_not_used_for_an_error_answer(
        self, city: ReplayedCity, patience: Patience
    ) -> None:
        async def refuse(_: Request) -> Response:
            return JSONResponse({"message": "no", "error_code": "ODSQLError"}, 400)

        with answering(refuse, refuse) as base_url:
            both = at_addresses(city.city, base_url, city.base_url)
            source = CitySource(both, sleep=patience, limits=EXACT)
            with pytest.raises(CityRefused, match="400"):
                source.read_counts(WINDOW, as_of=AS_OF)

    def test_no_address_answers(self, patience: Patience) -> None:
        dead = f"http://127.0.0.1:{free_port()}"

        with pytest.raises(
            CityUnreachable, match=f"none of its addresses can be connected to: {dead}"
        ):
            reading(dead, patience).read_counts(WINDOW, as_of=AS_OF)
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

        with answering(records, exports) as base_url:
            assert reading(base_url, patience).read_counters() == []
        assert "velocast (+https://" in agents[0]


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
