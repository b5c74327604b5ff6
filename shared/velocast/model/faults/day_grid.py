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
    counters = sorted(map(str, hours["counter_id"].unique()))
    at = hours["counted_at"]
    layer = GridLayer(counters, at.min().to_pydatetime(), at.max().to_pydatetime(), zone)
    cells = layer.add(hours)
    return layer.grid(holidays=holidays, sites=sites, cells=cells)


class GridLayer:
    """Lays hours on the local days of one grid, part after part, so that not all rows need be in memory at once."""

    def __init__(
        self, counters: Sequence[str], first: datetime, last: datetime, zone: ZoneInfo
    ) -> None:
        """counters: ids, ascending. first, last: the counters' first and last hour, aware."""
        self.counters, self.zone = list(counters), zone
        self.first_day = first.astimezone(zone).date()
        days = (last.astimezone(zone).date() - self.first_day).days + 1
        shape = (len(self.counters), days, 24)
        self._counts = np.full(shape, np.nan, dtype=np.float32)
        self._published = np.zeros(shape, dtype=bool)
        self._accepted = np.zeros(shape, dtype=bool)

    def cells(self, hours: pd.DataFrame) -> NDArray[np.int64]:
        """Return the position (n,) of each row in the flattened grid. Raises ValueError for a row outside it."""
        return self._cells(hours, self._local(hours))

    def _cells(self, hours: pd.DataFrame, local: pd.Series[pd.Timestamp]) -> NDArray[np.int64]:
        day = (local.dt.normalize() - pd.Timestamp(self.first_day)).dt.days.to_numpy()
        codes, names = pd.factorize(hours["counter_id"])
        place = {name: number for number, name in enumerate(self.counters)}
        counter = np.array([place.get(str(name), -1) for name in names], dtype=np.int64)[codes]
        shape = self._counts.shape
        return np.asarray(np.ravel_multi_index((counter, day, local.dt.hour.to_numpy()), shape))

    def _local(self, hours: pd.DataFrame) -> pd.Series[pd.Timestamp]:
        local: pd.Series[pd.Timestamp] = hours["counted_at"].dt.tz_convert(self.zone)
        return local.dt.tz_localize(None)

    def add(self, hours: pd.DataFrame) -> NDArray[np.int64]:
        """Lay all hours of some counters, as for `day_grid`, and return their `cells`."""
        local = self._local(hours)
        cells = self._cells(hours, local)
        last_first = slice(None, None, -1)  # of several rows in one cell, the first stays
        order = np.argsort(local.to_numpy(), kind="stable")[last_first]
        counts = hours["bike_count"].to_numpy(dtype=np.float32)[order]
        self._counts.reshape(-1)[cells[order]] = counts
        self._published.reshape(-1)[cells[order]] = ~np.isnan(counts)
        if "quality" in hours:
            others = hours["quality"].isin(NOT_JUDGED).to_numpy()
            self._counts.reshape(-1)[cells[others]] = np.nan
        if "accepted" in hours:
            self._accepted.reshape(-1)[cells[hours["accepted"].to_numpy(dtype=bool)]] = True
        return cells

    def grid(
        self,
        *,
        holidays: Collection[date] = (),
        sites: Mapping[str, str | None] | None = None,
        cells: NDArray[np.int64] | None = None,
    ) -> DayGrid:
        """Return the hours that were laid. cells: those of its rows, where somebody needs them."""
        days, known = self._counts.shape[1], frozenset(holidays)
        types = [
            DAY_TYPES.index(day_type(self.first_day + timedelta(days=n), known))
            for n in range(days)
        ]
        return DayGrid(
            counters=self.counters,
            first_day=self.first_day,
            counts=self._counts,
            published=self._published,
            accepted=self._accepted,
            day_types=np.array(types, dtype=np.int8),
            pairs=_pairs(self.counters, sites or {}),
            cells=np.zeros(0, dtype=np.int64) if cells is None else cells,
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
        if len(members) <= 8  # more than that are not directions of one place
        for n, a in enumerate(members)
        for b in members[n + 1 :]
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def with_known_hours(grid: DayGrid, known: Sequence[KnownHours], zone: ZoneInfo) -> DayGrid:
    """Return a grid in which closed hours are neither judged nor taken as missing, and hours of events are accepted."""
    if not known:
        return grid
    counts, published, accepted = grid.counts.copy(), grid.published.copy(), grid.accepted.copy()
    for counter, cells, hours in _cells(grid, known, zone):
        if hours.kind == "event":
            accepted[counter].reshape(-1)[cells] = True
        else:
            counts[counter].reshape(-1)[cells] = np.nan
            # closed hours need not be sent; before its first hour a counter did not exist
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
