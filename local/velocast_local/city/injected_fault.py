"""The fault of the demo: one counter of the published counts dies on the fifth day and counts again five days later.

Only what the city publishes is changed. The system is not told: it has to find the fault like a real one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd

from velocast.core.datetimes import HOUR, start_of_local_day

FAULT_DAY = 5  # day of the demo, from 1
DEAD_DAYS = 5
AT = 9 * HOUR  # a counter does not fail at midnight
# A day is published on the next one, and the end of a fault is known when a whole day counts.
LEAST_DAYS = FAULT_DAY + DEAD_DAYS + 2
USUAL_DAYS = 28
COMPLETE = 0.95


@dataclass(frozen=True)
class InjectedFault:
    """A counter that sends zeros in [since, until), aware, in the city's time zone.

    bikes: what it would have counted in these hours; only the demo knows it.
    """

    counter_id: str
    counter_name: str
    since: datetime
    until: datetime
    bikes: int


def inject_fault(
    rows: pd.DataFrame, *, first_day: date, zone: ZoneInfo
) -> tuple[pd.DataFrame, InjectedFault]:
    """Return the published counts with the fault, and the fault.

    rows: id_compteur, nom_compteur, date (aware) and sum_counts; they are not changed. first_day: of the demo. Raises
    ValueError when no counter counts before, during and after the fault.
    """
    day = first_day + timedelta(days=FAULT_DAY - 1)
    since = (start_of_local_day(day, zone) + AT).astimezone(zone)
    until = (start_of_local_day(day + timedelta(days=DEAD_DAYS), zone) + AT).astimezone(zone)
    counter = _choose_counter(rows, since, until)
    own = rows["id_compteur"] == counter
    dead = own & (rows["date"] >= since) & (rows["date"] < until) & rows["sum_counts"].notna()
    name = rows.loc[own, "nom_compteur"].iloc[-1]
    bikes = int(rows.loc[dead, "sum_counts"].sum())
    fault = InjectedFault(counter, counter if pd.isna(name) else str(name), since, until, bikes)
    return rows.assign(sum_counts=rows["sum_counts"].mask(dead, 0)), fault


def inject_into_file(published: Path, *, first_day: date, zone: ZoneInfo) -> InjectedFault:
    """Inject the fault into the Parquet file of the counts that the city will publish. Raises as `inject_fault`."""
    rows, fault = inject_fault(pd.read_parquet(published), first_day=first_day, zone=zone)
    rows.to_parquet(published, index=False)
    return fault


def _choose_counter(rows: pd.DataFrame, since: datetime, until: datetime) -> str:
    """Return the counter in the middle by bikes of those that hardly miss an hour around the fault."""
    around = rows[
        (rows["date"] >= since - timedelta(days=USUAL_DAYS))
        & (rows["date"] < until + timedelta(days=1))
    ]
    by_counter = around.groupby("id_compteur")["sum_counts"]
    counted = by_counter.agg(lambda bikes: int((bikes > 0).sum()))
    hours = by_counter.count()
    working = hours[(hours >= COMPLETE * around["date"].nunique()) & (counted >= hours / 2)].index
    if working.empty:
        raise ValueError("no counter counts around the fifth day, so no fault can be injected")
    ranked = by_counter.sum().loc[working].sort_values(kind="stable").index
    return str(ranked[len(ranked) // 2])
