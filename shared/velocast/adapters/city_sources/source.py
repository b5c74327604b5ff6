"""A city as the rest of the system sees it: it gives counts and counters, however they are published."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from velocast.adapters.city_sources.reading import (
    Harvest,
    listed_counters,
    read_counters,
    read_counts,
)
from velocast.adapters.city_sources.reading.columns import described, field_columns, required
from velocast.adapters.city_sources.records import CounterRecord
from velocast.adapters.city_sources.transport import DayTotalling, DayTotals, TimeRange, Transport
from velocast.adapters.city_sources.transports import open_transport, portal
from velocast.adapters.http_source import Limits
from velocast.core.city import City
from velocast.core.city.reading import FileFormat, Long, Wide
from velocast.core.city.sources import Source
from velocast.core.datetimes import start_of_hour
from velocast.core.errors import CityRefused, CityTruncated, SettingsError
from velocast.core.telemetry import log

AnswerT = TypeVar("AnswerT")
DAY = timedelta(days=1)


class CitySource:
    """Reads one city, for one thread.

    token_file: holds the city's token, for a source that takes one. sleep waits so many seconds; clock gives seconds
    and never goes back.
    """

    def __init__(
        self,
        city: City,
        *,
        limits: Limits | None = None,
        token_file: Path | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.city = city
        self._limits = limits or portal.LIMITS
        self._token_file = token_file
        self._sleep = sleep
        self._clock = clock
        self._spent = 0.0  # seconds of total_seconds
        self._seen: list[CounterRecord] = []  # in the rows of counts

    def read_counts(self, hours: TimeRange, *, as_of: datetime) -> Harvest:
        """Read all counts of a time range; those of hours that end after `as_of` become rejects.

        The range begins with the hour of the city's clock that holds `since`, and ends before the one that holds
        `until`, since hours are stored whole. All of it is read again, up to twice, when the city fails or its answer
        breaks off. Raises CityUnreachable (no answer, 429 or 5xx), CityTruncated (fewer records than the city's API
        counts, or an answer beyond LIMITS), CityRefused (any other 4xx, or an answer that is not what the city's
        description says), SettingsError for a city without a source.
        """
        city = self.city
        if city.counts.source is None:
            raise SettingsError(
                f"{city.name}: its file names no counts.source, so nothing can be fetched; add one, or give files"
            )
        whole = TimeRange(
            hours.since and start_of_hour(hours.since, city.zone),
            start_of_hour(hours.until, city.zone),
        )
        columns = count_columns(city)
        harvest = self._ask(
            city.counts.source,
            city.counts.file,
            lambda source: read_counts(city, source.tables(whole, columns), as_of, whole),
        )
        self._seen = harvest.counters
        return harvest

    def read_counters(self) -> list[CounterRecord]:
        """Read the counters' names, places and installation dates; records without an id are left out.

        They are those of the city's list of counters, else those seen by the last `read_counts`; what the city's file
        lists itself holds before either. Errors as for `read_counts`.
        """
        counters = self.city.counters
        fields = counters.fields
        found = self._seen
        if counters.source is not None and fields is not None:
            columns = tuple(dict.fromkeys(field_columns(fields)))
            found = self._ask(
                counters.source,
                counters.file,
                lambda source: read_counters(self.city, source.tables(None, columns), fields),
            )
        by_id = {record.counter_id: record for record in [*found, *listed_counters(counters)]}
        return list(by_id.values())

    def read_day_totals(self, hours: TimeRange) -> dict[date, DayTotals] | None:
        """Return what the city itself counts of each day with records; None where it cannot be asked for that.

        A refusal also gives None, and so do totals of fewer records than the city counts. Raises CityUnreachable,
        SettingsError.
        """
        counts = self.city.counts
        if counts.source is None:
            return None

        def question(transport: Transport) -> dict[date, DayTotals] | None:
            if not isinstance(transport, DayTotalling):
                return None
            return transport.day_totals(hours, _added_up(self.city))

        try:
            return self._ask(counts.source, counts.file, question)
        except (CityRefused, CityTruncated) as exc:
            log("WARNING", f"the city gives no daily totals: {exc}", code=exc.code)
            return None

    def days_range(self, first: date, last: date) -> TimeRange:
        """Return all hours that records of these days, as the city dates them, can be about."""
        margin = timedelta(hours=14 if self.city.counts.clock.times == "local" else 2)
        start, end = (
            datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (first, last + DAY)
        )
        return TimeRange(start - margin, end + margin)

    def _ask(
        self, source: Source, file: FileFormat, question: Callable[[Transport], AnswerT]
    ) -> AnswerT:
        left = replace(self._limits, total_seconds=self._limits.total_seconds - self._spent)
        started = self._clock()
        with open_transport(
            self.city,
            source,
            file,
            token_file=self._token_file,
            limits=left,
            sleep=self._sleep,
            clock=self._clock,
        ) as transport:
            try:
                return transport.ask(lambda: question(transport))
            finally:
                self._spent += self._clock() - started


def count_columns(city: City) -> tuple[str, ...] | None:
    """Return the columns that reading counts needs; None for all of them.

    Those that describe a counter are among them only where the city has no list of counters.
    """
    layout = city.counts.layout
    if not isinstance(layout, Wide) and layout.shape == "long":
        names = described(layout)
        if city.counters.source is None:
            return names
        needed = required(layout)
        about = set(field_columns(layout.counter)) - set(needed)
        return tuple(name for name in names if name not in about)
    return None


def _added_up(city: City) -> str | None:
    """Return the one column with counts; None where there are several, or records of other traffic among them."""
    layout = city.counts.layout
    if isinstance(layout, Long) and len(layout.values) == 1:
        return layout.values[0].column
    return None


def name_of(source: Source | None) -> str:
    """Return what identifies a source among those of its city, for messages and stored rejects."""
    for name in ("dataset", "package", "layer_url", "prefix", "urls", "base_url"):
        if value := getattr(source, name, None):
            return str(value[0]) if isinstance(value, tuple) else str(value)
    return "files"
