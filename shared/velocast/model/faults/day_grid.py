"""Hours of counters as arrays of local days: (counters, days, 24 hours of the city's clock)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from velocast.model.features.calendar_features import DayType, day_type
from velocast.model.known_hours import KnownHours

NOT_JUDGED = (
    "refused",
    "flagged",
    "incomplete",
    "clock_change",
    "closed",
)  # qualities that others give
DAY_TYPES: tuple[DayType, ...] = ("working", "saturday", "rest")


@dataclass(frozen=True)
class DayGrid:
    """Counts (C, D, 24), bikes per hour; NaN where nothing was published or where somebody else judged the hour.

    published: whether the city sent the hour. accepted: whether a person accepted it. day_types: (D,), positions in
    DAY_TYPES. pairs: (P, 2), positions of the counters of one site. Of the hour that the clock repeats in autumn, the
    first count stays. cells: of each row that was given, its position in the flattened grid.
    """

    counters: Sequence[str]
    first_day: date
    counts: NDArray[np.float32]
    published: NDArray[np.bool_]
    accepted: NDArray[np.bool_]
    day_types: NDArray[np.int8]
    pairs: NDArray[np.int64]
    cells: NDArray[np.int64] = field(repr=False)

    def day(self, position: int) -> date:
        """Return the local date of a position on the days' axis."""
        return self.first_day + timedelta(days=position)


def day_grid(
    hours: pd.DataFrame,
    zone: ZoneInfo,
    *,
    holidays: Collection[date] = (),
    sites: Mapping[str, str | None] | None = None,
) -> DayGrid:
    """Lay hours on local days.

    hours: (n, any) with counter_id, counted_at (aware), bike_count >= 0, and optionally quality (None, or why others do
    not use the hour) and accepted (by a person). sites: of counter_ids; counters of one site are its directions.
    Raises ValueError without a row.
    """
    if hours.empty:
        raise ValueError("no hour to lay on days")
    local = hours["counted_at"].dt.tz_convert(zone).dt.tz_localize(None)
    days = local.dt.normalize()
    first = days.min()
    day = (days - first).dt.days.to_numpy()
    names = hours["counter_id"].astype("string").to_numpy(dtype=object)
    counter, counters = pd.factorize(names, sort=True)
    shape = (len(counters), int(day.max()) + 1, 24)
    cells = np.ravel_multi_index((counter, day, local.dt.hour.to_numpy()), shape)
    last_first = slice(None, None, -1)  # of several rows in one cell, the first stays
    order = np.argsort(local.to_numpy(), kind="stable")[last_first]
    counts = np.full(shape, np.nan, dtype=np.float32)
    counts.reshape(-1)[cells[order]] = hours["bike_count"].to_numpy(dtype=np.float32)[order]
    published = ~np.isnan(counts)
    if "quality" in hours:
        others = hours["quality"].isin(NOT_JUDGED).to_numpy()
        counts.reshape(-1)[cells[others]] = np.nan
    accepted = np.zeros(shape, dtype=bool)
    if "accepted" in hours:
        accepted.reshape(-1)[cells[hours["accepted"].to_numpy(dtype=bool)]] = True
    start = first.date()
    known = frozenset(holidays)
    types = [DAY_TYPES.index(day_type(start + timedelta(days=n), known)) for n in range(shape[1])]
    return DayGrid(
        counters=[str(name) for name in counters],
        first_day=start,
        counts=counts,
        published=published,
        accepted=accepted,
        day_types=np.array(types, dtype=np.int8),
        pairs=_pairs([str(name) for name in counters], sites or {}),
        cells=cells,
    )


def _pairs(counters: list[str], sites: Mapping[str, str | None]) -> NDArray[np.int64]:
    by_site: dict[str, list[int]] = {}
    for position, counter in enumerate(counters):
        site = sites.get(counter)
        if site:
            by_site.setdefault(site, []).append(position)
    found = [
        (a, b)
        for members in by_site.values()
        if len(members) <= 8  # more are no directions of one place
        for n, a in enumerate(members)
        for b in members[n + 1 :]
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def with_known_hours(grid: DayGrid, known: Sequence[KnownHours], zone: ZoneInfo) -> DayGrid:
    """Return a grid in which closed hours are not judged nor missed, and hours of events are accepted."""
    if not known:
        return grid
    counts, published, accepted = grid.counts.copy(), grid.published.copy(), grid.accepted.copy()
    for counter, cells, hours in _cells(grid, known, zone):
        if hours.kind == "event":
            accepted[counter].reshape(-1)[cells] = True
        else:
            counts[counter].reshape(-1)[cells] = np.nan
            # what is closed need not be sent; before its first hour a counter was not there
            first = int(grid.published[counter].reshape(-1).argmax())
            published[counter].reshape(-1)[max(cells.start, first) : cells.stop] = True
    return replace(grid, counts=counts, published=published, accepted=accepted)


def _cells(
    grid: DayGrid, known: Sequence[KnownHours], zone: ZoneInfo
) -> Iterator[tuple[int, slice, KnownHours]]:
    """Give the position of each counter and its hours of the grid."""
    position = {name: number for number, name in enumerate(grid.counters)}
    end = grid.counts.shape[1] * 24
    for hours in known:
        start = max(_cell(grid, hours.since, zone), 0)
        # an hour that is closed in part is closed
        stop = end if hours.until is None else _cell(grid, hours.until - _MOMENT, zone) + 1
        if hours.counter_id in position and start < min(stop, end):
            yield position[hours.counter_id], slice(start, min(stop, end)), hours


_MOMENT = timedelta(microseconds=1)


def _cell(grid: DayGrid, at: datetime, zone: ZoneInfo) -> int:
    """Return the hour of the clock in which a moment is, numbered from the grid's first hour."""
    local = at.astimezone(zone)
    return (local.date() - grid.first_day).days * 24 + local.hour
