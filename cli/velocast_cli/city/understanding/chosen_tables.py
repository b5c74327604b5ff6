"""Choose the tables that are understood: those with the time in the same columns, and not of whole days."""

from __future__ import annotations

import pandas as pd

from velocast_cli.city.understanding.clocks.times import TimeColumns, find_time
from velocast_cli.city.understanding.columns import Sample
from velocast_cli.city.understanding.layouts import day_rows
from velocast_cli.city.understanding.understood import NotUnderstood

MOST_ROWS = 400_000
DAILY = "its counts are daily totals"


def tables_with_time(
    texts: list[tuple[str, pd.DataFrame]], aside: dict[str, str]
) -> list[tuple[str, pd.DataFrame]]:
    """Return the tables that have the time in the columns in which most rows have it, and are not of days."""
    groups: dict[tuple[str, ...], list[tuple[str, pd.DataFrame]]] = {}
    daily = []
    for place, frame in texts:
        time = find_time(frame) if len(frame) else None
        if time is None:
            aside[place] = "no column has dates" if len(frame) else "it has no rows"
        elif is_daily(frame, time):
            daily.append((place, frame))
            aside[place] = DAILY
        else:
            key = (*time.columns, time.gap_column or "", str(time.formats.has_offset))
            groups.setdefault(key, []).append((place, frame))
    if not groups and daily:
        raise NotUnderstood(
            f"{daily[0][0]}: {DAILY}; daily totals cannot be forecast hour by hour, so ask the city "
            "for hourly counts"
        )
    if not groups:
        places = ", ".join(f"{p} ({reason})" for p, reason in list(aside.items())[:3])
        raise NotUnderstood(f"no time is found: {places or 'there are no rows'}")
    best = max(groups, key=lambda k: sum(len(f) for _, f in groups[k]))
    for key, members in groups.items():
        if key != best:
            aside |= {
                place: f"its time is in other columns ({', '.join(k for k in key[:-1] if k)})"
                for place, _ in members
            }
    return groups[best]


def is_daily(frame: pd.DataFrame, time: TimeColumns | None) -> bool:
    """Return whether a table of texts has one row a counter and day, and no hours as columns."""
    if time is None:
        return False
    if time.dated_only:
        return day_rows.find_hours(list(frame.columns)) is None
    if time.gap_column:
        return False
    at = time.read(frame, None).dropna()
    one_a_day = at.dt.hour.nunique() == 1 and at.dt.minute.nunique() == 1 and at.nunique() > 3
    return bool(one_a_day) or _interval_is_a_day(frame, time)


def joined_sample(chosen: list[tuple[str, pd.DataFrame]]) -> Sample:
    """Return the rows of all tables; of many rows, the first and the last."""
    frame = pd.concat([f for _, f in chosen], ignore_index=True)
    frame = frame.astype(object).where(frame.notna(), None)
    files = pd.Series([place for place, f in chosen for _ in range(len(f))], dtype=object)
    if len(frame) > MOST_ROWS:  # the beginning and the end show what there is
        rows = [*range(MOST_ROWS // 2), *range(len(frame) - MOST_ROWS // 2, len(frame))]
        frame, files = (
            frame.iloc[rows].reset_index(drop=True),
            files.iloc[rows].reset_index(drop=True),
        )
    return Sample(frame, files)


def _interval_is_a_day(frame: pd.DataFrame, time: TimeColumns) -> bool:
    """Return whether the end that is given beside each start is a day later."""
    if not time.end_column or len(time.columns) != 2:
        return False
    pairs = frame[[time.columns[1], time.end_column]].dropna().drop_duplicates()
    return (
        len(pairs) == 1
        and str(pairs.iloc[0, 0])[:5] == "00:00"
        and str(pairs.iloc[0, 1])[:5] in ("23:59", "24:00", "00:00")
    )
