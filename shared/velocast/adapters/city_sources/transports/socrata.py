"""Socrata's SODA API 2.x (New York, Seattle, Chicago and many more cities of North America).

- `$limit` is 1,000 by default and 50,000 at most on 2.0 endpoints; rows have no order of their own, so pages need
  `$order=:id` (https://dev.socrata.com/docs/paging.html).
- A floating timestamp has no offset and is the publisher's clock; a fixed one is in UTC. Both are compared with a text
  like '2025-03-01T00:00:00' (https://dev.socrata.com/docs/datatypes/floating_timestamp.html).
- An empty field is left out of a record.
- Errors have a status of 400 to 500 with `message` and `error`; 202 means that the answer is not ready yet, 429 that
  requests without an application token are throttled (https://dev.socrata.com/docs/response-codes.html).

An answer is complete when as many rows came as `count(*)` told for the same condition.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
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
from velocast.adapters.http_answer import HttpAnswer
from velocast.core.city import City
from velocast.core.city.sources import Socrata
from velocast.core.errors import CityRefused

PAGE_ROWS = 50_000


class SocrataTransport(Portal):
    """One data set of a Socrata portal.

    token: the text of an application token, which raises the portal's limits; requests work without one.
    """

    setting = "base_url and dataset"

    def __init__(
        self, city: City, source: Socrata, token: str | None = None, **timing: Any
    ) -> None:
        super().__init__(city, **timing)
        self._source = source
        self._url = f"{source.base_url.rstrip('/')}/resource/{source.dataset}.json"
        if token is not None:
            self._client.headers["X-App-Token"] = token

    def tables(
        self, hours: TimeRange | None, columns: tuple[str, ...] | None
    ) -> Iterator[RawTable]:
        """Give the rows of a range page by page. As `Transport.tables`."""
        query = self._query(hours)
        expected = self._count(query)
        if names := selected_fields(columns, [self._source.time_field]):
            query["$select"] = ",".join(names)
        arrived = 0
        while arrived < expected:
            rows = self._page(query, arrived)
            if not rows:
                break
            arrived += len(rows)
            yield column_table(rows, self._url)
        self.check_complete(self._source.dataset, arrived=arrived, expected=expected)

    def day_totals(self, hours: TimeRange, column: str | None) -> dict[date, DayTotals]:
        """Count the rows of each day, in one request. As `DayTotalling.day_totals`.

        Raises CityRefused where the data set has no field for the time.
        """
        name = self._source.time_field
        if name is None:
            raise CityRefused(f"{self._url}: its time is no field, so days cannot be told apart")
        day = f"date_trunc_ymd({name})"
        total = f", sum({column}) AS total" if column else ""
        needs = "the number of rows of each day"
        query = {
            **self._query(hours),
            "$select": f"{day} AS day, count(*) AS found{total}",
            "$group": day,
            "$limit": str(PAGE_ROWS),
        }
        found = self.get_json(self._url, query, needs=needs, kind=list)
        try:
            return day_totals(found)
        except (ValueError, KeyError, TypeError) as exc:
            raise CityRefused(f"{self._url}: {found!r:.200}, needs {needs}") from exc

    def describe_too_many(self, answer: HttpAnswer) -> str:
        """Return the message for a 429."""
        return answer.unexpected("fewer requests, or an application token")

    def _query(self, hours: TimeRange | None) -> dict[str, str]:
        conditions = [f"({self._source.where})"] if self._source.where else []
        name = self._source.time_field
        if hours is not None and name is not None:
            since, until = as_published(hours, self.city)
            if since is not None:
                conditions.append(f"{name} >= '{without_offset(since)}'")
            conditions.append(f"{name} < '{without_offset(until)}'")
        return {"$where": " AND ".join(conditions)} if conditions else {}

    def _count(self, query: dict[str, str]) -> int:
        needs = "one row with the number of rows"
        found = self.get_json(
            self._url, {"$select": "count(*) AS found", **query}, needs=needs, kind=list
        )
        try:
            return int(found[0]["found"])
        except (LookupError, TypeError, ValueError) as exc:
            raise CityRefused(f"{self._url}: {found!r:.200}, needs {needs}") from exc

    def _page(self, query: dict[str, str], offset: int) -> list[dict[str, Any]]:
        page = {"$order": ":id", "$limit": str(PAGE_ROWS), "$offset": str(offset)}
        rows: list[dict[str, Any]] = self.get_json(
            self._url, {**query, **page}, needs="a list of rows", kind=list
        )
        return rows
