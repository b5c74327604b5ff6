"""The faults of a whole city: the one definition of ingestion, backtest and command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from velocast.core.city import ListedSite
from velocast.core.datetimes import local_date
from velocast.model.faults.day_grid import GridLayer, with_known_hours
from velocast.model.faults.detector import find_faults
from velocast.model.faults.episodes import Episode, episodes_of
from velocast.model.faults.kinds import NAMES, QUALITY_OF
from velocast.model.faults.limits import DEFAULT, FaultLimits
from velocast.model.faults.sites import sites_of
from velocast.model.features.calendar_features import holiday_dates
from velocast.model.known_hours import KnownHours

BLOCK = 500  # counters judged together, at most: enough to know the city, and memory stays bounded
_QUALITIES = np.array([None, *(QUALITY_OF[name] for name in NAMES)], dtype=object)


@dataclass(frozen=True)
class JudgedCity:
    """quality: (n,) of the given hours, None or a quality of QUALITY_OF. episodes: of all counters.

    known: the hours among the given ones that events and closures of the city explain.
    """

    quality: NDArray[np.object_]
    episodes: list[Episode]
    known: list[KnownHours] = field(default_factory=list)


class JudgedBlock:
    """What was found of the counters of one block: their episodes, and the quality of their hours."""

    def __init__(self, layer: GridLayer, marks: NDArray[np.int8], episodes: list[Episode]) -> None:
        """marks: (C, D, 24) of the layer's grid."""
        self.episodes = episodes
        self._layer, self._marks = layer, marks

    def quality(self, hours: pd.DataFrame) -> NDArray[np.object_]:
        """Return the quality (n,) of hours that were judged, None or one of QUALITY_OF."""
        found: NDArray[np.object_] = _QUALITIES[self._marks.reshape(-1)[self._layer.cells(hours)]]
        return found


class CityJudge:
    """Judges the hours of one city, block after block; the blocks are those of `fault_blocks`."""

    def __init__(
        self,
        counters: pd.DataFrame,
        zone: ZoneInfo,
        *,
        holidays: Sequence[date] = (),
        known: Sequence[KnownHours] = (),
        sites: Sequence[ListedSite] = (),
        limits: FaultLimits = DEFAULT,
    ) -> None:
        """counters: of the whole city, as for `sites_of`. Other arguments as for `judge_city`."""
        self._sites = sites_of(counters, sites)
        self._zone, self._holidays, self._limits = zone, holidays, limits
        self._known = known

    def block(
        self,
        parts: Iterable[pd.DataFrame],
        counters: Sequence[str],
        first: datetime,
        last: datetime,
    ) -> JudgedBlock:
        """Judge a block, each day by what was known at its end.

        parts: hours as for `judge_city`, all those of a counter in one part. counters: the block's ids, ascending.
        first, last: the first and the last hour of the parts.
        """
        layer, dead = GridLayer(counters, first, last, self._zone), set[str]()
        for hours in parts:
            layer.add(hours)
            if "dead" in hours:
                dead.update(hours.loc[hours["dead"], "counter_id"].astype(str).unique())
        grid = layer.grid(holidays=self._holidays, sites=self._sites)
        ledger = find_faults(
            with_known_hours(grid, self._known, self._zone), self._limits, dead=dead
        )
        return JudgedBlock(layer, ledger.marks, episodes_of(ledger, self._zone))


def judge_city(
    hours: pd.DataFrame,
    counters: pd.DataFrame,
    zone: ZoneInfo,
    *,
    country: str | None,
    known: Sequence[KnownHours] = (),
    sites: Sequence[ListedSite] = (),
    limits: FaultLimits = DEFAULT,
) -> JudgedCity:
    """Judge the hours of a city, each day by what was known at its end.

    hours: as for `day_grid`, in any order; optionally dead (bool): the counter was dead before these hours. counters:
    as for `sites_of`. country: its calendar of holidays. known: hours that the city's events and closures explain.
    sites: those that the city's file lists. Raises SettingsError for an unknown calendar.
    """
    quality = np.full(len(hours), None, dtype=object)
    if hours.empty:
        return JudgedCity(quality, [])
    first, last = (
        at.to_pydatetime() for at in (hours["counted_at"].min(), hours["counted_at"].max())
    )
    codes, ids = pd.factorize(hours["counter_id"].astype("string"), sort=True)
    names = [str(name) for name in ids]
    known = known_within(known, names, first, last)
    judge = CityJudge(
        counters,
        zone,
        holidays=judged_holidays(country, first, last, zone),
        known=known,
        sites=sites,
        limits=limits,
    )
    episodes: list[Episode] = []
    start = 0
    for block in fault_blocks(names):
        rows = np.flatnonzero((codes >= start) & (codes < start + len(block)))
        start += len(block)
        part = hours.iloc[rows]
        at = part["counted_at"]
        judged = judge.block([part], block, at.min().to_pydatetime(), at.max().to_pydatetime())
        quality[rows] = judged.quality(part)
        episodes += judged.episodes
    return JudgedCity(quality, episodes, known)


def judged_holidays(
    country: str | None, first: datetime, last: datetime, zone: ZoneInfo
) -> list[date]:
    """Return the holidays of the days from the first to the last hour. Raises SettingsError for an unknown calendar."""
    since, until = local_date(first, zone), local_date(last, zone)
    return holiday_dates(country, since, until + timedelta(days=1))


def known_within(
    known: Sequence[KnownHours], counter_ids: Iterable[str], first: datetime, last: datetime
) -> list[KnownHours]:
    """Return the known hours of these counters, of the time from the first to the last hour."""
    there = set(counter_ids)
    return [
        each
        for each in known
        if each.counter_id in there
        and each.since <= last
        and (each.until is None or each.until > first)
    ]


def fault_blocks(counter_ids: Iterable[str]) -> list[list[str]]:
    """Return the counters that are judged together, neighbours in their ids; BLOCK at most."""
    names = sorted(counter_ids)
    parts = max(1, -(-len(names) // BLOCK))
    size = max(1, -(-len(names) // parts))
    return [names[first : first + size] for first in range(0, len(names), size)]
