"""Look for what the city published late: counts of days that are older than those that each fetch reads again.

The city is first asked for its own totals of each day, one request for all of them. Only days that differ from what is
stored, and from what the city said when they were last fetched, are read. A city that cannot be asked is read whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from velocast.adapters.city_sources.source import CitySource
from velocast.adapters.city_sources.transport import DayTotals, TimeRange
from velocast.core.audit_row import AuditRow
from velocast.core.errors import EventError
from velocast.core.requests import FetchRequest
from velocast.core.settings import FetchSettings
from velocast.usecases.context import Run
from velocast.usecases.ingest import counters as ingest_counters
from velocast.usecases.ingest import fetch
from velocast.usecases.ingest import gaps as ingest_gaps
from velocast.usecases.ingest import quality as ingest_quality

DAY = timedelta(days=1)
REMEMBERED = timedelta(
    days=100
)  # of earlier sweeps: the last three that reach two years back are among them
LONGEST = 366  # days of one question to the city
RECORDS_AT_ONCE = 2_000_000  # of one answer, which is in memory as a whole, except for a single day

Totals = Mapping[date, DayTotals]


@dataclass
class Swept:
    """What a sweep did. days_compared: None where the city tells no totals, so that all days were read."""

    since: date
    until: date
    days_compared: int | None = None
    days_differing: list[date] = field(default_factory=list)
    told: dict[str, list[float | None]] = field(default_factory=dict)
    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0

    def details(self) -> dict[str, Any]:
        """Return the audit row's details. Those of `sweep.told` are what the next sweep compares with."""
        return {
            "sweep": {
                "since": self.since.isoformat(),
                "until": self.until.isoformat(),
                "days_compared": self.days_compared,
                "days_differing": len(self.days_differing),
                "days": [day.isoformat() for day in self.days_differing[:100]],
                "hours_added": self.inserted,
                "hours_revised": self.updated,
                "told": self.told,
            },
            "fetched": self.fetched,
            "inserted": self.inserted,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "rejected": self.rejected,
        }


def sweep(request: FetchRequest, run: Run[FetchSettings]) -> list[AuditRow]:
    """Store what changed in the last `request.sweep_days` days, except for those that each fetch reads again.

    Raises EventError for a request with a range too, CityError when the city does not answer, WarehouseError.
    """
    if request.since or request.until:
        raise EventError("sweep_days cannot be combined with since or until; leave them out")
    source = CitySource(run.settings.city, token_file=run.settings.city_token_file)
    today = run.as_of.astimezone(UTC).date()
    until = today - timedelta(days=run.settings.thresholds.overlap_days)
    swept = Swept(today - timedelta(days=request.sweep_days or 0), until)
    if swept.since >= until:
        raise EventError(
            f"sweep_days {request.sweep_days} is within the days that each fetch reads again; ask for more"
        )
    told = source.read_day_totals(source.days_range(swept.since, until - DAY))
    for window in _windows(run, swept, told):
        _store(run, source, source.days_range(*window), swept)
    details = swept.details()
    first = _first_stored(run, swept)
    if first is not None:
        details["quality"] = ingest_quality.mark_quality_from(run, first).details()
        details["gaps"] = ingest_gaps.rebuild_gaps_from(run, first).details()
    return [fetch.audit_row(run, details)]


def _windows(run: Run[FetchSettings], swept: Swept, told: Totals | None) -> list[tuple[date, date]]:
    """Return the first and last days of what to fetch, and note in `swept` what was compared."""
    if told is None:
        return [(swept.since, swept.until - DAY)]
    days = [swept.since + DAY * n for n in range((swept.until - swept.since).days)]
    stored, remembered = _stored_totals(run, swept), _remembered(run)
    swept.days_compared = len(days)
    none = DayTotals(0, 0)
    for day in days:
        found = told.get(day, none)
        # a city that keeps only some months has nothing to tell of older days
        if not found.rows or _same(found, stored.get(day, none)):
            continue
        # remembered also for a day that the city counts another way than we do: with rejects, or quarters of an hour
        swept.told[day.isoformat()] = list(found)
        if not _same(found, remembered.get(day)):
            swept.days_differing.append(day)
    return ranges(swept.days_differing, {day: totals.rows for day, totals in told.items()})


def ranges(days: list[date], records: Mapping[date, int]) -> list[tuple[date, date]]:
    """Return the first and last day of each run of consecutive days, of LONGEST days and RECORDS_AT_ONCE at most.

    records: how many each day has.
    """
    found: list[tuple[date, date]] = []
    together = 0
    for day in days:
        together += records[day]
        follows = found and day - found[-1][1] == DAY and (day - found[-1][0]).days < LONGEST
        if follows and together <= RECORDS_AT_ONCE:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
            together = records[day]
    return found


def _same(told: DayTotals, known: DayTotals | None) -> bool:
    if known is None or told.rows != known.rows:
        return False
    if told.total is None or known.total is None:
        return told.total is known.total or not told.rows
    return abs(told.total - known.total) < 0.5  # bikes


def _stored_totals(run: Run[FetchSettings], swept: Swept) -> Totals:
    city = run.settings.city
    zone = city.time_zone if city.counts.clock.times == "local" else "UTC"
    # a day more on both sides, since days of the city's clock begin at other moments
    frame = run.warehouse.query(
        "ingest_day_totals",
        since=_start(swept.since - DAY),
        until=_start(swept.until + DAY),
        zone=zone,
    )
    rows = zip(frame["day"], frame["hours"], frame["bikes"], strict=True)
    return {day: DayTotals(int(hours), float(bikes)) for day, hours, bikes in rows}


def _remembered(run: Run[FetchSettings]) -> Totals:
    rows = run.warehouse.query("ingest_swept_days", since=run.as_of - REMEMBERED, as_of=run.as_of)
    found: dict[date, DayTotals] = {}
    for text in rows["told"]:
        for day, (number, total) in json.loads(text).items():
            found.setdefault(date.fromisoformat(day), DayTotals(int(number), total))
    return found


def _store(run: Run[FetchSettings], source: CitySource, window: TimeRange, swept: Swept) -> None:
    harvest = source.read_counts(window, as_of=run.as_of)
    fetch.store_rejects(run, window, harvest.rejects)
    merged = fetch.merge_counts(run, harvest.counts)
    swept.fetched += harvest.fetched
    swept.inserted += merged.inserted
    swept.updated += merged.updated
    swept.unchanged += merged.unchanged
    swept.rejected += len(harvest.rejects)
    if merged.inserted or merged.updated:
        ingest_counters.update_counters(run, harvest.counts, None)


def _first_stored(run: Run[FetchSettings], swept: Swept) -> datetime | None:
    """Return the first hour that this sweep changed, also where an earlier try was killed after it had stored it."""
    import pandas as pd

    # windows reach some hours beyond their days
    rows = run.warehouse.query(
        "ingest_swept_from",
        since=_start(swept.since - DAY),
        until=_start(swept.until),
        as_of=run.as_of,
    )
    first = rows["first_at"].iloc[0]
    return None if pd.isna(first) else first.to_pydatetime()


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
