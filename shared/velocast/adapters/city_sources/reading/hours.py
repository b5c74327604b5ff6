"""From counts of intervals to counts of hours: doubles, contradictions, hours with a part missing, hours to come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from velocast.adapters.city_sources.reading.clock import HOUR_SECONDS, Moments, moments
from velocast.adapters.city_sources.reading.gathering import (
    INCOMPLETE,
    SUSPECT,
    USABLE,
    Gathered,
    Piece,
)
from velocast.adapters.city_sources.records import Reject
from velocast.adapters.city_sources.transport import TimeRange
from velocast.core.city import City
from velocast.core.city.reading import Wide
from velocast.core.clock_changes import alone
from velocast.core.errors import CityRefused

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

QUALITIES = {USABLE: None, INCOMPLETE: "incomplete", SUSPECT: "suspect"}
CLOCK_CHANGE = 3
DAY_SECONDS = 24 * HOUR_SECONDS
DAILY_ROWS = (
    3  # so many rows at the same hour of different days, and none at another hour, are daily totals
)


@dataclass(frozen=True)
class Hours:
    """Hours as they are stored. table: counter_id, counted_at (UTC), bike_count, quality. doubles: equal rows dropped."""

    table: pa.Table
    doubles: int


def to_hours(
    gathered: Gathered, city: City, *, as_of: datetime | None, within: TimeRange | None
) -> Hours:
    """Return the hours of all that was gathered, and put what cannot be stored among its rejects.

    as_of: hours that are not over then are rejected; None: there is none such. within: other hours are left out. Raises
    CityRefused for daily totals, and for rows that are not `step_minutes` apart.
    """
    counts = _all(gathered.pieces)
    when = moments(counts.seconds, counts.row, gathered.orders, city)
    _check_step(when, city)
    work = _Work(gathered, counts, when, city)
    work.drop_what_never_was()
    work.reject(when.local % (city.counts.step_minutes * 60) != 0, _off_step(city))
    if as_of is not None:
        over = as_of.timestamp() - HOUR_SECONDS
        later = when.hour > over
        if within is not None:  # what was not asked for is no fault, but an hour to come is
            later &= when.start >= as_of.timestamp()
        work.reject(later, "future_hour")
    if within is not None:
        work.leave_out(when.hour >= within.until.timestamp())
        if within.since is not None:
            work.leave_out(when.hour < within.since.timestamp())
    doubles = work.resolve_doubles()
    return Hours(work.summed(), doubles)


class _Work:
    """The counts on their way to hours; `good` are those that are still to be stored."""

    def __init__(self, gathered: Gathered, counts: Piece, when: Moments, city: City) -> None:
        import numpy as np

        self._gathered = gathered
        self._counts = counts
        self._when = when
        self._city = city
        self._names = list(gathered.ids)
        self.good = np.ones(len(counts.row), dtype=bool)

    def reject(self, wrong: npt.NDArray[np.bool_], reason: str) -> None:
        """Reject those of the good counts that are wrong, each row once."""
        import numpy as np

        found = np.flatnonzero(self.good & wrong)
        self.good[found] = False
        counts = self._counts
        seen: set[Any] = set()
        by_cell = isinstance(self._city.counts.layout, Wide)
        for n in found[np.argsort(counts.row[found], kind="stable")].tolist():
            row, counter = int(counts.row[n]), self._names[counts.counter[n]]
            key = (row, counter) if by_cell else row
            if key not in seen:
                seen.add(key)
                text = self._gathered.text(row, counter, float(counts.value[n]))
                self._gathered.rejects.append(Reject(reason, text))

    def leave_out(self, others: npt.NDArray[np.bool_]) -> None:
        """Drop counts that were not asked for."""
        self.good &= ~others

    def drop_what_never_was(self) -> None:
        """Drop zeros of hours that the clock skipped or, if a city publishes them so, of repeated ones.

        Bikes in an hour that the clock skipped are rejected.
        """
        import numpy as np

        counts, when = self._counts, self._when
        self.leave_out(when.skipped & (counts.value == 0))
        self.reject(when.skipped, "nonexistent_hour")
        if self._city.counts.clock.repeated_hour == "zero" and when.repeated.any():
            found = np.flatnonzero(when.repeated)
            order, first = _runs(counts.counter[found], when.hour[found])
            total = np.add.reduceat(counts.value[found][order], first)
            nothing = np.repeat(total == 0, np.diff(np.append(first, len(order))))
            self.good[found[order[nothing]]] = False

    def resolve_doubles(self) -> int:
        """Keep one of equal counts and return how many others there were; reject those that contradict each other.

        Nothing is done where a city publishes several rows to be added up.
        """
        import numpy as np

        if getattr(self._city.counts.layout, "same_time", "refuse") == "add":
            return 0
        counts = self._counts
        good = np.flatnonzero(self.good)
        # of equal counts, the one is kept that the city says is good
        order, first = _runs(counts.counter[good], self._when.start[good], counts.mark[good])
        if len(first) == len(order):
            return 0
        value = counts.value[good][order]
        sizes = np.diff(np.append(first, len(order)))
        differ = np.minimum.reduceat(value, first) < np.maximum.reduceat(value, first)
        conflicting = np.zeros(len(self.good), dtype=bool)
        conflicting[good[order[np.repeat(differ, sizes)]]] = True
        self.reject(conflicting, "conflicting_duplicate")
        others = np.repeat(~differ, sizes)
        others[first] = False
        self.good[good[order[others]]] = False
        return int(others.sum())

    def summed(self) -> pa.Table:
        """Return the hours: sums of their parts, with their quality; those beyond what is credible are rejected."""
        import numpy as np

        counts, when = self._counts, self._when
        good = np.flatnonzero(self.good)
        order, first = _runs(counts.counter[good], when.hour[good], when.start[good], runs_of=2)
        rows = good[order]
        counter, start, parts = counts.counter[rows], when.start[rows], counts.parts[rows]
        usual = np.zeros(len(self._names) + 1, "uint8")
        np.bitwise_or.at(usual, counter, parts)
        mark = np.where(parts != usual[counter], INCOMPLETE, USABLE)
        mark = np.maximum(mark, counts.mark[rows])
        new = np.append(True, (start[1:] != start[:-1]) | (counter[1:] != counter[:-1]))[
            : len(rows)
        ]
        if not len(rows):
            return _table(counter, start, start, mark, self._names, self._city)
        there = np.add.reduceat(new.astype("int64"), first) * self._city.counts.step_minutes
        value = np.rint(np.add.reduceat(counts.value[rows], first))
        mark = np.maximum.reduceat(mark, first)
        mark = np.where(there < 60, np.maximum(mark, INCOMPLETE), mark)
        credible = np.ones(len(first), dtype=bool)
        if (largest := self._city.largest_credible_count) is not None:
            credible = value <= largest
            absurd = np.zeros(len(self.good), dtype=bool)
            sizes = np.diff(np.append(first, len(rows)))
            absurd[rows[np.repeat(~credible, sizes)]] = True
            self.reject(absurd, "absurd_count")
        hour = when.hour[rows][first]
        return _table(
            counter[first][credible],
            hour[credible],
            value[credible],
            mark[credible],
            self._names,
            self._city,
        )


def _runs(*keys: npt.NDArray[Any], runs_of: int = 2) -> tuple[Any, Any]:
    """Return the order that sorts by all keys, the first before the others, and where each run of equal keys begins in it.

    runs_of: how many of the keys are equal in a run.
    """
    import numpy as np

    order = np.lexsort(keys[::-1])
    changed = np.zeros(len(order), dtype=bool)
    changed[:1] = True
    for key in keys[:runs_of]:
        changed[1:] |= key[order][1:] != key[order][:-1]
    return order, np.flatnonzero(changed)


def _table(
    counter: Any, hour: Any, value: Any, mark: Any, names: list[str], city: City
) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    mark = np.where(alone(counter, hour, city.zone) & (mark == USABLE), CLOCK_CHANGE, mark)
    qualities = pa.array([*QUALITIES.values(), "clock_change"], pa.string())
    return pa.table(
        {
            "counter_id": pa.array(names, pa.string()).take(pa.array(counter)),
            "counted_at": pa.array(hour * 1_000_000, pa.timestamp("us", tz="UTC")),
            "bike_count": pa.array(value.astype("int64")),
            "quality": qualities.take(pa.array(mark.astype("int64"))),
        }
    )


def _all(pieces: list[Piece]) -> Piece:
    import numpy as np

    kinds = {
        "counter": "int32",
        "seconds": "int64",
        "value": "float64",
        "mark": "uint8",
        "parts": "uint8",
        "row": "int64",
    }
    joined = {}
    for name, kind in kinds.items():
        joined[name] = np.concatenate([np.empty(0, kind), *(getattr(p, name) for p in pieces)])
    pieces.clear()
    return Piece(**joined)


def _off_step(city: City) -> str:
    return "not_on_the_hour" if city.counts.step_minutes == 60 else "not_on_the_step"


def _check_step(when: Moments, city: City) -> None:
    """Raise CityRefused where the rows are evidently of another step than the description says."""
    import numpy as np

    step = city.counts.step_minutes
    local = when.local[~when.skipped]
    times = np.unique(local)
    if len(times) >= DAILY_ROWS and len(np.unique(times % DAY_SECONDS)) == 1:
        raise CityRefused(
            f"{city.name}: all {len(times)} times are at the same time of different days, so these are totals of days or "
            "more, which cannot be forecast hour by hour; ask the city for hourly counts"
        )
    minutes = (local % HOUR_SECONDS) // 60
    if step == 60 and 2 * np.count_nonzero(minutes) > len(minutes):
        found = int(np.gcd.reduce(np.append(minutes, 60)))
        raise CityRefused(
            f"{city.name}: rows begin every {found} minutes, but step_minutes is 60; write step_minutes: {found}"
        )
    if step < 60 and len(times) >= 24 and not minutes.any():
        raise CityRefused(
            f"{city.name}: all rows begin on the hour, but step_minutes is {step}; write step_minutes: 60"
        )
