"""Invented cities: what happened hour by hour, and how a city with a certain clock publishes it.

The truth is written in UTC first, and published through `zoneinfo`, so nothing here is shared with the reading.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from velocast.adapters.city_sources.reading import Harvest, read_counts
from velocast.adapters.city_sources.tables import read_tables
from velocast.core.city import City

Truth = dict[datetime, int]
Row = tuple[
    datetime, str, int
]  # the interval's start (UTC), the local time as it is written, bikes


def counted(zone: str, first: str, days: int, minutes: int = 60) -> Truth:
    """Return bikes for each interval (UTC) of some local days, no two of an hour's neighbours alike."""
    start = datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = (datetime.fromisoformat(first) + timedelta(days=days)).replace(tzinfo=ZoneInfo(zone))
    number = int((end.astimezone(UTC) - start) / timedelta(minutes=minutes))
    return {start + n * timedelta(minutes=minutes): 1 + 7 * n % 97 for n in range(number)}


def by_hour(truth: Truth, zone: str) -> Truth:
    """Add up the intervals of each hour of the local clock, keyed by the hour's start (UTC)."""
    hours: Truth = {}
    for start, bikes in truth.items():
        local = start.astimezone(ZoneInfo(zone))
        hour = start - timedelta(minutes=local.minute)
        hours[hour] = hours.get(hour, 0) + bikes
    return hours


def local_rows(truth: Truth, zone: str, form: str = "%Y-%m-%d %H:%M") -> list[Row]:
    """Write each interval with the time that the city's clock shows at its start."""
    return [(t, t.astimezone(ZoneInfo(zone)).strftime(form), n) for t, n in sorted(truth.items())]


def text_of(rows: list[Row], *, counters: tuple[str, ...] = ("bridge",)) -> bytes:
    """Write a wide CSV in which every counter counts the same."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", *counters])
    for _, time, bikes in rows:
        writer.writerow([time, *[bikes] * len(counters)])
    return out.getvalue().encode()


def city_of(
    zone: str, minutes: int = 60, *, time: dict[str, Any] | None = None, **clock: Any
) -> City:
    """Return a city with a wide file and a local clock."""
    return City(
        name="Testville",
        time_zone=zone,
        counts={
            "layout": {"shape": "wide", "time": {"columns": "time"} | (time or {})},
            "clock": {"times": "local"} | clock,
            "step_minutes": minutes,
        },
    )


def read_text(city: City, *texts: bytes, as_of: datetime | None = None) -> Harvest:
    """Read files that lie in memory."""
    tables = (
        t for n, text in enumerate(texts) for t in read_tables(text, f"file {n}", city.counts.file)
    )
    return read_counts(city, tables, as_of)


def stored(
    harvest: Harvest, counter: str = "bridge", *, quality: str | bool | None = None
) -> Truth:
    """Return the hours of a counter that have a quality; True: of any quality."""
    return {
        row["counted_at"].astimezone(UTC): row["bike_count"]
        for row in harvest.counts.to_pylist()
        if row["counter_id"] == counter and (quality is True or row["quality"] == quality)
    }


def reasons(harvest: Harvest) -> list[str]:
    """Return the reasons of the rejects."""
    return [reject.reason for reject in harvest.rejects]


def skipped_times(zone: str, rows: list[Row], minutes: int) -> Iterator[str]:
    """Give the local times that the clock skipped among rows in order."""
    for (_, before, _), (_, after, _) in itertools.pairwise(rows):
        time = datetime.fromisoformat(before) + timedelta(minutes=minutes)
        while time < datetime.fromisoformat(after):
            yield time.strftime("%Y-%m-%d %H:%M")
            time += timedelta(minutes=minutes)
