"""Episodes: the hours of one fault of a counter, with what shows it and since when that was known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from velocast.core.datetimes import start_of_local_day
from velocast.model.faults.kinds import FaultKind, Mark
from velocast.model.faults.ledger import GridMask, Ledger

MERGED_DAYS = (
    3  # normal days within one episode, at most; days on which it sent nothing do not count
)


@dataclass(frozen=True)
class Episode:
    """One fault of one counter in [since, until), aware, in the city's time zone.

    found_at: the end of the day whose counts first showed it. open: it lasts to the end of the counts. share_of_usual:
    bikes of its hours to those expected of them; None where nothing was expected.
    """

    counter_id: str
    kind: FaultKind
    since: datetime
    until: datetime
    found_at: datetime
    open: bool
    evidence: str
    share_of_usual: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the episode as JSON shows it, times in RFC 3339 with the city's offset."""
        times = {name: getattr(self, name).isoformat() for name in ("since", "until", "found_at")}
        return {**vars(self), **times}


def episodes_of(ledger: Ledger, zone: ZoneInfo) -> list[Episode]:
    """Return the episodes of all counters, ordered by counter and start."""
    found = [
        _episode(ledger, counter, kind, days, zone)
        for counter in np.flatnonzero((ledger.marks != Mark.NONE).any((1, 2))).tolist()
        for kind in Mark
        if kind != Mark.NONE
        for days in _stretches(ledger, counter, kind)
    ]
    return sorted(found, key=lambda each: (each.counter_id, each.since, each.kind))


def _stretches(ledger: Ledger, counter: int, kind: Mark) -> Iterator[NDArray[np.int64]]:
    """Give the days of each episode of a kind."""
    days = np.flatnonzero((ledger.marks[counter] == kind).any(1))
    if not len(days):
        return
    # number only the days on which the counter sent something or is marked
    sent = np.cumsum(ledger.grid.published[counter].any(1) | (ledger.marks[counter] == kind).any(1))
    yield from np.split(days, np.flatnonzero(np.diff(sent[days]) > MERGED_DAYS) + 1)


def _episode(
    ledger: Ledger, counter: int, kind: Mark, days: NDArray[np.int64], zone: ZoneInfo
) -> Episode:
    marked = ledger.marks[counter, days] == kind
    hours = (days[:, None] * 24 + np.arange(24)[None])[marked]
    first, last = int(hours[0]), int(hours[-1])
    known = marked & ledger.seen[counter, days]
    counted = float(ledger.counts[counter, days][known].sum())
    expected = float(ledger.expected[counter, days][known].sum())
    shown = int(ledger.found[counter, days][marked].min())
    return Episode(
        counter_id=ledger.grid.counters[counter],
        kind=kind.kind,
        since=hour_of(ledger, first, zone),
        until=hour_of(ledger, last + 1, zone),
        found_at=hour_of(ledger, (shown + 1) * 24, zone),
        open=last >= _last_hour(ledger, counter, kind),
        evidence=_evidence(ledger, counter, kind, days, counted, expected),
        share_of_usual=round(counted / expected, 3) if expected >= 1 else None,
    )


def _last_hour(ledger: Ledger, counter: int, kind: Mark) -> int:
    """Return the hour up to which an open episode lasts: the counter's last, and the city's for what is missing."""
    published = ledger.grid.published
    sent = published.any(0) if kind == Mark.SPARSE else published[counter]
    hours = np.flatnonzero(sent.reshape(-1))
    return int(hours[-1]) if len(hours) else 0


def hour_of(ledger: Ledger, number: int, zone: ZoneInfo) -> datetime:
    """Return the start of an hour of the grid, numbered from the first day's first, in the city's zone."""
    day, hour = divmod(number, 24)
    start = start_of_local_day(ledger.grid.day(day), zone).astimezone(zone)
    # by UTC, because in spring an hour of the clock does not exist
    return start.replace(hour=hour).astimezone(UTC).astimezone(zone)


def _evidence(
    ledger: Ledger,
    counter: int,
    kind: Mark,
    days: NDArray[np.int64],
    counted: float,
    expected: float,
) -> str:
    """Return one line that a person can check in the counts."""
    marked: GridMask = ledger.marks[counter, days] == kind
    counts = ledger.counts[counter, days][marked]
    hours = int((marked & ledger.seen[counter, days]).sum())
    usual = f"{_bikes(counted)} in {hours:,} hours, {expected:,.0f} expected"
    if kind == Mark.DEAD:
        return usual if expected >= 1 else f"{_bikes(counted)} in {hours:,} hours, others count"
    if kind == Mark.STUCK:
        values = np.unique(counts)
        if len(values) == 1:
            return f"{_bikes(values[0])} in each of {hours:,} hours"
        return f"the same counts again, in {hours:,} hours"
    if kind == Mark.SPIKE:
        highest = int(counts.argmax())
        at = ledger.expected[counter, days][marked][highest]
        return f"{_bikes(counts[highest])} in an hour, {at:,.0f} expected"
    if kind == Mark.SWAPPED:
        partner = ledger.grid.counters[int(ledger.detail[counter, days[-1]])]
        return f"its hours fit {partner}, and those of {partner} fit it"
    if kind == Mark.CLOCK_SHIFT:
        shift = int(np.median(ledger.detail[counter, days]))
        hour = "hour" if abs(shift) == 1 else "hours"
        return f"its hours fit {abs(shift)} {hour} {'later' if shift > 0 else 'earlier'}"
    if kind == Mark.SPARSE:
        absent = int((marked & ~ledger.grid.published[counter, days]).sum())
        return f"{absent:,} of {int(marked.sum()):,} hours missing, while the city published"
    return usual


def _bikes(count: float) -> str:
    return "1 bike" if round(count) == 1 else f"{count:,.0f} bikes"
