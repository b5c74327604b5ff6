"""CKAN's datastore, and the files of a CKAN package (Toronto, Montréal, Zürich, Dublin and many more).

- `package_show` lists a data set's resources; one whose `datastore_active` is true can be asked by `datastore_search`.
- `datastore_search` gives 100 rows by default and never more than 32,000 (or what the portal set in
  `ckan.datastore.search.rows_max`): a higher `limit` is lowered without an error. `total` counts all rows that match
  (https://docs.ckan.org/en/2.10/maintaining/datastore.html, ckan/ckan ckanext/datastore/logic/action.py).
- It cannot compare before CKAN 2.12, and `datastore_search_sql` is off by default. So the newest rows are asked for
  first (`sort`), until one is older than the range. Only totals of days are asked for in SQL, of which CKAN allows some
  functions (ckanext/datastore/allowed_functions.txt).
- An error is an object `{"success": false, "error": {...}}`, for a wrong field with status 409.

An answer is complete when every page up to `total`, or up to the first older row, was full.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from velocast.adapters.city_sources.transport import DayTotals, RawTable, TimeRange
from velocast.adapters.city_sources.transports.download import Download
from velocast.adapters.city_sources.transports.portal import (
    as_published,
    column_table,
    day_totals,
    selected_fields,
    without_offset,
)
from velocast.core.city import City
from velocast.core.city.reading import FileFormat
from velocast.core.city.sources import Ckan
from velocast.core.errors import CityRefused, CityTruncated

PAGE_ROWS = 32_000
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class _Resource:
    """One resource of a package. url: of its file; None if only its identifier is known."""

    id: str
    name: str
    url: str | None = None


class CkanTransport(Download):
    """The resources of one CKAN package."""

    setting = "base_url, package and resources"

    def __init__(self, city: City, source: Ckan, file: FileFormat, **timing: Any) -> None:
        super().__init__(city, file, **timing)
        self._source = source

    def tables(
        self, hours: TimeRange | None, columns: tuple[str, ...] | None
    ) -> Iterator[RawTable]:
        """Give the rows of a range, resource by resource. As `Transport.tables`."""
        for resource in self._resources(hours):
            if self._source.datastore:
                yield from self._rows(resource, hours, columns)
            else:
                if not resource.url:
                    raise CityRefused(f"{self.name}: the resource {resource.name!r} has no file")
                yield from self.read_file(resource.url)

    def day_totals(self, hours: TimeRange, column: str | None) -> dict[date, DayTotals] | None:
        """Count the rows of each day, in one request for each resource. As `DayTotalling.day_totals`.

        Raises CityRefused where the portal answers no SQL, and for times that do not begin with a date in ISO 8601.
        """
        name = self._source.time_field
        if name is None or not self._source.datastore:
            return None
        found: list[dict[str, Any]] = []
        for resource in self._resources(hours):
            found += self._day_groups(resource, hours, name, column)
        if not found:  # as when the times cannot be compared
            raise CityRefused(f"{self.name}: no row in {hours}; are its times in ISO 8601?")
        try:
            return day_totals(found)
        except (ValueError, KeyError, TypeError) as exc:
            raise CityRefused(
                f"{self.name}: {found!r:.200}, needs the number of rows of each day"
            ) from exc

    def _day_groups(
        self, resource: _Resource, hours: TimeRange, name: str, column: str | None
    ) -> list[dict[str, Any]]:
        since, until = as_published(hours, self.city)
        day = f"substr({_quoted(name)}::text, 1, 10)"
        total = f", sum({_quoted(column)}::numeric) AS total" if column else ""
        lower = f"{day} >= '{since:%Y-%m-%d}' AND " if since else ""
        # Names are quoted, and CKAN only lets SQL read.
        rows = f"FROM {_quoted(resource.id)} WHERE {lower}{day} <= '{until:%Y-%m-%d}'"
        sql = f"SELECT {day} AS day, count(*) AS found{total} {rows} GROUP BY {day} ORDER BY {day}"
        records = self._action("datastore_search_sql", {"sql": sql}).get("records")
        if not isinstance(records, list):
            raise CityRefused(f"{self.name}: {resource.name}: {records!r:.200}, needs records")
        return records

    def _action(self, action: str, params: dict[str, str]) -> Any:
        url = f"{self._source.base_url.rstrip('/')}/api/3/action/{action}"
        needs = "a result of CKAN"
        found = self.get_json(url, params, needs=needs, kind=dict)
        if found.get("success") is not True or not isinstance(found.get("result"), dict):
            raise CityRefused(f"{url}: {found.get('error', found)!r:.200}, needs {needs}")
        return found["result"]

    def _resources(self, hours: TimeRange | None) -> list[_Resource]:
        wanted = self._source.resources
        if self._source.package is None:
            return [_Resource(identifier, identifier) for identifier in wanted]
        listed = self._action("package_show", {"id": self._source.package}).get("resources", [])
        found = [
            _Resource(str(each.get("id")), str(each.get("name")), each.get("url"))
            for each in listed
            if not self._source.datastore or each.get("datastore_active") is True
        ]
        chosen = [each for each in found if not wanted or _match(each, wanted)]
        if not chosen:
            names = ", ".join(repr(each.name) for each in found) or "none"
            raise CityRefused(
                f"{self.name} {self._source.package}: no resource is one of {list(wanted) or 'any'}; "
                f"{'those in the datastore' if self._source.datastore else 'those'} are {names}"
            )
        if hours is None:
            return chosen
        since, until = as_published(hours, self.city)
        return [each for each in chosen if _overlaps(_match(each, wanted), since, until)]

    def _rows(
        self, resource: _Resource, hours: TimeRange | None, columns: tuple[str, ...] | None
    ) -> Iterator[RawTable]:
        name = self._source.time_field if hours is not None else None
        known = self._fields(resource)
        if name is not None and name not in known:
            raise CityRefused(
                f"{self.name}: the resource {resource.name!r} has no field {name!r}, but {', '.join(known)}; "
                "correct time_field, or leave the resource out by resources"
            )
        fields = selected_fields(columns, [name])
        query = {"sort": "_id" if name is None else f'"{name}" desc, _id desc'}
        if fields is not None:
            query["fields"] = ",".join(each for each in fields if each in known)
        since = as_published(hours, self.city)[0] if hours is not None else None
        yield from self._pages(resource, query, name, since)

    def _pages(
        self, resource: _Resource, query: dict[str, str], name: str | None, since: datetime | None
    ) -> Iterator[RawTable]:
        place = f"{self._source.base_url} {resource.name}"
        arrived, total = 0, None
        while total is None or arrived < total:
            page = self._search(resource, limit=PAGE_ROWS, offset=arrived, **query)
            if total is not None and page.total != total:
                raise CityTruncated(
                    f"{self.name} {resource.name}: it changed from {total} to {page.total} rows "
                    "while it was read; fetch again"
                )
            total = page.total
            if not page.records:
                break
            arrived += len(page.records)
            yield column_table(page.records, place)
            if name is not None and since is not None and _older(page.records[-1].get(name), since):
                return
        self.check_complete(resource.name, arrived=arrived, expected=total or 0)

    def _fields(self, resource: _Resource) -> list[str]:
        return self._search(resource, limit=0, offset=0).fields

    def _search(self, resource: _Resource, *, limit: int, offset: int, **query: str) -> _Page:
        params = {
            "resource_id": resource.id,
            "records_format": "lists",  # without the names, which may be longer than all else
            "limit": str(limit),
            "offset": str(offset),
            **query,
        }
        result = self._action("datastore_search", params)
        try:
            names = [each["id"] for each in result["fields"]]
            return _Page(
                fields=names,
                records=[_named(names, each) for each in result["records"]],
                total=int(result["total"]),
            )
        except (LookupError, TypeError, ValueError) as exc:
            raise CityRefused(
                f"{self.name}: {resource.name}: {result!r:.200}, needs fields, records and total"
            ) from exc


def _quoted(name: str) -> str:
    """Return a name as PostgreSQL quotes it."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class _Page:
    """One answer of datastore_search."""

    fields: list[str]
    records: list[dict[str, Any]]
    total: int


def _named(names: list[str], record: Any) -> dict[str, Any]:
    """Return a record by names, which is how a portal before CKAN 2.7 gives it."""
    return record if isinstance(record, dict) else dict(zip(names, record, strict=True))


def _match(resource: _Resource, wanted: tuple[str, ...]) -> re.Match[str] | None:
    """Return the first match of a resource's name, of its file's name or of its identifier."""
    file = unquote(PurePosixPath(urlsplit(resource.url or "").path).name)
    matches = (
        re.fullmatch(each, name) for each in wanted for name in (resource.name, file, resource.id)
    )
    return next(filter(None, matches), None)


def _overlaps(found: re.Match[str] | None, since: datetime | None, until: datetime) -> bool:
    """Return whether a resource may hold times of a range; one whose name contains no year may."""
    groups = found.groupdict() if found else {}
    if not groups.get("year"):
        return True
    year, last_year = int(groups["year"]), int(groups.get("last_year") or groups["year"])
    month = int(groups.get("month") or 0)
    first = date(year, month or 1, 1)
    following = date(last_year + 1, 1, 1) if month in (0, 12) else date(last_year, month + 1, 1)
    return first <= until.date() and (since is None or since.date() <= following)


def _older(value: Any, since: datetime) -> bool:
    """Return whether a row's time is of a day before the range's first; False for one that cannot be compared."""
    return (
        isinstance(value, str)
        and _ISO_DAY.match(value) is not None
        and value[:10] < without_offset(since)[:10]
    )
