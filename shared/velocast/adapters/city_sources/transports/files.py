"""Plain files over HTTPS: one, one for each period, one for each counter (Münster, Zürich, Berlin, MobiData BW).

A period's file that the server does not have (404, 410) is one that is not published yet, or any more; any other file
must be there. That a file is whole is known from its Content-Length or its last chunk (RFC 9112, section 8), and from
what zip, gz, Parquet, XLSX and JSON end with.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

from velocast.adapters.city_sources.transport import RawTable, TimeRange
from velocast.adapters.city_sources.transports.download import Download, is_missing
from velocast.adapters.city_sources.transports.portal import as_published
from velocast.core.city import City
from velocast.core.city.reading import FileFormat
from velocast.core.city.sources import Files, placeholders
from velocast.core.errors import CityRefused
from velocast.core.telemetry import log

ONE_DAY = timedelta(days=1)


class FilesTransport(Download):
    """The files of one city."""

    setting = "urls"

    def __init__(self, city: City, source: Files, file: FileFormat, **timing: Any) -> None:
        super().__init__(city, file, **timing)
        self._source = source
        self._counters = source.counters or tuple(each.id for each in city.counters.listed)

    def tables(
        self,
        hours: TimeRange | None,
        columns: tuple[str, ...] | None,  # noqa: ARG002 - all come, whatever is needed
    ) -> Iterator[RawTable]:
        """Give the tables of every file that may hold hours of the range. As `Transport.tables`."""
        missing, found = [], 0
        for url, may_be_missing in self._urls(hours):
            try:
                yield from self.read_file(url)
            except CityRefused as error:
                if not may_be_missing or not is_missing(error):
                    raise
                missing.append(url)
            else:
                found += 1
        if missing and not found:
            raise CityRefused(
                f"{self.name}: none of {len(missing)} files is there, the first being {missing[0]}; "
                "check urls and kept_since in the city's file"
            )
        if missing:
            log("INFO", f"{self.name} has not published {len(missing)} files: {missing[0]} ...")

    def _urls(self, hours: TimeRange | None) -> Iterator[tuple[str, bool]]:
        """Give the addresses of a range, oldest period first, and whether each may be missing."""
        for template in self._source.urls:
            names = placeholders(template)
            counters = self._counters if "counter" in names else ("",)
            if not counters:
                raise CityRefused(
                    f"{self.name}: {template} has one file a counter; name them in counters of the source"
                )
            timed = bool(names - {"counter"})
            for values in self._periods(hours, names) if timed else [{}]:
                for counter in counters:
                    url = template.format(counter=quote(counter, safe=""), **values)
                    yield url, bool(names & {"year", "month", "day"})

    def _periods(self, hours: TimeRange | None, names: set[str]) -> list[dict[str, Any]]:
        """Return what the names stand for in each period of a range, oldest first."""
        if hours is None:
            raise CityRefused(f"{self.name}: a list of counters cannot be one file a period")
        since, until = as_published(hours, self.city)
        year, month = map(int, (self._source.kept_since or "").split("-"))
        first, last = date(year, month, 1), until.date()
        if since is not None:
            first = max(first, since.date())
        days = [first + n * ONE_DAY for n in range((last - first).days + 1)]
        wanted = [name for name in ("year", "month", "day") if name in names]
        formats = {"year": "%Y", "month": "%m", "day": "%d"}
        periods = dict.fromkeys(
            tuple(day.strftime(formats[name]) for name in wanted) for day in days
        )
        return [
            {**dict(zip(wanted, period, strict=True)), "since": first, "until": last}
            for period in periods
        ]
