"""The minutes of one record, and whether its time is that of its start or its end."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

DAY = 1440


@dataclass(frozen=True)
class Step:
    """minutes of one record; sure: seen, not assumed. marks_end: stamps run from a day's first step to midnight."""

    minutes: int
    sure: bool
    marks_end: bool = False


def find_step(counts: pd.DataFrame) -> Step:
    """Return the step. counts: counter_id, at (naive), bike_count, file."""
    stamped = counts.dropna(subset=["at"]).drop_duplicates(["file", "counter_id", "at"])
    ordered = stamped.sort_values(["file", "counter_id", "at"])
    same = (ordered["file"] == ordered["file"].shift()) & (
        ordered["counter_id"] == ordered["counter_id"].shift()
    )
    steps = (ordered["at"].diff()[same].dt.total_seconds() / 60).round().astype("int64")
    common = steps.value_counts()
    if common.empty:
        return Step(_by_minutes(stamped["at"]), sure=False)
    minutes = int(common.index[0])
    if minutes >= DAY and (stamped["at"].dt.hour.nunique() == 1):
        return Step(minutes, sure=bool(common.iloc[0] >= 3))
    if minutes >= 60:
        minutes, sure = (60, bool(common.iloc[0] >= 3 and int(common.index[0]) == 60))
        return Step(minutes, sure, _marks_end(stamped, minutes))
    return Step(minutes, bool(common.iloc[0] >= 3), _marks_end(stamped, minutes))


def daily_counters(counts: pd.DataFrame) -> list[str]:
    """Return the counters that have one row a day where others have more."""
    stamped = counts.dropna(subset=["at", "bike_count"])
    days = stamped["at"].dt.normalize()
    a_day = stamped.groupby([stamped["counter_id"], days]).size().groupby("counter_id")
    few = a_day.median() <= 1
    span = a_day.size() >= 3
    hours = stamped.groupby("counter_id")["at"].agg(lambda at: at.dt.hour.nunique()) == 1
    found = few & span & hours.reindex(few.index)
    return [] if found.all() else [str(c) for c in found[found].index]


def _by_minutes(at: pd.Series) -> int:
    past = at.dt.minute
    return next((m for m in (60, 30, 15, 5) if (past % m == 0).all()), 60)


def _marks_end(stamped: pd.DataFrame, minutes: int) -> bool:
    """Return whether every file begins one step after midnight and ends at midnight, days later."""
    spans = stamped.groupby("file")["at"].agg(["min", "max"])
    step = pd.Timedelta(minutes=minutes)
    begins = (spans["min"] - spans["min"].dt.normalize()) == step
    ends = spans["max"] == spans["max"].dt.normalize()
    long = (spans["max"] - spans["min"]) >= pd.Timedelta(hours=23)
    return bool(len(spans)) and bool((begins & ends & long).all())
