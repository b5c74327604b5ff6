"""Eco-Counter's API against an imitation, as developers.eco-counter.com documents it."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from starlette.responses import JSONResponse, Response

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
from velocast.adapters.city_sources.transport import TimeRange, Transport
from velocast.adapters.city_sources.transports import open_transport
from velocast.core.errors import CityRefused, CityUnreachable

TOKEN = "d682ce9a"
ZONE = ZoneInfo("Europe/Paris")
MARCH_30 = TimeRange(utc(2025, 3, 29, 23), utc(2025, 3, 30, 22))  # a local day of 23 hours
STEPS = {"15m": timedelta(minutes=15), "hour": timedelta(hours=1), "day": timedelta(days=1)}


def site(identifier: int, name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "name": name,
        "latitude": 48.7,
        "longitude": -3.4,
        "userType": 2,
        "interval": 15,
        "installationDate": "2024-12-01T00:00:00+0100",
        "firstData": "2025-01-01T00:00:00+0100",
        "channels": [],
        **more,
    }


class ImitatedEcoCounter(Imitation):
    """Two sites, one with a channel in each direction."""

    def __init__(self) -> None:
        super().__init__()
        channels = [site(101, "IN", latitude=None), site(102, "OUT", latitude=None)]
        self.sites = [site(1, "Pont", channels=channels), site(2, "Quai")]

    def answer(self, asked: Asked) -> Response:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return _failed(401, "Invalid Credentials")
        if asked.path == "/api/1.0/site":
            return JSONResponse(self.sites)
        known = [each["id"] for top in self.sites for each in (top, *top["channels"])]
        identifier = int(asked.path.removeprefix("/api/1.0/data/site/"))
        if identifier not in known:
            return _failed(404, "Site not found")
        step = STEPS[asked.query["step"]]
        at, end = (
            datetime.strptime(asked.query[name], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=ZONE)
            for name in ("begin", "end")
        )
        found = []
        while at.timestamp() < end.timestamp():
            stamp = at.astimezone(ZONE).strftime("%Y-%m-%dT%H:%M:%S%z")
            found.append({"date": stamp, "isoDate": stamp, "counts": identifier, "status": "raw"})
            at = datetime.fromtimestamp(at.timestamp() + step.total_seconds(), ZONE)
        return JSONResponse(found)


def _failed(status: int, message: str) -> Response:
    return JSONResponse({"fault": {"code": 900901, "message": message}}, status)


@pytest.fixture
def portal(stage: Stage) -> ImitatedEcoCounter:
    return stage.show(ImitatedEcoCounter())


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


def opened(
    portal: ImitatedEcoCounter, token_file: Path | None, minutes: int = 60, **more: Any
) -> Transport:
    source = {"transport": "eco_counter", "base_url": f"{portal.url}/api/1.0"}
    city = a_city(
        source | more, zone="Europe/Paris", times="offset", counts={"step_minutes": minutes}
    )
    assert city.counts.source is not None
    return open_transport(
        city, city.counts.source, city.counts.file, token_file=token_file, limits=QUICK
    )


def test_the_counts_of_all_sites_come(portal: ImitatedEcoCounter, token_file: Path) -> None:
    rows = records(tables(opened(portal, token_file), MARCH_30))
    assert len(rows) == 2 * (24 + 23 + 2)  # from a midnight to two hours after the range
    assert rows[0] == {
        "id": 1,
        "name": "Pont",
        "site_id": 1,
        "site_name": "Pont",
        "user_type": 2,
        "installed_on": "2024-12-01T00:00:00+0100",
        "latitude": 48.7,
        "longitude": -3.4,
        "date": "2025-03-29T00:00:00+0100",
        "isoDate": "2025-03-29T00:00:00+0100",
        "counts": 1,
        "status": "raw",
    }
    assert rows[-1]["date"] == "2025-03-31T01:00:00+0200"


def test_directions_may_be_counters_of_their_own(
    portal: ImitatedEcoCounter, token_file: Path
) -> None:
    rows = records(tables(opened(portal, token_file, channels=True, sites=[1]), MARCH_30))
    assert {(row["id"], row["name"], row["site_name"], row["latitude"]) for row in rows} == {
        (101, "IN", "Pont", 48.7),
        (102, "OUT", "Pont", 48.7),
    }


def test_a_first_run_reads_from_the_first_count_in_pieces(
    portal: ImitatedEcoCounter, token_file: Path
) -> None:
    hours = TimeRange(None, utc(2025, 7, 30))
    rows = records(tables(opened(portal, token_file, sites=[2]), hours))
    begins = [asked.query["begin"] for asked in portal.asked if "begin" in asked.query]
    assert begins == ["2024-12-31T00:00:00", "2025-04-10T00:00:00", "2025-07-19T00:00:00"]
    stamps = [datetime.fromisoformat(row["date"]).timestamp() for row in rows]
    assert {b - a for a, b in pairwise(stamps)} == {3600.0}


def test_without_hours_the_sites_come(portal: ImitatedEcoCounter, token_file: Path) -> None:
    rows = records(tables(opened(portal, token_file), None))
    assert [(row["id"], row["name"], row["latitude"]) for row in rows] == [
        (1, "Pont", 48.7),
        (2, "Quai", 48.7),
    ]


def test_what_passes_is_asked_again(portal: ImitatedEcoCounter, token_file: Path) -> None:
    portal.faults = [too_many(0), None, JSONResponse({}, 503)]
    assert len(records(tables(opened(portal, token_file), MARCH_30))) == 2 * 49


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (too_many(3600), CityUnreachable, "429 .* at most 100 requests a minute"),
        (PAGE, CityRefused, "text/html.*needs a list of sites"),
        (
            JSONResponse([{"name": "?"}]),
            CityRefused,
            "needs a list of sites with their identifiers",
        ),
    ],
)
def test_other_answers_are_errors(
    portal: ImitatedEcoCounter,
    token_file: Path,
    fault: Response,
    error: type[Exception],
    words: str,
) -> None:
    portal.faults = [fault]
    with pytest.raises(error, match=words) as raised:
        tables(opened(portal, token_file), MARCH_30)
    assert TOKEN not in str(raised.value)


def test_a_wrong_token_is_told_and_not_shown(portal: ImitatedEcoCounter, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong-token")
    with pytest.raises(CityRefused, match=r"401 .*Invalid Credentials") as raised:
        tables(opened(portal, tmp_path / "token"), MARCH_30)
    assert "wrong-token" not in str(raised.value)


def test_without_a_token_nothing_is_asked(portal: ImitatedEcoCounter) -> None:
    with pytest.raises(CityRefused, match="needs a token; put it into the secret"):
        opened(portal, None)


def test_a_site_that_the_token_cannot_see_is_named(
    portal: ImitatedEcoCounter, token_file: Path
) -> None:
    with pytest.raises(CityRefused, match=r"cannot see \[9\]; correct sites"):
        tables(opened(portal, token_file, sites=[1, 9]), MARCH_30)


def test_a_step_that_no_site_has_is_refused(portal: ImitatedEcoCounter, token_file: Path) -> None:
    with pytest.raises(CityRefused, match="every 15 or 60 minutes, not every 30"):
        opened(portal, token_file, 30)
