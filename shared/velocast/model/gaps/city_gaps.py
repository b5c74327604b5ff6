"""The gaps of a city's counters and their estimates, as rows: the one definition of ingestion and command line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from velocast.core.datetimes import HOUR, local_date
from velocast.model.faults.day_grid import DayGrid, day_grid
from velocast.model.features.calendar_features import holiday_dates
from velocast.model.gaps.estimates import BASES, estimate_hours
from velocast.model.gaps.limits import DEFAULT, GapLimits

KEY = ["counter_id", "counted_at"]
COLUMNS = [*KEY, "estimated_count", "lower", "upper", "basis"]


def rebuild_gaps(
    hours: pd.DataFrame,
    zone: ZoneInfo,
    *,
    since: datetime,
    until: datetime,
    country: str | None,
    newest: datetime | None = None,
    limits: GapLimits = DEFAULT,
) -> pd.DataFrame:
    """Estimate the hours of [since, until) for which a counter has no usable count.

    hours: (n, any) with counter_id, counted_at (UTC), bike_count and optionally quality (None where usable), of one row
    a counter and hour, from well before `since` to well after `until` where known; rows after `until` are used. since:
    the start of an hour of the city's clock. A counter's hours before its first one in `hours` are no gap,
    nor are hours after the newest usable one of all counters, which are still to come. newest: that one, where `hours`
    are those of some counters only (whole `counter_blocks`).

    Returns COLUMNS (bikes per hour, lower and upper those of a 90 % interval), ordered by KEY. Hours of which too
    little is known are left out. Raises SettingsError for an unknown country.
    """
    usable = hours[hours["quality"].isna()] if "quality" in hours else hours
    if usable.empty:
        return pd.DataFrame(columns=COLUMNS)
    until = min(until, (newest or usable["counted_at"].max().to_pydatetime()) + HOUR)
    if since >= until:
        return pd.DataFrame(columns=COLUMNS)
    first = local_date(min(usable["counted_at"].min().to_pydatetime(), since), zone)
    last = local_date(max(usable["counted_at"].max().to_pydatetime(), until), zone)
    holidays = holiday_dates(country, first, last + timedelta(days=1))
    begun = hours.groupby("counter_id")["counted_at"].min()
    found = []
    for counters in counter_blocks(usable["counter_id"].unique(), limits):
        block = usable[usable["counter_id"].isin(counters)]
        gaps = _gaps(block[KEY], begun[counters], since=since, until=until)
        if len(gaps):
            found.append(_estimate(block, gaps, zone, holidays, limits))
    if not found:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(found, ignore_index=True).sort_values(KEY, ignore_index=True)


def counter_blocks(counter_ids: Iterable[str], limits: GapLimits = DEFAULT) -> list[list[str]]:
    """Return the counters that are compared with each other, neighbours in their ids together."""
    names = sorted(counter_ids)
    parts = max(1, round(len(names) / limits.block))
    return [list(part) for part in np.array_split(np.array(names, dtype=object), parts)]


def _gaps(
    counted: pd.DataFrame, begun: pd.Series[pd.Timestamp], *, since: datetime, until: datetime
) -> pd.DataFrame:
    """Return KEY of the hours in [since, until), from each counter's first one on, that are not in `counted`."""
    first, end = (moment.astimezone(UTC) for moment in (since, until))
    hours = pd.date_range(first, end, freq="h", inclusive="left").astype(
        counted["counted_at"].dtype
    )
    every = pd.MultiIndex.from_product([begun.index, hours], names=KEY)
    missing = every.difference(pd.MultiIndex.from_frame(counted)).to_frame(index=False)
    return missing[missing["counted_at"] >= missing["counter_id"].map(begun)].reset_index(drop=True)


def _estimate(
    block: pd.DataFrame,
    gaps: pd.DataFrame,
    zone: ZoneInfo,
    holidays: list[date],
    limits: GapLimits,
) -> pd.DataFrame:
    # Gaps are rows without a count, so that the grid reaches over them and says in which cell each lies.
    rows = pd.concat(
        [block[[*KEY, "bike_count"]], gaps.assign(bike_count=np.nan)], ignore_index=True
    )
    grid = day_grid(rows, zone, holidays=holidays)
    made = estimate_hours(_seen(grid, rows), _weekdays(grid), grid.day_types, limits)
    cells = grid.cells[len(block) :]
    values = {
        "estimated_count": made.mean,
        "lower": made.lower,
        "upper": made.upper,
    }
    estimated = gaps.assign(
        **{name: value.reshape(-1)[cells].round(2) for name, value in values.items()},
        basis=np.array(BASES, dtype=object)[made.basis.reshape(-1)[cells]],
    )
    return estimated[COLUMNS].dropna(subset="estimated_count")


def _seen(grid: DayGrid, rows: pd.DataFrame) -> NDArray[np.float32]:
    """Return the counts (C, D, 24); of the hour that the clock repeats, the first that was counted."""
    counts = np.full(grid.counts.shape, np.nan, dtype=np.float32)
    counted = rows["bike_count"].notna().to_numpy()
    counts.reshape(-1)[grid.cells[counted][::-1]] = rows["bike_count"].to_numpy()[counted][::-1]
    return counts


def _weekdays(grid: DayGrid) -> NDArray[np.int64]:
    return np.asarray((grid.first_day.weekday() + np.arange(len(grid.day_types))) % 7)
