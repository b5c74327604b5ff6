"""The hours that a city's clock repeats when it is set back, and counts that do not tell the two apart.

One definition for what is read (`adapters/city_sources/reading`) and what is stored (`sql/mark_clock_change.sql`): a
counter that has exactly one of the two hours counted both of them in it, or left one out. Its count is marked
`clock_change`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from velocast.core.datetimes import HOUR, start_of_hour

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DAY = timedelta(days=1)


def repeated_hours(zone: ZoneInfo, since: datetime, until: datetime) -> list[datetime]:
    """Return each hour (UTC) whose local time is repeated by the next hour, when summer time ends."""
    found = []
    day = start_of_hour(since, zone)
    while day < until:
        if day.astimezone(zone).utcoffset() != (day + DAY).astimezone(zone).utcoffset():
            hours = (day + n * HOUR for n in range(24))
            found += [h for h in hours if _local(h, zone) == _local(h + HOUR, zone)]
        day += DAY
    return found


def alone(
    counters: npt.NDArray[np.int32], hours: npt.NDArray[np.int64], zone: ZoneInfo
) -> npt.NDArray[np.bool_]:
    """Return which hours are the only one of two repeated hours that their counter has.

    counters: of each hour, as a number; hours: seconds since 1970 (UTC), none twice for a counter.
    """
    import numpy as np

    found = np.zeros(len(hours), dtype=bool)
    if not len(hours):
        return found
    since = datetime.fromtimestamp(int(hours.min()), UTC)
    until = datetime.fromtimestamp(int(hours.max()), UTC) + HOUR
    for first in repeated_hours(zone, since - DAY, until):
        start = int(first.timestamp())
        pair = np.flatnonzero((hours >= start) & (hours < start + 7200))
        _, position, size = np.unique(counters[pair], return_inverse=True, return_counts=True)
        found[pair[size[position] == 1]] = True
    return found


def _local(hour: datetime, zone: ZoneInfo) -> datetime:
    return hour.astimezone(zone).replace(tzinfo=None)
