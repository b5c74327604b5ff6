"""The faults of a whole city: the one definition of ingestion, backtest and command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from velocast.core.city import ListedSite
from velocast.core.datetimes import local_date
from velocast.model.faults.day_grid import day_grid, with_known_hours
from velocast.model.faults.detector import find_faults
from velocast.model.faults.episodes import Episode, episodes_of
from velocast.model.faults.kinds import NAMES, QUALITY_OF
from velocast.model.faults.limits import DEFAULT, FaultLimits
from velocast.model.faults.sites import sites_of
from velocast.model.features.calendar_features import holiday_dates
from velocast.model.known_hours import KnownHours

BLOCK = 500  # counters judged together: enough to know the city, and memory stays bounded
_QUALITIES = np.array([None, *(QUALITY_OF[name] for name in NAMES)], dtype=object)


@dataclass(frozen=True)
class JudgedCity:
    """quality: (n,) of the given hours, None or a quality of QUALITY_OF. episodes: of all counters.

    known: the hours among the given ones that events and closures of the city explain.
    """

    quality: NDArray[np.object_]
    episodes: list[Episode]
    known: list[KnownHours] = field(default_factory=list)


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
        local_date(at.to_pydatetime(), zone)
        for at in (hours["counted_at"].min(), hours["counted_at"].max())
    )
    holidays = holiday_dates(country, first, last + timedelta(days=1))
    shared = sites_of(counters, sites)
    known = _within(known, hours)
    episodes: list[Episode] = []
    for rows in _blocks(hours["counter_id"]):
        block = hours.iloc[rows]
        grid = with_known_hours(day_grid(block, zone, holidays=holidays, sites=shared), known, zone)
        dead = set(block.loc[block["dead"], "counter_id"].astype(str)) if "dead" in block else set()
        ledger = find_faults(grid, limits, dead=dead)
        quality[rows] = _QUALITIES[ledger.marks.reshape(-1)[grid.cells]]
        episodes += episodes_of(ledger, zone)
    return JudgedCity(quality, episodes, known)


def _within(known: Sequence[KnownHours], hours: pd.DataFrame) -> list[KnownHours]:
    """Return the known hours that are of the counters and of the time of the given hours."""
    first, last = hours["counted_at"].min(), hours["counted_at"].max()
    there = set(hours["counter_id"].astype(str))
    return [
        each
        for each in known
        if each.counter_id in there
        and each.since <= last
        and (each.until is None or each.until > first)
    ]


def _blocks(counter_ids: pd.Series[str]) -> Iterator[NDArray[np.int64]]:
    """Give the rows of blocks of counters, neighbours in their ids together."""
    codes, names = pd.factorize(counter_ids.astype("string").to_numpy(dtype=object), sort=True)
    parts = max(1, round(len(names) / BLOCK))
    size = -(-len(names) // parts)
    for first in range(0, len(names), size):
        yield np.flatnonzero((codes >= first) & (codes < first + size))
