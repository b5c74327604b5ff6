"""A FeatureServer against an imitation of it, as the ArcGIS REST API documents it."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, date, datetime, timedelta
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
    select,
    tables,
    too_many,
    utc,
)
from velocast.adapters.city_sources.source import CitySource
from velocast.adapters.city_sources.transport import DayTotalling, DayTotals, TimeRange, Transport
from velocast.adapters.city_sources.transports import open_transport
from velocast.core.errors import CityRefused, CityTruncated, CityUnreachable

FIRST = utc(2025, 3, 1)
TIMES = [FIRST + timedelta(hours=n) for n in range(24 * 10)]
TYPES = {
    "OBJECTID": "esriFieldTypeOID",
    "at": "esriFieldTypeDate",
    "id": "esriFieldTypeString",
    "n": "esriFieldTypeInteger",
}
MARCH_5 = TimeRange(utc(2025, 3, 5), utc(2025, 3, 6))
LAYER = "/arcgis/rest/services/Counts/FeatureServer/0"


class ImitatedArcGis(Imitation):
    """One layer of points. most: its maxRecordCount; lost: features that are counted and on no page.

    shouts: whether names in totals are in capitals, as some databases behind it write them.
    """

    def __init__(self, most: int = 1000) -> None:
        super().__init__()
        self.most = most
        self.lost = 0
        self.shouts = False
        self.layer: dict[str, Any] = {
            "name": "Counts",
            "type": "Feature Layer",
            "geometryType": "esriGeometryPoint",
            "objectIdField": "OBJECTID",
            "maxRecordCount": most,
            "advancedQueryCapabilities": {
                "supportsStatistics": True,
                "supportsPaginationOnAggregatedQueries": True,
            },
            "fields": [{"name": name, "type": kind} for name, kind in TYPES.items()],
        }
        self.rows: list[dict[str, Any]] = [
            {"OBJECTID": n + 1, "at": f"{at:%Y-%m-%d %H:%M:%S}", "id": "7", "n": n}
            for n, at in enumerate(TIMES)
        ]

    def answer(self, asked: Asked) -> Response:
        query = asked.query
        if query.get("f") != "json":
            return PAGE  # html is the default format
        if asked.path == LAYER:
            return JSONResponse(self.layer)
        if asked.path != f"{LAYER}/query":
            return _failed(404, "Service not found")
        where = query["where"].replace("TIMESTAMP '", "'")
        try:
            if "outStatistics" in query:
                return self._statistics(query, where)
            if query.get("returnCountOnly") == "true":
                counted = select(self.rows, "count(*) AS number", f"WHERE {where}")
                return JSONResponse({"count": counted[0]["number"] + self.lost})
            names = "*" if query["outFields"] == "*" else query["outFields"]
            limit = min(int(query.get("resultRecordCount", self.most)), self.most)
            page = f"LIMIT {limit + 1} OFFSET {query.get('resultOffset', 0)}"
            order = query.get("orderByFields", "random()")
            found = select(self.rows, names, f"WHERE {where} ORDER BY {order} {page}")
        except sqlite3.Error as exc:
            return _failed(400, "Cannot perform query. Invalid query parameters.", str(exc))
        features = [{"attributes": _milliseconds(row)} for row in found[:limit]]
        if query["returnGeometry"] == "true" and query["outSR"] == "4326":
            features = [{**each, "geometry": {"x": -71.1, "y": 42.3}} for each in features]
        answer: dict[str, Any] = {"objectIdFieldName": "OBJECTID", "features": features}
        if len(found) > limit:
            answer["exceededTransferLimit"] = True
        return JSONResponse(answer)

    def _statistics(self, query: dict[str, str], where: str) -> Response:
        asked = json.loads(query["outStatistics"])
        names = [
            f"{each['statisticType']}({each['onStatisticField']}) AS {each['outStatisticFieldName']}"
            for each in asked
        ]
        field, start = query["groupByFieldsForStatistics"], int(query.get("resultOffset", 0))
        paged = self.layer["advancedQueryCapabilities"]["supportsPaginationOnAggregatedQueries"]
        if start and not paged:
            return _failed(400, "Pagination is not supported.")
        rest = f"WHERE {where} GROUP BY {field} ORDER BY {query['orderByFields']}"
        found = select(self.rows, ", ".join([field, *names]), rest)
        page = [_milliseconds(row) for row in found[start : start + self.most]]
        if self.shouts:
            page = [{name.upper(): value for name, value in row.items()} for row in page]
        answer: dict[str, Any] = {"features": [{"attributes": row} for row in page]}
        if len(found) > start + self.most:
            answer["exceededTransferLimit"] = True
        return JSONResponse(answer)


def _failed(code: int, message: str, *details: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "details": details}})


def _milliseconds(row: dict[str, Any]) -> dict[str, Any]:
    if "at" not in row or "T" in row["at"]:
        return row
    at = datetime.fromisoformat(row["at"]).replace(tzinfo=UTC)
    return {**row, "at": int(at.timestamp() * 1000)}


@pytest.fixture
def portal(stage: Stage) -> ImitatedArcGis:
    return stage.show(ImitatedArcGis())


def opened(portal: ImitatedArcGis, **more: Any) -> Transport:
    source = {"transport": "arcgis", "layer_url": portal.url + LAYER, "time_field": "at"}
    city = a_city(source | more)
    assert city.counts.source is not None
    return open_transport(city, city.counts.source, city.counts.file, limits=QUICK)


def totals(portal: ImitatedArcGis, column: str | None, **more: Any) -> dict[date, DayTotals] | None:
    transport = opened(portal, **more)
    assert isinstance(transport, DayTotalling)
    with transport:
        return transport.day_totals(TimeRange(FIRST, utc(2025, 3, 11)), column)


def test_all_features_come_page_by_page_with_their_places(stage: Stage) -> None:
    portal = stage.show(ImitatedArcGis(most=100))
    found = tables(opened(portal), TimeRange(None, utc(2026, 1, 1)))
    assert [len(table.rows) for table in found] == [100, 100, 40]
    rows = records(found)
    assert [row["n"] for row in rows] == list(range(240))
    place = {"lon": -71.1, "lat": 42.3}
    assert rows[0] == {"OBJECTID": 1, "at": 1740787200000, "id": "7", "n": 0, "geometry": place}


def test_only_the_asked_days_come_a_day_wider(portal: ImitatedArcGis) -> None:
    found = records(tables(opened(portal), MARCH_5, ("n",)))
    assert [TIMES[row["n"]] for row in (found[0], found[-1])] == [
        utc(2025, 3, 4),
        utc(2025, 3, 6, 23),
    ]
    assert sorted(found[0]) == ["at", "geometry", "n"]


def test_a_field_of_text_is_compared_with_the_citys_clock(portal: ImitatedArcGis) -> None:
    portal.layer["fields"][1]["type"] = "esriFieldTypeString"
    portal.rows = [{**row, "at": row["at"].replace(" ", "T")} for row in portal.rows]
    found = records(tables(opened(portal), MARCH_5))
    assert [row["at"] for row in (found[0], found[-1])] == [
        "2025-03-04T00:00:00",
        "2025-03-05T20:00:00",
    ]


def test_a_condition_holds(portal: ImitatedArcGis) -> None:
    found = records(tables(opened(portal, where="n = 5 OR n = 100"), MARCH_5))
    assert [row["n"] for row in found] == [100]


@pytest.mark.parametrize(("most", "shouts"), [(1000, False), (50, True)])
def test_days_are_counted_and_added_up_by_the_layer(stage: Stage, most: int, shouts: bool) -> None:
    portal = stage.show(ImitatedArcGis(most=most))
    portal.shouts = shouts
    portal.rows += [
        {**portal.rows[0], "OBJECTID": 999},
        {**portal.rows[5], "OBJECTID": 998, "n": None},
    ]
    found = totals(portal, "n")
    rows_only = totals(portal, None)
    assert found is not None
    assert rows_only is not None
    assert sorted(found) == sorted({at.date() for at in TIMES})
    assert found[date(2025, 3, 5)] == DayTotals(24, float(sum(range(96, 120))))
    assert found[date(2025, 3, 1)] == DayTotals(26, float(sum(range(24))))
    assert rows_only[date(2025, 3, 5)] == DayTotals(24, None)
    pages = -(-240 // most)
    assert len(portal.asked) == 2 * (1 + pages + 1)  # the layer, the totals and the count


def test_days_of_text_are_those_of_the_citys_clock(portal: ImitatedArcGis) -> None:
    portal.layer["fields"][1]["type"] = "esriFieldTypeString"
    portal.rows = [{**row, "at": row["at"].replace(" ", "T")} for row in portal.rows]
    found = totals(portal, "n")
    assert found is not None
    assert found[date(2025, 3, 5)] == DayTotals(24, float(sum(range(96, 120))))


def test_a_layer_that_tells_no_totals(portal: ImitatedArcGis) -> None:
    portal.layer["advancedQueryCapabilities"] = {"supportsStatistics": False}
    assert totals(portal, "n") is None
    assert totals(portal, "n", time_field=None) is None
    portal.layer["advancedQueryCapabilities"] = {"supportsPaginationOnAggregatedQueries": False}
    portal.most = 50
    with pytest.raises(CityRefused, match="more than 50 times, and no pages of totals"):
        totals(portal, "n")
    portal.most = 1000
    portal.lost = 1
    with pytest.raises(CityTruncated, match="240 records arrived, the portal counts 241"):
        totals(portal, "n")
    with pytest.raises(CityRefused, match="Cannot perform query"):
        totals(portal, "bikes")


def test_totals_that_do_not_add_up_are_none(portal: ImitatedArcGis) -> None:
    city = a_city({"transport": "arcgis", "layer_url": portal.url + LAYER, "time_field": "at"})
    ten_days = TimeRange(FIRST, utc(2025, 3, 11))
    told = CitySource(city, limits=QUICK).read_day_totals(ten_days)
    assert told is not None
    assert len(told) == 10
    portal.lost = 1
    # so a sweep reads the days themselves instead of ending
    assert CitySource(city, limits=QUICK).read_day_totals(ten_days) is None


def test_a_list_of_counters_in_a_table_without_places(portal: ImitatedArcGis) -> None:
    del portal.layer["geometryType"]
    found = records(tables(opened(portal, time_field=None, where="n < 2"), None))
    assert [sorted(row) for row in found] == [["OBJECTID", "at", "id", "n"]] * 2


def test_fewer_features_than_counted_is_truncated(portal: ImitatedArcGis) -> None:
    portal.lost = 2
    with pytest.raises(CityTruncated, match="72 records arrived, the portal counts 74"):
        tables(opened(portal), MARCH_5)


def test_what_passes_is_asked_again_also_when_its_status_is_200(portal: ImitatedArcGis) -> None:
    portal.faults = [too_many(0), None, _failed(504, "Timed out"), None, _failed(429, "busy")]
    with pytest.raises(CityUnreachable, match="429"):
        tables(opened(portal), MARCH_5)
    portal.faults = [_failed(503, "busy")]
    assert len(records(tables(opened(portal), MARCH_5))) == 72


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"time_field": "when"}, "no field 'when', but OBJECTID, at, id, n"),
        ({"time_field": "n"}, "'n' is of type esriFieldTypeInteger, needs a date or text"),
        ({"where": "oops = 1"}, "400.*Invalid query parameters.*no such column: oops"),
    ],
)
def test_wrong_settings_are_told(portal: ImitatedArcGis, more: dict[str, str], words: str) -> None:
    with pytest.raises(CityRefused, match=words):
        tables(opened(portal, **more), MARCH_5)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (PAGE, "text/html.*needs an answer of ArcGIS"),
        (_failed(499, "Token Required"), "Token Required"),
        (JSONResponse({"folders": [], "services": []}), "needs the fields of a layer"),
    ],
)
def test_other_answers_are_refused(portal: ImitatedArcGis, fault: Response, words: str) -> None:
    portal.faults = [fault]
    with pytest.raises(CityRefused, match=words):
        tables(opened(portal), MARCH_5)
    assert len(portal.asked) == 1
