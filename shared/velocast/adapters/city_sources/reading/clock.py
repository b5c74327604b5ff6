"""From a city's times to UTC: what they mean, what clock changes do to them, and the hours that they are in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from velocast.adapters.city_sources.reading.gathering import Gathered, Observations, RowOrder
from velocast.core.city import City

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

HOUR_SECONDS = 3600


@dataclass(frozen=True)
class Moments:
    """When intervals began that were counted, by the codes of their times.

    start: seconds since 1970 (UTC). hour: those of the start of the hour of the city's clock that it is in. local: the
    start by that clock, in seconds as if it were UTC. skipped: the clock never showed this time. repeated: it showed it
    twice, and nothing tells which of the two is meant.
    """

    start: npt.NDArray[np.int64]
    hour: npt.NDArray[np.int64]
    local: npt.NDArray[np.int64]
    skipped: npt.NDArray[np.bool_]
    repeated: npt.NDArray[np.bool_]


def moments(gathered: Gathered, counts: Observations, city: City) -> Moments:
    """Return when counts were counted.

    The second of two equal times, where their order tells it, gets a code of its own: `counts.time` is changed for it.
    """
    import numpy as np

    times = np.fromiter(gathered.times, "int64", len(gathered.times))
    clock, before = city.counts.clock, 0
    if city.counts.layout.time.marks == "end":
        before = city.counts.step_minutes * 60
    if clock.times != "local":
        nothing = np.zeros(len(times), dtype=bool)
        return _in_hours(times - before, nothing, nothing, city)
    first, second, skipped = _both_readings(times, before, city)
    if clock.repeated_hour != "twice":
        return _in_hours(first, skipped, first != second, city)
    orders = gathered.orders
    if before and _ends_are_instants(times, first != second, orders, city):
        first, skipped = _to_utc(times, city, before=True)
        second, _ = _to_utc(times, city, before=False)
        first, second = first - before, second - before
    twice = first != second
    again = twice[counts.time] & np.isin(counts.row, _second_rows(orders, times[twice]))
    counts.time[again] += len(times)
    nothing = np.zeros(2 * len(times), dtype=bool)
    return _in_hours(np.append(first, second), np.append(skipped, skipped), nothing, city)


def _both_readings(
    times: npt.NDArray[np.int64], until_start: int, city: City
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the start of the interval of each local time if clocks were not yet, and if they were already set back.

    until_start: seconds from a time to its interval's start before it. Also returned: whether there was no such time.
    """
    import numpy as np

    first, gone = _to_utc(times - until_start, city, before=True)
    second, _ = _to_utc(times - until_start, city, before=False)
    if until_start and gone.any():
        # the interval that ends when clocks have been set forward began before, an hour earlier by the clock
        end, no_end = _to_utc(times, city, before=True)
        ends_then = gone & ~no_end
        first = np.where(ends_then, end - until_start, first)
        second = np.where(ends_then, first, second)
        gone &= ~ends_then
    return first, second, gone


def _ends_are_instants(
    times: npt.NDArray[np.int64],
    ambiguous: npt.NDArray[np.bool_],
    orders: list[RowOrder],
    city: City,
) -> bool:
    """Return whether times of ends are those that the clock showed then, not the start's time plus the step.

    Where clocks go from 03:00 back to 02:00, the hour that then ends is marked 02:00 in the first case, so that this
    time occurs twice, and 03:00 in the second. ambiguous: which of `times` are ambiguous in the second case.
    """
    shown_twice = _to_utc(times, city, before=True)[0] != _to_utc(times, city, before=False)[0]
    return len(_second_rows(orders, times[shown_twice & ~ambiguous])) > 0


def _to_utc(
    local: npt.NDArray[np.int64], city: City, *, before: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return local times in UTC, and whether the clock skipped them. before: which of two equal times is meant."""
    import numpy as np

    index = _index(local).tz_localize(
        city.zone, ambiguous=np.full(len(local), before), nonexistent="NaT"
    )
    gone = np.asarray(index.isna())
    found = index.tz_convert("UTC").tz_localize(None).as_unit("s").asi8
    return np.where(gone, local, found), gone


def _in_hours(
    start: npt.NDArray[np.int64],
    skipped: npt.NDArray[np.bool_],
    repeated: npt.NDArray[np.bool_],
    city: City,
) -> Moments:
    shown = _index(start).tz_localize("UTC").tz_convert(city.zone).tz_localize(None)
    local = shown.as_unit("s").asi8
    # the clock's own minutes, for in Adelaide an hour begins at half past in UTC (`core.datetimes.start_of_hour`)
    return Moments(start, start - local % HOUR_SECONDS, local, skipped, repeated)


def _second_rows(orders: list[RowOrder], ambiguous: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the numbers of the rows that are the second of two with the same time, by the order of the time.

    A file that begins with its newest row has the second of the two first.
    """
    import numpy as np
    import pandas as pd

    if not len(ambiguous):
        return np.empty(0, "int64")
    order = pd.DataFrame(
        {
            name: np.concatenate([getattr(each, name) for each in orders])
            for name in ("place", "series", "seconds", "row")
        }
    )
    keys = ["place", "series"]
    ends = order.groupby(keys)["seconds"].agg(["first", "last"])
    backwards = (ends["first"] > ends["last"]).rename("backwards")
    twice = order[order["seconds"].isin(ambiguous)].join(backwards, on=keys)
    same = twice.groupby([*keys, "seconds"])["row"]
    number = same.cumcount()
    number = number.where(~twice["backwards"], same.transform("size") - 1 - number)
    second: npt.NDArray[np.int64] = twice.loc[number == 1, "row"].to_numpy()
    return second


def _index(seconds: npt.NDArray[np.int64]) -> pd.DatetimeIndex:
    import pandas as pd

    return pd.DatetimeIndex(seconds.astype("datetime64[s]"))
