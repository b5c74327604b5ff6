"""What every HTTP source does: retries, limits of time and size, and its own errors; against servers on loopback."""

from __future__ import annotations

import tracemalloc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from gcp_emulators.core.http_server import free_port
from tests.shared.adapters.raw_server import (
    OK,
    dripping,
    dripping_head,
    one_endless_line,
    raw_server,
    silent,
    whole,
)
from velocast.adapters.city_sources.transports import portal
from velocast.adapters.http_source import HttpSource, Limits, SourceErrors
from velocast.adapters.weather import open_meteo
from velocast.core.errors import CityRefused, CityTruncated, CityUnreachable, VelocastError

FUNCTIONS = Path(__file__).parents[3] / "terraform/config/functions.yaml"
LIMITS = Limits(answer_seconds=20.0, total_seconds=50.0, jitter_seconds=0.0)
KIB = 1024


class Source(HttpSource):
    """A city of one address, read as lines or whole."""

    errors = SourceErrors(CityUnreachable, CityTruncated, CityRefused)
    needs = "records"
    setting = "base_url"
    purpose = "a test"

    def read_lines(self, *urls: str) -> list[bytes]:
        return self.ask(lambda: self._read_lines(urls))

    def _read_lines(self, urls: tuple[str, ...]) -> list[bytes]:
        with self.opened(urls, {"key": "secret"}) as answer:
            return list(self.lines(answer))

    def read_body(self, url: str) -> bytes:
        return self.ask(lambda: self._read_body(url))

    def _read_body(self, url: str) -> bytes:
        with self.opened([url], {}) as answer:
            return self.read(answer).body


class Ticking:
    """A clock that goes on by one second each time it is read, and by what is slept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        self.now += 1.0
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def ticking() -> Ticking:
    return Ticking()


@pytest.fixture
def pauses() -> list[float]:
    return []


def standing() -> float:
    """A clock that stands still."""
    return 0.0


Answers = Callable[[], Iterable[bytes]]


def failure_of(source: Source, *urls: str) -> VelocastError:
    with source, pytest.raises(VelocastError) as raised:
        source.read_lines(*urls)
    assert "secret" not in str(raised.value)
    return raised.value


class TestDeadline:
    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (dripping, CityTruncated),
            (silent, CityTruncated),
            (dripping_head, CityUnreachable),
            (lambda: dripping(b"H"), CityUnreachable),
            (
                lambda: dripping(OK.replace(b"Connection", b"Transfer-Encoding: chunked\r\nConnection"), b"0"),
                CityTruncated,
            ),
        ],
        ids=["body", "silence", "header", "status line", "chunk size"],
    )  # fmt: skip
    def test_a_server_that_drips_is_given_up(self, answer: Answers, error: type[Exception]) -> None:
        limits = replace(LIMITS, answer_seconds=0.25, tries=1)
        with raw_server(answer) as server:
            found = failure_of(Source("Paris", limits), server.url)

        assert type(found) is error
        assert found.retryable
        assert str(found) == (
            f"Paris: {server.url}: the answer was not complete within 0.25 s; "
            "fetch again, with a shorter time range (since, until) if it happens again"
        )

    def test_it_is_measured_by_the_clock_that_was_given(self, ticking: Ticking) -> None:
        limits = replace(LIMITS, tries=1)
        with raw_server(dripping) as server:
            found = failure_of(Source("Paris", limits, clock=ticking), server.url)

        assert "not complete within 20 s" in str(found)
        assert server.sent < len(OK) + 200  # the clock was read before each byte

    def test_each_try_has_a_deadline_of_its_own(self, ticking: Ticking) -> None:
        with (
            raw_server(dripping, lambda: whole(b"a\nb\n")) as server,
            Source("Paris", LIMITS, clock=ticking, sleep=ticking.sleep) as source,
        ):
            assert source.read_lines(server.url) == [b"a", b"b", b""]
        assert ticking.pauses == [1.0]

    def test_all_tries_together_are_bounded(self, ticking: Ticking) -> None:
        limits = replace(LIMITS, total_seconds=30.0, tries=9)
        with raw_server(dripping) as server:
            found = failure_of(
                Source("Paris", limits, clock=ticking, sleep=ticking.sleep), server.url
            )

        assert "not complete within" in str(found)
        assert ticking.pauses == [1.0]
        assert ticking.now < 40.0

    def test_all_questions_of_one_source_together_are_bounded(self, ticking: Ticking) -> None:
        limits = replace(LIMITS, total_seconds=15.0)
        with (
            raw_server(lambda: whole(b"a")) as server,
            Source("Paris", limits, clock=ticking) as source,
        ):
            assert source.read_lines(server.url) == [b"a"]
            with pytest.raises(
                CityUnreachable, match=r"Paris: the 15 s allowed .* are used up; fetch"
            ):
                deque((source.read_lines(server.url) for _ in range(9)), maxlen=0)
        assert 1 < len(server.asked) < 9

    def test_without_a_question_there_is_none(self) -> None:
        with (
            raw_server(lambda: whole(b"a")) as server,
            Source("Paris", LIMITS) as source,
            source.opened([server.url], {}) as answer,
        ):
            assert source.read(answer).text == "a"

    def test_city_and_weather_leave_the_function_time_to_store(self) -> None:
        allowed = yaml.safe_load(FUNCTIONS.read_text())["fetch"]["timeout_seconds"]
        assert portal.LIMITS.total_seconds + open_meteo.LIMITS.total_seconds <= allowed - 90


class TestSize:
    def test_an_endless_line_is_given_up(self) -> None:
        limits = replace(LIMITS, line_bytes=100 * KIB, tries=1)
        tracemalloc.start()
        try:
            with raw_server(one_endless_line) as server:
                found = failure_of(Source("Paris", limits), server.url)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert isinstance(found, CityTruncated)
        assert found.retryable
        assert str(found) == (
            f"Paris: {server.url}: one line of the answer is longer than 102,400 bytes, so it was given up; "
            "check that this address serves records"
        )
        assert peak < 4 * KIB * KIB
        assert (
            server.sent < 32 * KIB * KIB
        )  # what was read, and what fits into the sockets' buffers

    def test_an_endless_body_is_given_up(self) -> None:
        limits = replace(LIMITS, body_bytes=100 * KIB, tries=1)
        with (
            raw_server(one_endless_line) as server,
            Source("Paris", limits) as source,
            pytest.raises(CityTruncated, match="the answer is longer than 102,400 bytes"),
        ):
            source.read_body(server.url)

    def test_what_is_just_within_the_limits_is_read(self) -> None:
        line = b"x" * 1000
        limits = replace(LIMITS, line_bytes=1000, body_bytes=2002, tries=1)
        with (
            raw_server(lambda: whole(line + b"\n" + line + b"\n")) as server,
            Source("Paris", limits) as source,
        ):
            assert source.read_lines(server.url) == [line, line, b""]
            assert len(source.read_body(server.url)) == 2002


class TestRetries:
    @pytest.fixture
    def source(self, pauses: list[float]) -> Iterator[Source]:
        with Source("Paris", LIMITS, sleep=pauses.append, clock=standing) as source:
            yield source

    @pytest.mark.parametrize(
        ("status", "headers", "expected"),
        [
            ("503 Busy", [], [1.0, 4.0]),
            ("503 Busy", ["Retry-After: 0"], [1.0, 4.0]),
            ("503 Busy", ["Retry-After: 3"], [3.0, 4.0]),
            ("503 Busy", ["Retry-After: 30"], [30.0, 30.0]),
            ("503 Busy", ["Retry-After: 31"], []),
            ("503 Busy", ["Retry-After: soon"], [1.0, 4.0]),
            ("500 Oops", [], [1.0, 4.0]),
            ("429 Slow down", [], []),
            ("429 Slow down", ["Retry-After: 2"], [2.0, 4.0]),
            ("429 Slow down", ["Retry-After: 3600"], []),
            (
                "429 Slow down",
                [
                    "Date: Mon, 10 Mar 2025 02:00:00 GMT",
                    "Retry-After: Mon, 10 Mar 2025 02:00:07 GMT",
                ],
                [7.0, 7.0],
            ),
            ("429 Slow down", ["Retry-After: Mon, 10 Mar 2025 02:00:07 GMT"], []),
        ],
    )
    def test_unreachable_is_asked_again_where_that_may_help(
        self,
        source: Source,
        pauses: list[float],
        status: str,
        headers: list[str],
        expected: list[float],
    ) -> None:
        with (
            raw_server(lambda: whole(b"busy", status, *headers)) as server,
            pytest.raises(CityUnreachable, match=f": {status[:3]} "),
        ):
            source.read_lines(server.url)
        assert pauses == expected
        assert len(server.asked) == 1 + len(expected)

    @pytest.mark.parametrize("status", ["400 No", "403 Stop", "404 Gone"])
    def test_refused_is_not_asked_again(
        self, source: Source, pauses: list[float], status: str
    ) -> None:
        with (
            raw_server(lambda: whole(b'{"message":"no"}', status)) as server,
            pytest.raises(CityRefused, match=rf": {status[:3]} \(no content type\), needs records: 'no'"),
        ):  # fmt: skip
            source.read_lines(server.url)
        assert pauses == []

    def test_another_error_is_not_asked_again(self, source: Source, pauses: list[float]) -> None:
        def question() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            source.ask(question)
        assert pauses == []

    def test_a_passing_fault_heals(
        self, source: Source, pauses: list[float], caplog: pytest.LogCaptureFixture
    ) -> None:
        with raw_server(lambda: whole(b"", "502 Bad"), lambda: whole(b"a")) as server:
            assert source.read_lines(server.url) == [b"a"]
        assert pauses == [1.0]
        assert [r.getMessage() for r in caplog.records if r.name == "velocast"] == [
            f"asking Paris again in 1.0 s: {server.url}: 502 (no content type), needs records: ''"
        ]

    def test_pauses_differ_from_run_to_run(self) -> None:
        pauses: list[float] = []
        limits = replace(LIMITS, jitter_seconds=0.5, tries=2)
        with raw_server(lambda: whole(b"", "502 Bad")) as server:
            for _ in range(5):
                failure_of(Source("Paris", limits, sleep=pauses.append), server.url)
        assert all(1.0 <= pause <= 1.5 for pause in pauses)
        assert len(set(pauses)) > 1

    def test_no_pause_that_ends_after_the_time_is_used_up(self, pauses: list[float]) -> None:
        limits = replace(LIMITS, total_seconds=4.5, answer_seconds=2.0)
        source = Source("Paris", limits, sleep=pauses.append, clock=standing)
        with raw_server(lambda: whole(b"", "502 Bad", "Retry-After: 5")) as server:
            failure_of(source, server.url)
        assert pauses == []


class TestWhatGoesWrong:
    @pytest.mark.parametrize(
        ("answer", "error", "words"),
        [
            ([], CityUnreachable, "no answer: RemoteProtocolError"),
            ([b"SSH-2.0-OpenSSH\r\n"], CityUnreachable, "no answer: RemoteProtocolError"),
            (
                [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"],
                CityTruncated,
                "the answer broke off: RemoteProtocolError",
            ),
            (
                [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip"],
                CityTruncated,
                "the answer broke off: DecodingError",
            ),
            (
                whole(b"", "302 Found", "Location: /"),
                CityUnreachable,
                "no answer: TooManyRedirects",
            ),
        ],
        ids=["hangs up", "another protocol", "half a body", "bad gzip", "redirects"],
    )
    def test_is_one_of_the_sources_own_errors(
        self, answer: list[bytes], error: type[Exception], words: str
    ) -> None:
        limits = replace(LIMITS, tries=1)
        with raw_server(lambda: answer) as server:
            found = failure_of(Source("Paris", limits), server.url)
        assert type(found) is error
        assert words in str(found)
        assert found.__cause__ is not None

    def test_the_next_address_is_asked_when_one_cannot_be_connected_to(self) -> None:
        dead = f"http://127.0.0.1:{free_port()}"
        with raw_server(lambda: whole(b"a")) as server, Source("Paris", LIMITS) as source:
            assert source.read_lines(dead, server.url) == [b"a"]

    def test_no_address_can_be_connected_to(self) -> None:
        dead = f"http://127.0.0.1:{free_port()}"
        found = failure_of(Source("Paris", replace(LIMITS, tries=1)), dead, dead)
        assert isinstance(found, CityUnreachable)
        assert str(found).startswith(
            f"Paris: no answer: none of its addresses can be connected to: {dead}: "
        )
        assert str(found).endswith("; check base_url in the city's file under cities/")  # fmt: skip


def test_proxies_of_the_environment_keep_to_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(dripping_head) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        limits = replace(LIMITS, answer_seconds=0.25, tries=1)
        found = failure_of(Source("Paris", limits), "http://city.test/records")
    assert "http://city.test/records: the answer was not complete within 0.25 s" in str(found)
    assert proxy.asked == ["GET http://city.test/records?key=secret HTTP/1.1"]
