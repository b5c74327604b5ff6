"""A layer or table of an ArcGIS FeatureServer.

- `query` gives at most `maxRecordCount` features; `exceededTransferLimit` says that there are more, which
  `resultOffset` asks for; only with `orderByFields` are pages stable
  (https://developers.arcgis.com/rest/services-reference/enterprise/query-feature-service-layer/).
- `returnCountOnly=true` counts what matches.
- `outStatistics` with `groupByFieldsForStatistics` counts and adds up by the values of a field, unless the layer says
  `supportsStatistics: false`. Expressions are only for hosted layers, so days are put together here. Its answers have
  pages only with `supportsPaginationOnAggregatedQueries`.
- A date is epoch milliseconds. In `where` it is compared with TIMESTAMP '2025-03-01 00:00:00', which hosted layers
  read as UTC and others in the zone of `dateFieldsTimeReference`, so the range is a day wider at both ends.
- An error has status 200 and an object `error` with `code`, `message` and `details`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from velocast.adapters.city_sources.transport import DayTotals, RawTable, TimeRange
from velocast.adapters.city_sources.transports.portal import (
    Portal,
    as_published,
    column_table,
    day_totals,
    selected_fields,
    without_offset,
)
from velocast.core.city import City
from velocast.core.city.sources import ArcGis
from velocast.core.errors import CityRefused, CityUnreachable

PAGE_ROWS = 2_000
WIDER = timedelta(days=1)
TOO_BUSY = (429, 500, 502, 503, 504)
DATES = ("esriFieldTypeDate", "esriFieldTypeTimestampOffset")
TEXTS = ("esriFieldTypeString", "esriFieldTypeDateOnly")


@dataclass(frozen=True)
class _Layer:
    """What a layer says about itself. fields: types by name. can: what it says of `advancedQueryCapabilities`."""

    id_field: str
    page_rows: int
    has_geometry: bool
    fields: dict[str, str]
    can: dict[str, Any]


class ArcGisTransport(Portal):
    """One layer of a FeatureServer."""

    setting = "layer_url"

    def __init__(self, city: City, source: ArcGis, **timing: Any) -> None:
        super().__init__(city, **timing)
        self._source = source
        self._url = source.layer_url.rstrip("/")

    def tables(
        self, hours: TimeRange | None, columns: tuple[str, ...] | None
    ) -> Iterator[RawTable]:
        """Give the features of a range page by page. As `Transport.tables`."""
        layer = self._layer()
        condition = {"where": self._where(layer, hours)}
        expected = self._count(condition)
        wanted = selected_fields(columns, [self._source.time_field])
        known = [name for name in wanted or layer.fields if name in layer.fields]
        query = {
            **condition,
            "outFields": "*" if wanted is None else ",".join(known) or layer.id_field,
            "returnGeometry": "true" if layer.has_geometry else "false",
            "outSR": "4326",
            "orderByFields": layer.id_field,
            "resultRecordCount": str(layer.page_rows),
        }
        arrived = 0
        while arrived < expected:
            answer = self._ask("/query", {**query, "resultOffset": str(arrived)})
            rows = [_row(feature) for feature in answer.get("features", [])]
            if not rows:
                break
            arrived += len(rows)
            yield column_table(rows, self._url)
            if not answer.get("exceededTransferLimit"):
                break
        self.check_complete(self._url, arrived=arrived, expected=expected)

    def day_totals(self, hours: TimeRange, column: str | None) -> dict[date, DayTotals] | None:
        """Count the features of each day, by the values of the field with the time. As `DayTotalling.day_totals`.

        If the field is a date, days are in UTC.
        """
        layer, name = self._layer(), self._source.time_field
        if name is None or layer.can.get("supportsStatistics") is False:
            return None
        wanted = [("count", layer.id_field, "found")] + (
            [("sum", column, "total")] if column else []
        )
        keys = ("statisticType", "onStatisticField", "outStatisticFieldName")
        query = {
            "where": self._where(layer, hours),
            "outStatistics": json.dumps([dict(zip(keys, each, strict=True)) for each in wanted]),
            "groupByFieldsForStatistics": name,
            "orderByFields": name,
            "returnGeometry": "false",
        }
        groups = self._groups(layer, query)
        needs = "the number of features of each time"
        try:
            arrived = sum(int(group["found"]) for group in groups)
            self.check_complete(
                self._url, arrived=arrived, expected=self._count({"where": query["where"]})
            )
            return day_totals(
                {
                    "day": _day(layer.fields[name], group[name.lower()]),
                    "found": group["found"],
                    "total": group.get("total"),
                }
                for group in groups
            )
        except (ValueError, KeyError, TypeError, OverflowError) as exc:
            raise CityRefused(f"{self._url}: {groups!r:.200}, needs {needs}") from exc

    def _groups(self, layer: _Layer, query: dict[str, str]) -> list[dict[str, Any]]:
        """Return the attributes of all groups by their names in lower case, since some servers change the case."""
        found: list[dict[str, Any]] = []
        while True:
            page = {"resultOffset": str(len(found))} if found else {}
            answer = self._ask("/query", {**query, **page})
            rows = [feature.get("attributes", {}) for feature in answer.get("features", [])]
            found += [{key.lower(): value for key, value in row.items()} for row in rows]
            if not answer.get("exceededTransferLimit"):
                return found
            if not rows or layer.can.get("supportsPaginationOnAggregatedQueries") is not True:
                raise CityRefused(
                    f"{self._url}: it has more than {len(found)} times, and no pages of totals"
                )

    def _ask(self, path: str, params: dict[str, str]) -> dict[str, Any]:
        """Return an answer's object. Raises CityUnreachable or CityRefused for one that is an error with status 200."""
        url, needs = self._url + path, "an answer of ArcGIS"
        found: dict[str, Any] = self.get_json(url, {"f": "json", **params}, needs=needs, kind=dict)
        error = found.get("error")
        if error is None:
            return found
        message = f"{url}: {error!r:.300}, needs {needs}"
        code = error.get("code") if isinstance(error, dict) else None
        raise CityUnreachable(message) if code in TOO_BUSY else CityRefused(message)

    def _layer(self) -> _Layer:
        found = self._ask("", {})
        try:
            layer = _Layer(
                id_field=_id_field(found),
                page_rows=min(int(found.get("maxRecordCount", PAGE_ROWS)), PAGE_ROWS),
                has_geometry=found.get("geometryType") is not None,
                fields={each["name"]: each["type"] for each in found["fields"]},
                can=dict(found.get("advancedQueryCapabilities") or {}),
            )
        except (LookupError, TypeError, ValueError) as exc:
            raise CityRefused(
                f"{self._url}: {found!r:.200}, needs the fields of a layer; layer_url ends in FeatureServer/0"
            ) from exc
        name = self._source.time_field
        if name is not None and name not in layer.fields:
            raise CityRefused(
                f"{self._url}: there is no field {name!r}, but {', '.join(layer.fields)}; correct time_field"
            )
        return layer

    def _count(self, condition: dict[str, str]) -> int:
        found = self._ask("/query", {**condition, "returnCountOnly": "true"})
        count = found.get("count")
        if not isinstance(count, int):
            raise CityRefused(f"{self._url}: {found!r:.200}, needs a count")
        return count

    def _where(self, layer: _Layer, hours: TimeRange | None) -> str:
        name, conditions = self._source.time_field, [f"({self._source.where})"]
        if hours is None or name is None:
            return self._source.where
        if layer.fields[name] in TEXTS:
            since, until = as_published(hours, self.city)
            quoted = "'{}'"
        elif layer.fields[name] in DATES:
            since = hours.since and (hours.since - WIDER).astimezone(UTC).replace(tzinfo=None)
            until = (hours.until + WIDER).astimezone(UTC).replace(tzinfo=None)
            quoted = "TIMESTAMP '{}'"
        else:
            raise CityRefused(
                f"{self._url}: the field {name!r} is of type {layer.fields[name]}, needs a date or text; "
                "without time_field everything is read"
            )
        if since is not None:
            conditions.append(f"{name} >= {quoted.format(_moment(layer.fields[name], since))}")
        conditions.append(f"{name} < {quoted.format(_moment(layer.fields[name], until))}")
        return " AND ".join(conditions)


def _day(kind: str, value: Any) -> str | None:
    """Return the day of a field's value, in ISO 8601: a date, or the time at its start."""
    if value is None:
        return None
    if kind in TEXTS:
        return str(value)
    if isinstance(value, str):  # a date with an offset
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    return datetime.fromtimestamp(value / 1000, UTC).isoformat()


def _moment(kind: str, moment: Any) -> str:
    """Return a time as a field of this type is compared with it."""
    return without_offset(moment).replace("T", " ") if kind in DATES else without_offset(moment)


def _id_field(layer: dict[str, Any]) -> str:
    """Return the name of the field that numbers the features. Raises LookupError without one."""
    named = layer.get("objectIdField")
    if named:
        return str(named)
    return next(str(each["name"]) for each in layer["fields"] if each["type"] == "esriFieldTypeOID")


def _row(feature: dict[str, Any]) -> dict[str, Any]:
    """Return a feature's attributes and, for a point, its place in degrees as `geometry`."""
    row = dict(feature.get("attributes", {}))
    place = feature.get("geometry")
    if isinstance(place, dict) and "x" in place:
        row["geometry"] = {"lon": place["x"], "lat": place["y"]}
    return row
