"""Understand a city's tables: find their time, their columns and their layout."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from velocast_cli.city.understanding import words
from velocast_cli.city.understanding.cells import as_texts
from velocast_cli.city.understanding.chosen_tables import DAILY, joined_sample, tables_with_time
from velocast_cli.city.understanding.clocks import steps
from velocast_cli.city.understanding.clocks.times import find_time
from velocast_cli.city.understanding.columns import ColumnRoles, Sample, find_roles
from velocast_cli.city.understanding.file_counters import id_elsewhere
from velocast_cli.city.understanding.layouts import day_rows, long, wide
from velocast_cli.city.understanding.statuses import status_values
from velocast_cli.city.understanding.understood import NotUnderstood, Understood

if TYPE_CHECKING:
    from velocast.adapters.city_sources.transport import RawTable


def understand(tables: Iterable[RawTable]) -> Understood:
    """Look at tables of counts. Raises NotUnderstood, with the reason, where none has counts of an hour or less."""
    pieces: dict[str, list[pd.DataFrame]] = {}
    for each in tables:
        pieces.setdefault(each.place, []).append(as_texts(each.rows))
    texts = [(place, pd.concat(frames, ignore_index=True)) for place, frames in pieces.items()]
    aside: dict[str, str] = {}
    chosen = tables_with_time(texts, aside)
    made = _understand(joined_sample(chosen))
    made.aside = aside
    return made


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
    from_path, constant = id_elsewhere(sample, counter)
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
    from_path, constant = id_elsewhere(sample, counter)

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
