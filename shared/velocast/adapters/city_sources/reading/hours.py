"""From counts of intervals to counts of hours: doubles, contradictions, hours with a part missing, hours to come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from velocast.adapters.city_sources.reading.clock import HOUR_SECONDS, Moments, moments
from velocast.adapters.city_sources.reading.gathering import (
    FLAGGED,
    INCOMPLETE,
    USABLE,
    Gathered,
    Observations,
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

QUALITIES = {USABLE: None, INCOMPLETE: "incomplete", FLAGGED: "flagged"}
CLOCK_CHANGE = 3
DAY_SECONDS = 24 * HOUR_SECONDS
DAILY_ROWS = 3  # so many times, all at the same hour of different days, are those of daily totals


@dataclass(frozen=True)
class Hours:
    """Hours as they are stored. table: `Harvest.counts`. doubles: number of equal rows dropped."""

    table: pa.Table
    doubles: int


def to_hours(
    gathered: Gathered, city: City, *, as_of: datetime | None, within: TimeRange | None
) -> Hours:
    """Return the hours of all that was gathered, and put what cannot be stored among its rejects.

    as_of: hours that are not over by then are rejected; None: no hour is. within: other hours are left out. Raises
    CityRefused for daily totals, and for rows that are not `step_minutes` apart.
    """
    counts = gathered.all_counts()
    when = moments(gathered, counts, city)
    _check_step(when, counts, city)
    work = _Work(gathered, counts, when, city)
    work.drop_what_never_was()
    work.reject(when.local % (city.counts.step_minutes * 60) != 0, _off_step(city))
    if as_of is not None:
        later = when.hour > as_of.timestamp() - HOUR_SECONDS
        if within is not None:  # an hour that was not asked for is no fault, but a future one is
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

    def __init__(self, gathered: Gathered, counts: Observations, when: Moments, city: City) -> None:
        import numpy as np

        self._gathered = gathered
        self._counts = counts
        self._when = when
        self._city = city
        self._names = list(gathered.ids)
        self.good = np.ones(len(counts.row), dtype=bool)

    def reject(self, wrong: npt.NDArray[np.bool_], reason: str) -> None:
        """Reject the good counts of the times that are wrong."""
        if wrong.any():
            self._reject(wrong[self._counts.time], reason)

    def leave_out(self, others: npt.NDArray[np.bool_]) -> None:
        """Drop the counts of times that were not asked for."""
        if others.any():
            self.good &= ~others[self._counts.time]

    def drop_what_never_was(self) -> None:
        """Drop zeros of hours that the clock skipped or, if a city publishes them so, of repeated ones.

        Bikes in an hour that the clock skipped are rejected.
        """
        import numpy as np

        counts, when = self._counts, self._when
        if when.skipped.any():
            self.good &= ~(when.skipped[counts.time] & (counts.value == 0))
            self.reject(when.skipped, "nonexistent_hour")
        if self._city.counts.clock.repeated_hour == "zero":
            found = np.flatnonzero(when.repeated[counts.time])
            order, first = self._sorted(found, when.hour)
            if len(order):
                total = np.add.reduceat(counts.value[order], first)
                self.good[order[_spread(total == 0, first, len(order))]] = False

    def resolve_doubles(self) -> int:
        """Keep one of equal counts and return how many others there were; reject those that contradict each other.

        Nothing is done where a city publishes several rows to be added up.
        """
        import numpy as np

        if getattr(self._city.counts.layout, "same_time", "refuse") == "add":
            return 0
        counts = self._counts
        order, first = self._sorted(np.flatnonzero(self.good), self._when.start)
        if len(first) == len(order):
            return 0
        repeated = np.diff(np.append(first, len(order))) > 1
        order = order[_spread(repeated, first, len(order))]
        # of equal counts, the one is kept that the city says is good
        order, first = self._sorted(order[np.argsort(counts.mark[order])], self._when.start)
        value = counts.value[order]
        differ = np.minimum.reduceat(value, first) < np.maximum.reduceat(value, first)
        conflicting = np.zeros(len(self.good), dtype=bool)
        conflicting[order[_spread(differ, first, len(order))]] = True
        self._reject(conflicting, "conflicting_duplicate")
        others = _spread(~differ, first, len(order))
        others[first] = False
        self.good[order[others]] = False
        return int(others.sum())

    def summed(self) -> pa.Table:
        """Return the hours: sums of their parts, with their quality; those beyond what is credible are rejected."""
        import numpy as np

        counts, when = self._counts, self._when
        rows, first = self._sorted(np.flatnonzero(self.good), when.hour)
        counter, parts = counts.counter[rows], counts.parts[rows]
        usual = np.zeros(len(self._names), "uint8")
        np.bitwise_or.at(usual, counter, parts)
        mark = np.where(parts != usual[counter], INCOMPLETE, USABLE).astype("uint8")
        mark = _reduced(np.maximum, np.maximum(mark, counts.mark[rows]), first)
        value = np.rint(_reduced(np.add, counts.value[rows], first))
        counter, hour = counter[first], when.hour[counts.time[rows[first]]]
        if (step := self._city.counts.step_minutes) < 60:
            there = step * self._parts_of_hours(rows, first)
            mark = np.where(there < 60, np.maximum(mark, INCOMPLETE), mark)
        if (largest := self._city.largest_credible_count) is not None:
            absurd = np.zeros(len(self.good), dtype=bool)
            absurd[rows[_spread(value > largest, first, len(rows))]] = True
            self._reject(absurd, "absurd_count")
            fine = value <= largest
            counter, hour, value, mark = counter[fine], hour[fine], value[fine], mark[fine]
        return _table(counter, hour, value, mark, self._names, self._city)

    def _parts_of_hours(self, rows: Any, first: Any) -> Any:
        """Return how many intervals each hour has."""
        import numpy as np

        _, begin = self._sorted(rows, self._when.start)
        # hours and intervals are in the same order, so an hour has the intervals that begin within its rows
        return np.diff(np.append(np.searchsorted(begin, first), len(begin)))

    def _sorted(self, rows: Any, moment: Any) -> tuple[Any, Any]:
        """Return rows by counter and moment, and where each counter and moment begins among them.

        moment: of each time, `Moments.hour` or `Moments.start`. Rows of one counter and moment keep their order.
        """
        import numpy as np

        _, rank = np.unique(moment, return_inverse=True)
        key = rank[self._counts.time[rows]] + self._counts.counter[rows] * np.int64(len(moment) + 1)
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
        return rows[order], first

    def _reject(self, wrong: npt.NDArray[np.bool_], reason: str) -> None:
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


def _spread(flags: Any, first: Any, rows: int) -> Any:
    """Return the flag of each run for all of its rows. first: where each run begins."""
    import numpy as np

    return np.repeat(flags, np.diff(np.append(first, rows)))


def _reduced(function: Any, values: Any, first: Any) -> Any:
    """Return one value for each run of rows, of which there may be none."""
    return function.reduceat(values, first) if len(first) else values


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


def _off_step(city: City) -> str:
    return "not_on_the_hour" if city.counts.step_minutes == 60 else "not_on_the_step"


def _check_step(when: Moments, counts: Observations, city: City) -> None:
    """Raise CityRefused where the rows are evidently of another step than the description says."""
    import numpy as np

    step = city.counts.step_minutes
    rows = np.bincount(counts.time, minlength=len(when.start)) * ~when.skipped
    local = when.local[rows > 0]
    if len(local) >= DAILY_ROWS and len(np.unique(local % DAY_SECONDS)) == 1:
        raise CityRefused(
            f"{city.name}: all {len(local)} times are at the same time of different days, so these are totals of days "
            "or more, which cannot be forecast hour by hour; ask the city for hourly counts"
        )
    minutes = local % HOUR_SECONDS // 60
    off_hour = rows[rows > 0][minutes != 0].sum()
    if step == 60 and 2 * off_hour > rows.sum():
        found = int(np.gcd.reduce(np.append(minutes, 60)))
        raise CityRefused(
            f"{city.name}: rows begin every {found} minutes, but step_minutes is 60; write step_minutes: {found}"
        )
    if step < 60 and len(local) >= 24 and not minutes.any():
        raise CityRefused(
            f"{city.name}: all rows begin on the hour, but step_minutes is {step}; write step_minutes: 60"
        )
