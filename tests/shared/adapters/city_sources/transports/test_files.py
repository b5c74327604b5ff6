"""Files over HTTPS: which of them are asked for, which may be missing, and that they are whole."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from tests.shared.adapters.city_sources.transports.imitation import (
    PAGE,
    QUICK,
    Asked,
    Imitation,
    Stage,
    a_city,
    records,
    tables,
    too_many,
    utc,
)
from tests.shared.adapters.raw_server import raw_server, whole
from velocast.adapters.city_sources.transport import TimeRange, Transport
from velocast.adapters.city_sources.transports import download, open_transport
from velocast.core.errors import CityRefused, CityTruncated, CityUnreachable, SettingsError

CSV = b"at,id,n\n2025-03-01 00:00,7,5\n"
LAST_OF_FEBRUARY = TimeRange(utc(2025, 2, 28), utc(2025, 3, 1))
SPRING = TimeRange(utc(2025, 2, 28, 12), utc(2025, 4, 1, 12))


class ImitatedServer(Imitation):
    """A server of files by their paths."""

    def __init__(self, *paths: str) -> None:
        super().__init__()
        self.files = dict.fromkeys(paths, CSV)

    def answer(self, asked: Asked) -> Response:
        content = self.files.get(asked.path)
        if content is None:
            return PlainTextResponse("404: Not Found", 404)
        return Response(content, media_type="text/csv")

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]


def opened(url: str, *urls: str, file: dict[str, Any] | None = None, **more: Any) -> Transport:
    source = {"transport": "files", "urls": [url + path for path in urls], **more}
    listed = [{"id": "100/1"}, {"id": "200"}]
    city = a_city(
        source, zone="Europe/Berlin", counts={"file": file or {}}, counters={"listed": listed}
    )
    assert city.counts.source is not None
    return open_transport(city, city.counts.source, city.counts.file, limits=QUICK)


def test_one_file_is_read_whatever_the_range(stage: Stage) -> None:
    portal = stage.show(ImitatedServer("/counts.csv"))
    found = tables(opened(portal.url, "/counts.csv?ts=1&x=2"), SPRING)
    assert records(found) == [{"at": "2025-03-01 00:00", "id": "7", "n": "5"}]
    assert found[0].place == f"{portal.url}/counts.csv?ts=1&x=2"
    assert portal.asked[0].query == {"ts": "1", "x": "2"}


def test_a_counters_list_is_a_file_without_a_range(stage: Stage) -> None:
    portal = stage.show(ImitatedServer("/sites.csv"))
    assert len(records(tables(opened(portal.url, "/sites.csv"), None))) == 1


def test_a_file_a_counter_and_month(stage: Stage) -> None:
    portal = stage.show(ImitatedServer("/100%2F1/2025-02.csv", "/200/2025-03.csv"))
    portal.files = dict.fromkeys(("/100/1/2025-02.csv", "/200/2025-03.csv"), CSV)
    transport = opened(portal.url, "/{counter}/{year}-{month}.csv", kept_since="2019-01")
    found = tables(transport, SPRING)
    assert portal.paths() == [
        f"/{counter}/2025-{month}.csv" for month in ("02", "03", "04") for counter in ("100/1", "200")
    ]  # fmt: skip
    assert [table.place.removeprefix(portal.url) for table in found] == [
        "/100%2F1/2025-02.csv",
        "/200/2025-03.csv",
    ]


@pytest.mark.parametrize(
    ("template", "hours", "expected"),
    [
        ("/{year}.csv", SPRING, ["/2025.csv"]),
        ("/{year}.csv", TimeRange(utc(2024, 12, 31, 23), utc(2025, 1, 1)), ["/2024.csv", "/2025.csv"]),
        ("/{year}.csv", TimeRange(None, utc(2025, 1, 5)), ["/2023.csv", "/2024.csv", "/2025.csv"]),
        ("/{year}/{month}/{day}", LAST_OF_FEBRUARY, ["/2025/02/27", "/2025/02/28", "/2025/03/01"]),
        ("/from/{since:%Y%m%d}/to/{until}", LAST_OF_FEBRUARY, ["/from/20250227/to/2025-03-01"]),
    ],
)  # fmt: skip
def test_a_file_a_period(
    stage: Stage, template: str, hours: TimeRange, expected: list[str]
) -> None:
    portal = stage.show(ImitatedServer(*expected))
    assert len(tables(opened(portal.url, template, kept_since="2023-05"), hours)) == len(expected)
    assert portal.paths() == expected


def test_named_counters_take_the_place_of_the_listed_ones(stage: Stage) -> None:
    portal = stage.show(ImitatedServer("/a.csv", "/b.csv"))
    tables(opened(portal.url, "/{counter}.csv", counters=["a", "b"]), SPRING)
    assert portal.paths() == ["/a.csv", "/b.csv"]


def test_a_file_that_is_no_periods_must_be_there(stage: Stage) -> None:
    portal = stage.show(ImitatedServer("/100/1.csv"))
    with pytest.raises(CityRefused, match=r"200\.csv: 404 .*needs a file: '404: Not Found'"):
        tables(opened(portal.url, "/{counter}.csv"), SPRING)


def test_no_file_at_all_is_refused(stage: Stage) -> None:
    portal = stage.show(ImitatedServer())
    with pytest.raises(
        CityRefused, match=r"none of 3 files is there, the first being .*/2025-02.csv"
    ):
        tables(opened(portal.url, "/{year}-{month}.csv", kept_since="2019-01"), SPRING)


def test_what_passes_is_asked_again(stage: Stage) -> None:
    portal = stage.show(ImitatedServer("/2025-02.csv", "/2025-03.csv"))
    portal.faults = [too_many(0), None, PlainTextResponse("busy", 503)]
    found = tables(opened(portal.url, "/{year}-{month}.csv", kept_since="2019-01"), SPRING)
    assert len(found) == 2


def test_a_redirect_is_followed(stage: Stage) -> None:
    portal = stage.show(ImitatedServer("/new.csv"))
    portal.faults = [RedirectResponse(f"{portal.url}/new.csv")]
    assert len(records(tables(opened(portal.url, "/old.csv"), SPRING))) == 1


def test_a_compressed_file_is_unpacked(stage: Stage) -> None:
    portal = stage.show(ImitatedServer())
    portal.files["/counts.csv.gz"] = gzip.compress(CSV)
    assert records(tables(opened(portal.url, "/counts.csv.gz"), SPRING))[0]["n"] == "5"


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (too_many(3600), CityUnreachable, "429"),
        (PlainTextResponse("no", 403), CityRefused, "403"),
        (PAGE, CityRefused, "an HTML page came instead of a file: .*Sign in.*check urls"),
    ],
)
def test_other_answers_are_errors(
    stage: Stage, fault: Response, error: type[Exception], words: str
) -> None:
    portal = stage.show(ImitatedServer("/2025-02.csv"))
    portal.faults = [fault]
    with pytest.raises(error, match=words):
        tables(opened(portal.url, "/{year}-{month}.csv", kept_since="2019-01"), SPRING)


@pytest.mark.parametrize(
    "answer",
    [
        [f"HTTP/1.1 200 OK\r\nContent-Length: {len(CSV) + 9}\r\n\r\n".encode() + CSV],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nat,id\r\n"],
    ],
    ids=["shorter than its length", "without its last chunk"],
)
def test_a_file_that_breaks_off_is_truncated(answer: list[bytes]) -> None:
    with (
        raw_server(lambda: answer) as server,
        pytest.raises(CityTruncated, match="the answer broke off"),
    ):
        tables(opened(server.url, "/counts.csv"), SPRING)
    assert len(server.asked) == 3


def test_a_file_that_is_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FILE_BYTES", 10)
    with (
        raw_server(lambda: whole(CSV)) as server,
        pytest.raises(CityTruncated, match="longer than 10 bytes"),
    ):
        tables(opened(server.url, "/counts.csv"), SPRING)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"urls": "ftp://a.test/x"}, "begins with https://"),
        ({"urls": "https://a.test/{yeer}.csv", "kept_since": "2019-01"}, "{yeer} is none of year, month"),
        ({"urls": "https://a.test/{since.__class__}", "kept_since": "2019-01"}, "is none of year, month"),
        ({"urls": "https://a.test/{year}.csv"}, "kept_since is needed"),
        ({"urls": "https://a.test/{year}.csv", "kept_since": "2019"}, "kept_since"),
        ({"urls": "https://a.test/{year.csv", "kept_since": "2019-01"}, "urls"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(values: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        a_city({"transport": "files"} | values)


def test_a_counter_that_nobody_names_is_told(stage: Stage) -> None:
    city = a_city({"transport": "files", "urls": "https://a.test/{counter}.csv"})
    assert city.counts.source is not None
    with pytest.raises(CityRefused, match="one file a counter; name them in counters"):
        tables(open_transport(city, city.counts.source, city.counts.file, limits=QUICK), SPRING)
