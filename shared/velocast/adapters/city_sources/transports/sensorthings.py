"""OGC SensorThings API 1.1 (Hamburg and other users of FROST): a datastream a counter.

- `$top` is a wish: a server gives fewer entities where its own limit is lower, and always `@iot.nextLink` where there
  are more. `$count=true` adds `@iot.count`, how many match in all
  (https://docs.ogc.org/is/18-088/18-088.html, sections 9.3.3 and 9.3.4).
- `phenomenonTime` is an instant or an interval "start/end" in ISO 8601 with an offset.
- An error has a status of 400 to 500 and a `message`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from velocast.adapters.city_sources.transport import RawTable, TimeRange
from velocast.adapters.city_sources.transports.portal import (
    WIDER,
    Portal,
    column_table,
    without_offset,
)
from velocast.core.city import City
from velocast.core.city.sources import SensorThings
from velocast.core.errors import CityRefused

PAGE_ROWS = 5_000


class SensorThingsTransport(Portal):
    """One SensorThings service."""

    setting = "base_url and datastreams"

    def __init__(self, city: City, source: SensorThings, **timing: Any) -> None:
        super().__init__(city, **timing)
        self._source = source
        self._url = source.base_url.rstrip("/")

    def tables(
        self,
        hours: TimeRange | None,
        columns: tuple[str, ...] | None,  # noqa: ARG002 - all come, whatever is needed
    ) -> Iterator[RawTable]:
        """Give the observations of a range, or the datastreams without one. As `Transport.tables`."""
        streams = [_stream(each) for page in self._streams() for each in page]
        if not streams:
            raise CityRefused(
                f"{self._url}: no datastream matches {self._source.datastreams!r}; correct datastreams"
            )
        if hours is None:
            yield column_table(streams, f"{self._url}/Datastreams")
            return
        for stream in streams:
            path = f"/Datastreams({_key(stream['id'])})/Observations"
            query = {
                "$select": "phenomenonTime,result",
                "$filter": _within(hours),
                "$orderby": "phenomenonTime asc",
            }
            for page in self._pages(path, query):
                rows = [{**stream, **_observation(each)} for each in page]
                yield column_table(rows, self._url + path)

    def _streams(self) -> Iterator[list[dict[str, Any]]]:
        query = {
            "$select": "id,name",
            "$expand": "Thing($select=id,name;$expand=Locations($select=location))",
            "$orderby": "id asc",
        }
        if self._source.datastreams:
            query["$filter"] = self._source.datastreams
        return self._pages("/Datastreams", query)

    def _pages(self, path: str, query: dict[str, str]) -> Iterator[list[dict[str, Any]]]:
        """Give all entities page by page. Raises CityTruncated when fewer came than the service counts."""
        needs = "a list of entities with @iot.count"
        params = {**query, "$top": str(PAGE_ROWS), "$count": "true"}
        arrived, expected = 0, None
        while True:
            page = self.get_json(self._url + path, params, needs=needs, kind=dict)
            found, expected = page.get("value"), page.get("@iot.count", expected)
            if not isinstance(found, list) or not isinstance(expected, int):
                raise CityRefused(f"{self._url}{path}: {page!r:.200}, needs {needs}")
            arrived += len(found)
            if found:
                yield found
            following = page.get("@iot.nextLink")
            if not following or not found:
                break
            # Only its query is used: behind a proxy, servers name a host that cannot be reached, or another one.
            params = dict(parse_qsl(urlsplit(str(following)).query))
        self.check_complete(path, arrived=arrived, expected=expected)


def _within(hours: TimeRange) -> str:
    """Return the OData filter of a range, two hours wider, because intervals are compared by either end."""
    until = f"phenomenonTime lt {_utc(hours.until + WIDER)}"
    if hours.since is None:
        return until
    return f"phenomenonTime ge {_utc(hours.since - WIDER)} and {until}"


def _utc(moment: datetime) -> str:
    return f"{without_offset(moment.astimezone(UTC))}Z"


def _key(identifier: Any) -> str:
    """Return an identifier as it is written in an address: a text in quotes, a number without."""
    if isinstance(identifier, int):
        return str(identifier)
    quoted = str(identifier).replace("'", "''")
    return f"'{quoted}'"


def _stream(stream: dict[str, Any]) -> dict[str, Any]:
    """Return a datastream and its thing as columns."""
    thing = stream.get("Thing") or {}
    places = [_point(each.get("location")) for each in thing.get("Locations") or []]
    longitude, latitude = next((place for place in places if place), (None, None))
    return {
        "id": stream.get("@iot.id"),
        "name": stream.get("name"),
        "thing_id": thing.get("@iot.id"),
        "thing_name": thing.get("name"),
        "latitude": latitude,
        "longitude": longitude,
    }


def _point(location: Any) -> tuple[Any, Any] | None:
    """Return longitude and latitude of a GeoJSON point, or of a feature that is one."""
    if not isinstance(location, dict):
        return None
    shape = location.get("geometry") if location.get("type") == "Feature" else location
    if not isinstance(shape, dict) or shape.get("type") != "Point":
        return None
    longitude, latitude = shape["coordinates"][:2]
    return longitude, latitude


def _observation(observation: dict[str, Any]) -> dict[str, Any]:
    start, _, end = str(observation.get("phenomenonTime") or "").partition("/")
    return {"time": start or None, "time_end": end or None, "result": observation.get("result")}
