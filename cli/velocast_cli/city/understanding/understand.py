"""Put together what is understood of a city's tables, as far as it depends neither on the zone nor on a person."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pandas as pd

from velocast_cli.city.understanding.cells import as_texts
from velocast_cli.city.understanding.clocks import steps
from velocast_cli.city.understanding.clocks.clock_changes import SeenClock, see_clock
from velocast_cli.city.understanding.clocks.times import TimeColumns, find_time
from velocast_cli.city.understanding.columns import ColumnRoles, Sample, find_roles
from velocast_cli.city.understanding.layouts import day_rows, long, wide
from velocast_cli.city.understanding.statuses import status_values

if TYPE_CHECKING:
    from velocast.adapters.city_sources.transport import RawTable

MOST_ROWS = 400_000
DAILY = "its counts are daily totals"


class NotUnderstood(ValueError):
    """The tables hold no hourly counts, or none that can be read; the message says why."""


@dataclass
class Understood:
    """What the tables say of themselves.

    layout: values for the city's file, without `time`; counts_in: given an order of day and month, (n, 4) counter_id,
    at (naive), bike_count, file. aside: table -> why it is left out.
    """

    sample: Sample
    time: TimeColumns
    roles: ColumnRoles
    shape: str
    layout: dict[str, Any]
    counts_in: Callable[[str | None], pd.DataFrame]
    step: steps.Step
    ignored: dict[str, str]
    parts: dict[str, list[str]]
    status_rest: list[str]
    aside: dict[str, str] = field(default_factory=dict)
    _seen: dict[tuple[str, str | None], SeenClock] = field(default_factory=dict)

    @property
    def times(self) -> str:
        """Whether times have offsets, are said to be UTC, or are those of a clock."""
        if self.time.formats.has_offset:
            return "offset"
        return "utc" if self.time.named_utc else "local"

    def clock(self, zone: ZoneInfo, order: str | None) -> SeenClock:
        """Return what is seen at the changes of the city's clock."""
        if self.times != "local":
            return SeenClock()
        key = (zone.key, order)
        if key not in self._seen:
            self._seen[key] = see_clock(self.counts_in(order), zone)
        return self._seen[key]


def understand(tables: Iterable[RawTable]) -> Understood:
    """Look at tables of counts. Raises NotUnderstood, with the reason, where none has counts of an hour or less."""
    pieces: dict[str, list[pd.DataFrame]] = {}
    for each in tables:
        pieces.setdefault(each.place, []).append(as_texts(each.rows))
    texts = [(place, pd.concat(frames, ignore_index=True)) for place, frames in pieces.items()]
    aside: dict[str, str] = {}
    chosen = _with_time(texts, aside)
    made = _understand(_joined(chosen))
    made.aside = aside
    return made


def _with_time(
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


def _joined(chosen: list[tuple[str, pd.DataFrame]]) -> Sample:
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


def _understand(sample: Sample) -> Understood:
    time = find_time(sample.frame)
    if time is None:
        raise NotUnderstood("no column has dates")
    roles = find_roles(sample, time)
    if time.dated_only:
        made = _understand_days(sample, roles)
    elif _is_long(sample, roles):
        made = _understand_long(sample, roles)
    else:
        made = _understand_wide(sample, roles)
    if made.step.minutes >= steps.DAY:
        raise NotUnderstood(DAILY)
    _set_status(made)
    return made


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


def _is_long(sample: Sample, roles: ColumnRoles) -> bool:
    """Return whether a row is of one counter: a column names it, or no heading of a count names a place."""
    at = roles.time.read(sample.frame, None)
    counter = long.find_counter_id(sample, roles, at)
    named = [n for n in roles.texts if n != counter]
    if counter:
        rows_a_time = len(at) / max(1, at.nunique())
        several = sample.frame[counter].nunique() > 1
        if several and rows_a_time > 1.2:
            return True
        if long.id_score(counter) >= 2 or named or several:
            return len([n for n in roles.counts if n != counter]) <= 12
    return _only_generic(roles.counts)


def _only_generic(names: list[str]) -> bool:
    """Return whether headings of counts say only that they are counts, with a direction or a mode at most."""
    from velocast_cli.city.understanding import words

    said = words.COUNTS | words.DIRECTIONS | words.OTHER_MODES | words.CORRECTED
    return bool(names) and all(words.only(n, said) for n in names)


def _understand_days(sample: Sample, roles: ColumnRoles) -> Understood:
    found = day_rows.find_hours([n for n in sample.frame.columns if n not in roles.time.columns])
    if found is None:
        raise NotUnderstood(DAILY)
    pattern, hours, first = found
    for name in hours:
        roles.others.pop(name, None)
    roles.counts = [n for n in roles.counts if n not in hours]
    roles.texts = [n for n in roles.texts if n not in hours]
    roles.status = [n for n in roles.status if n not in hours]
    day = roles.time.read(sample.frame, None)
    counter = long.find_counter_id(sample, roles, day)
    columns = long.find_columns(sample, roles, counter, day)
    columns.ignored |= dict.fromkeys(columns.values, "a sum of hours")
    from_path, constant = _id_elsewhere(sample, counter)
    layout: dict[str, Any] = {
        "shape": "hours_as_columns",
        "counter": long.counter_fields(columns, roles, from_path, constant),
        "hours": pattern,
    }
    if first:
        layout["first_hour"] = first
    if columns.add:
        layout["same_time"] = "add"
    if columns.keep:
        layout["keep"] = [{"column": c, "only": v} for c, v in columns.keep.items()]

    def counts(order: str | None) -> pd.DataFrame:
        ids = sample.frame[counter] if counter else sample.files
        return day_rows.day_counts(sample, ids, roles.time.read(sample.frame, order), hours, first)

    return Understood(
        sample,
        roles.time,
        roles,
        "hours_as_columns",
        layout,
        counts,
        steps.Step(60, True),
        columns.ignored,
        {},
        [],
    )


def _understand_long(sample: Sample, roles: ColumnRoles) -> Understood:
    at = roles.time.read(sample.frame, None)
    counter = long.find_counter_id(sample, roles, at)
    columns = long.find_columns(sample, roles, counter, at)
    if not columns.values:
        raise NotUnderstood(
            f"no column has counts of bicycles; there are {', '.join(map(repr, sample.frame.columns))}"
        )
    from_path, constant = _id_elsewhere(sample, counter)

    def counts(order: str | None) -> pd.DataFrame:
        return long.long_counts(sample, columns, roles.time.read(sample.frame, order))

    if counter and (daily := steps.daily_counters(counts(None))):
        hourly = [c for c in sample.frame[counter].dropna().unique() if c not in daily]
        columns.keep[counter] = sorted(hourly)
    layout = long.long_layout(columns, roles, from_path, constant)

    return Understood(
        sample,
        roles.time,
        roles,
        "long",
        layout,
        counts,
        steps.find_step(counts(None)),
        columns.ignored,
        columns.parts,
        [],
    )


def _understand_wide(sample: Sample, roles: ColumnRoles) -> Understood:
    found = wide.find_counters(sample, roles)
    if not found.counters:
        raise NotUnderstood(
            f"no column has counts of bicycles; there are {', '.join(map(repr, sample.frame.columns))}"
        )

    def counts(order: str | None) -> pd.DataFrame:
        return wide.wide_counts(sample, found, roles.time.read(sample.frame, order))

    if daily := steps.daily_counters(counts(None)):
        wide.leave_out(found, daily, "daily totals")
    layout = wide.wide_layout(found)
    if found.status:
        layout["status"] = {"column": found.status}

    return Understood(
        sample,
        roles.time,
        roles,
        "wide",
        layout,
        counts,
        steps.find_step(counts(None)),
        found.ignored,
        found.parts,
        [],
    )


def _set_status(made: Understood) -> None:
    """Say which values of the status columns are good."""
    if made.shape == "wide":
        status = made.layout.get("status")
        named = [n for n in made.roles.status if status and re.search(status["column"], n)]
    else:
        named = made.roles.status[:1]
        made.ignored |= dict.fromkeys(made.roles.status[1:], "a further status")
        if named:
            made.layout["status"] = {"column": named[0]}
    if named:
        values, made.status_rest = status_values(made.sample.frame[n] for n in named)
        made.layout["status"] |= values


def _id_elsewhere(sample: Sample, counter: str | None) -> tuple[str | None, str | None]:
    """Return a pattern that reads the counter's id from a file's path, or the id of the only counter."""
    if counter:
        return None, None
    paths = [str(p) for p in sample.files.unique()]
    stems = [PurePosixPath(p.split("#")[0]).name for p in paths]
    if len(paths) == 1:
        return None, re.sub(
            r"\.(csv|json|jsonl|parquet|xlsx|txt|zip|gz|tsv|ndjson)\b", "", stems[0]
        ) or "counter"
    dated = r"[-_ .]?(?:19|20)\d{2}(?:[-_.]?(?:0[1-9]|1[0-2]))?(?:[-_.]?[0-3]\d)?"
    for pattern in (rf"(?P<id>[^/]+?){dated}\.[^/]*$", r"(?P<id>[^/]+?)\.[^/]*$"):
        if all(found := [re.search(pattern, p) for p in paths]):
            word = _word_before([match["id"] for match in found if match])
            return pattern.replace("(?P<id>", f"{re.escape(word)}(?P<id>", 1), None
    return r"(?P<id>[^/]+)$", None


def _word_before(ids: list[str]) -> str:
    """Return the word that all ids begin with, such as `counter_`, where a number follows it in each; else nothing."""
    found = [re.fullmatch(r"([^\W\d]+[-_ ])\d+", each) for each in ids]
    words_before = {match[1] if match else "" for match in found}
    return words_before.pop() if len(words_before) == 1 else ""
