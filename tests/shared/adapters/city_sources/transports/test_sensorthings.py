"""OGC SensorThings against an imitation that pages as FROST does."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

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
from velocast.core.errors import CityRefused, CityTruncated, CityUnreachable

FIRST = utc(2025, 3, 1)
MARCH_2 = TimeRange(utc(2025, 3, 2), utc(2025, 3, 3))
LAYER = "properties/layerName eq 'Anzahl_Fahrraeder_Zaehlstelle_1-Stunde'"


class ImitatedSensorThings(Imitation):
    """Two datastreams of hours. most: entities of an answer; lost: what @iot.count counts too much."""

    def __init__(self, most: int = 10) -> None:
        super().__init__()
        self.most = most
        self.lost = 0

    def answer(self, asked: Asked) -> Response:
        if asked.path == "/v1.1/Datastreams":
            matches = asked.query.get("$filter", LAYER) == LAYER
            return self._page(asked, [_stream(1), _stream("b'2")] if matches else [])
        if asked.path in (
            "/v1.1/Datastreams(1)/Observations",
            "/v1.1/Datastreams('b''2')/Observations",
        ):
            found = re.fullmatch(
                r"(?:phenomenonTime ge (\S+) and )?phenomenonTime lt (\S+)", asked.query["$filter"]
            )
            if found is None:
                return _failed(400, "Not a valid filter")
            since, until = (
                datetime.fromisoformat(each or "1990-01-01T00:00:00Z") for each in found.groups()
            )
            times = [
                at for at in (FIRST + timedelta(hours=n) for n in range(72)) if since <= at < until
            ]
            return self._page(asked, [_observation(at) for at in times])
        return _failed(404, "Not a valid path")

    def _page(self, asked: Asked, entities: list[dict[str, Any]]) -> Response:
        top = min(int(asked.query.get("$top", 100)), self.most)
        skip = int(asked.query.get("$skip", 0))
        answer: dict[str, Any] = {"value": entities[skip : skip + top]}
        if asked.query.get("$count") == "true":
            answer = {"@iot.count": len(entities) + self.lost, **answer}
        if skip + top < len(entities):
            query = {**asked.query, "$top": str(top), "$skip": str(skip + top)}
            text = "&".join(f"{k}={v}".replace(" ", "%20") for k, v in query.items())
            # a server behind a proxy names itself by a host that nobody reaches
            answer["@iot.nextLink"] = f"http://frost.internal:8080{asked.path}?{text}"
        return JSONResponse(answer)


def _stream(identifier: int | str) -> dict[str, Any]:
    place = {"type": "Point", "coordinates": [9.99, 53.55]}
    location = {"type": "Feature", "geometry": place} if identifier == 1 else place
    thing = {"@iot.id": 70, "name": "Zählstelle 70", "Locations": [{"location": location}]}
    return {"@iot.id": identifier, "name": f"Fahrräder {identifier}", "Thing": thing}


def _observation(at: datetime) -> dict[str, Any]:
    end = at + timedelta(minutes=59, seconds=59)
    return {
        "phenomenonTime": f"{at:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}",
        "result": at.hour,
    }


def _failed(code: int, message: str) -> Response:
    return JSONResponse({"code": code, "type": "error", "message": message}, code)


@pytest.fixture
def portal(stage: Stage) -> ImitatedSensorThings:
    return stage.show(ImitatedSensorThings())


def opened(portal: ImitatedSensorThings, **more: Any) -> Transport:
    source = {"transport": "sensorthings", "base_url": f"{portal.url}/v1.1/", "datastreams": LAYER}
    city = a_city(source | more, zone="Europe/Berlin", times="offset")
    assert city.counts.source is not None
    return open_transport(city, city.counts.source, city.counts.file, limits=QUICK)


def test_all_observations_of_all_datastreams_come(portal: ImitatedSensorThings) -> None:
    found = tables(opened(portal), TimeRange(None, utc(2026, 1, 1)))
    rows = records(found)
    assert [len(table.rows) for table in found] == 2 * ([10] * 7 + [2])
    assert rows[0] == {
        "id": 1,
        "name": "Fahrräder 1",
        "thing_id": 70,
        "thing_name": "Zählstelle 70",
        "latitude": 53.55,
        "longitude": 9.99,
        "time": "2025-03-01T00:00:00Z",
        "time_end": "2025-03-01T00:59:59Z",
        "result": 0,
    }
    assert [row["result"] for row in rows] == 2 * 3 * list(range(24))


def test_only_the_asked_hours_come_two_hours_wider(portal: ImitatedSensorThings) -> None:
    rows = [row for row in records(tables(opened(portal), MARCH_2)) if row["id"] == 1]
    assert [row["time"] for row in (rows[0], rows[-1])] == [
        "2025-03-01T22:00:00Z",
        "2025-03-03T01:00:00Z",
    ]
    assert len(rows) == 28


def test_without_hours_the_datastreams_come(portal: ImitatedSensorThings) -> None:
    portal.most = 1
    rows = records(tables(opened(portal), None))
    assert [(row["id"], row["name"], row["latitude"]) for row in rows] == [
        (1, "Fahrräder 1", 53.55),
        ("b'2", "Fahrräder b'2", 53.55),
    ]


def test_fewer_observations_than_counted_is_truncated(portal: ImitatedSensorThings) -> None:
    portal.faults = [None, JSONResponse({"@iot.count": 28, "value": [_observation(FIRST)]})] * 3
    with pytest.raises(
        CityTruncated, match=r"\(1\)/Observations: 1 records arrived, the portal counts 28"
    ):
        tables(opened(portal), MARCH_2)
    assert len(portal.asked) == 6


def test_what_passes_is_asked_again(portal: ImitatedSensorThings) -> None:
    portal.faults = [too_many(0), None, None, JSONResponse({}, 503)]
    assert len(records(tables(opened(portal), MARCH_2))) == 2 * 28


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (too_many(3600), CityUnreachable, "429"),
        (PAGE, CityRefused, "text/html.*needs a list of entities"),
        (JSONResponse({"value": []}), CityRefused, "needs a list of entities with @iot.count"),
        (_failed(400, "Not a valid filter"), CityRefused, "400 .*'Not a valid filter'"),
    ],
)
def test_other_answers_are_errors(
    portal: ImitatedSensorThings, fault: Response, error: type[Exception], words: str
) -> None:
    portal.faults = [fault]
    with pytest.raises(error, match=words):
        tables(opened(portal), MARCH_2)


def test_a_filter_that_nothing_matches_is_told(portal: ImitatedSensorThings) -> None:
    with pytest.raises(CityRefused, match="no datastream matches 'id eq 0'; correct datastreams"):
        tables(opened(portal, datastreams="id eq 0"), MARCH_2)
