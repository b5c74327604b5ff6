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
    import pandas as pd
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
        """Drop zeros of hours that the clock skipped or, if a city publishes them so, of repeated ones; reject bikes."""
        counts, when = self._counts, self._when
        self.leave_out(when.skipped & (counts.value == 0))
        self.reject(when.skipped, "nonexistent_hour")
        if self._city.counts.clock.repeated_hour == "zero" and when.repeated.any():
            hours = _frame(self, value=counts.value)[when.repeated]
            total = hours.groupby(["counter", "hour"])["value"].transform("sum")
            self.good[hours.index[total == 0]] = False

    def resolve_doubles(self) -> int:
        """Keep one of equal counts and return how many others there were; reject those that contradict each other.

        Nothing is done where a city publishes several rows to be added up.
        """
        import numpy as np

        if getattr(self._city.counts.layout, "same_time", "refuse") == "add":
            return 0
        frame = _frame(self, start=self._when.start, value=self._counts.value)[self.good]
        keys = ["counter", "start"]
        repeated = frame[frame.duplicated(keys, keep=False)]
        if repeated.empty:
            return 0
        different = repeated.groupby(keys)["value"].transform("nunique") > 1
        conflicting = np.zeros(len(self.good), dtype=bool)
        conflicting[repeated.index[different]] = True
        self.reject(conflicting, "conflicting_duplicate")
        equal = repeated[~different]
        # of equal counts, the one that the city says is good
        ranked = equal.assign(mark=self._counts.mark[equal.index]).sort_values(
            "mark", kind="stable"
        )
        dropped = ranked.index[ranked.duplicated(keys)]
        self.good[dropped] = False
        return len(dropped)

    def summed(self) -> pa.Table:
        """Return the hours: sums of their parts, with their quality; those beyond what is credible are rejected."""
        import numpy as np

        counts, when = self._counts, self._when
        frame = _frame(
            self, start=when.start, value=counts.value, mark=counts.mark, parts=counts.parts
        )
        frame = frame[self.good]
        keys = ["counter", "hour"]
        usual = frame.groupby("counter")["parts"].agg(np.bitwise_or.reduce)
        partial = frame["parts"].to_numpy() != usual.reindex(frame["counter"]).to_numpy()
        frame["mark"] = np.where(partial, np.maximum(frame["mark"], INCOMPLETE), frame["mark"])
        grouped = frame.groupby(keys, sort=True)
        hours = grouped.agg(value=("value", "sum"), mark=("mark", "max"))
        hours["value"] = np.rint(hours["value"])
        step = self._city.counts.step_minutes
        if step < 60:
            there = grouped["start"].nunique() * step
            hours["mark"] = np.where(
                there < 60, np.maximum(hours["mark"], INCOMPLETE), hours["mark"]
            )
        hours = hours.reset_index()
        largest = self._city.largest_credible_count
        if largest is not None and (absurd := hours["value"] > largest).any():
            beyond = hours[absurd].set_index(keys).index
            self.reject(_frame(self).set_index(keys).index.isin(beyond), "absurd_count")
            hours = hours[~absurd]
        return _table(hours, self._names, self._city)


def _table(hours: pd.DataFrame, names: list[str], city: City) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    single = alone(hours["counter"].to_numpy(), hours["hour"].to_numpy(), city.zone)
    mark = np.where(single & (hours["mark"] == USABLE), CLOCK_CHANGE, hours["mark"])
    qualities = pa.array([*QUALITIES.values(), "clock_change"], pa.string())
    counter_ids = pa.array(names, pa.string())
    moment = pa.array(hours["hour"].to_numpy() * 1_000_000, pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "counter_id": counter_ids.take(pa.array(hours["counter"].to_numpy())),
            "counted_at": moment,
            "bike_count": pa.array(hours["value"].to_numpy().astype("int64")),
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


def _frame(work: _Work, **more: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"counter": work._counts.counter, "hour": work._when.hour, **more})


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
