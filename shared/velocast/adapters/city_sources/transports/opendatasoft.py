"""Opendatasoft's Explore API v2.1.

An export that breaks off still has status 200, with an error text in its body. So an answer is only accepted once it
has as many records as the API itself counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import httpx

from velocast.adapters.city_sources.tables.json_records import tables_of_lines
from velocast.adapters.city_sources.transport import DayTotals, RawTable, TimeRange, literal
from velocast.adapters.city_sources.transports.opendatasoft_answers import json_lines, reset_time
from velocast.adapters.city_sources.transports.portal import Portal, day_totals
from velocast.adapters.http_answer import HttpAnswer
from velocast.core.city import City
from velocast.core.city.reading import HoursAsColumns
from velocast.core.city.sources import Opendatasoft
from velocast.core.errors import CityRefused

DAY = timedelta(days=1)
MOST_GROUPS = 20_000  # of one answer; https://help.opendatasoft.com/apis/ods-explore-v2/


class OpendatasoftTransport(Portal):
    """One data set of a portal."""

    setting = "base_url"
    purpose = "one export a day"

    def __init__(self, city: City, source: Opendatasoft, **timing: Any) -> None:
        super().__init__(city, **timing)
        self._source = source

    def tables(
        self, hours: TimeRange | None, columns: tuple[str, ...] | None
    ) -> Iterator[RawTable]:
        """Give the records of a range, in one export. As `Transport.tables`."""
        query = {} if hours is None else {"where": where(self._time_column(), self._asked(hours))}
        expected = self._count(query)
        selected_fields = {} if columns is None else {"select": ",".join(columns)}
        arrived = 0
        with self._export({**selected_fields, **query}) as lines:
            for table in tables_of_lines(lines, f"{self._source.base_url}/{self._source.dataset}"):
                arrived += len(table.rows) + len(table.unreadable)
                yield table
        self.check_complete(self._source.dataset, arrived=arrived, expected=expected)

    def day_totals(self, hours: TimeRange, column: str | None) -> dict[date, DayTotals]:
        """Count the records of each UTC day, in one request. As `DayTotalling.day_totals`."""
        time = self._time_column()
        total = f", sum({column}) as total" if column else ""
        query = {
            "select": f"count(*) as found{total}",
            "group_by": f"date_format({time}, 'yyyy-MM-dd') as day",
            "where": where(time, hours),
            "limit": str(MOST_GROUPS),
        }
        with self._get("records", query) as response:
            answer = self.read(response)
        try:
            return day_totals(answer.json()["results"])
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise CityRefused(answer.unexpected("the number of records of each day")) from exc

    def describe_too_many(self, answer: HttpAnswer) -> str:
        """Return the message for a 429, with the time at which the API accepts requests again."""
        return f"{answer.place}: 429, too many requests; the API takes requests again at {reset_time(answer)}"

    def _time_column(self) -> str:
        return self.city.counts.layout.time.columns[0]

    def _asked(self, hours: TimeRange) -> TimeRange:
        """Return the range to ask for: whole days on both sides where the column holds days of the city's calendar."""
        layout = self.city.counts.layout
        days = (
            isinstance(layout, HoursAsColumns)
            or len(layout.time.columns) > 1
            or layout.time.gap_column is not None
        )
        if not days:
            return hours
        return TimeRange(hours.since - DAY if hours.since else None, hours.until + DAY)

    def _count(self, query: dict[str, str]) -> int:
        with self._get("records", {"limit": "1", **query}) as response:
            answer = self.read(response)
        try:
            total = answer.json()["total_count"]
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise CityRefused(answer.unexpected("a JSON object with total_count")) from exc
        if not isinstance(total, int) or total < 0:
            raise CityRefused(answer.unexpected("a total_count of at least 0"))
        return total

    @contextmanager
    def _export(self, query: dict[str, str]) -> Iterator[Iterable[bytes]]:
        with self._get("exports/jsonl", query) as response:
            if "html" in response.headers.get("content-type", ""):
                raise CityRefused(self.read(response).unexpected("JSON lines"))
            yield json_lines(self.lines(response), f"{self.name} {self._source.dataset}")

    @contextmanager
    def _get(self, endpoint: str, query: dict[str, str]) -> Iterator[httpx.Response]:
        path = f"/api/explore/v2.1/catalog/datasets/{self._source.dataset}/{endpoint}"
        bases = (self._source.base_url, *self._source.fallback_base_urls)
        with self.opened([base.rstrip("/") + path for base in bases], query) as response:
            yield response


def where(field_name: str, hours: TimeRange) -> str:
    """Return the range as an ODSQL condition. The API reads its literals as UTC unless a time zone is asked for."""
    half = f"{field_name} < date'{literal(hours.until)}'"
    if hours.since is None:
        return half
    return f"{field_name} >= date'{literal(hours.since)}' AND {half}"
