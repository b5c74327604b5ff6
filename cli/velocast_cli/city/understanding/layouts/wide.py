"""A row a time, a column a counter: which columns are counters, and their ids."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from velocast_cli.city.understanding import words
from velocast_cli.city.understanding.columns import ColumnRoles, Sample
from velocast_cli.city.understanding.layouts.totals import without_repeats

_REMARK = re.compile(r"\s*[(\[][^)\]]*[)\]]?")
_REMARK_WORDS = frozenset(
    [
        "roadworks",
        "road",
        "works",
        "not",
        "on",
        "site",
        "removed",
        "unable",
        "reinstall",
        "repaired",
        "defekt",
        "defective",
        "out",
        "of",
        "order",
        "ausser",
        "betrieb",
        "hors",
        "service",
        "panne",
        "travaux",
        "closed",
        "gesperrt",
        "since",
        "seit",
        "depuis",
        "until",
        "bis",
        "broken",
        "fault",
        "faulty",
        "moved",
        "verlegt",
        "deplace",
        "installed",
    ]
)
# how headings hold an id: a number in front, a word in front of it, a number in brackets at the end, a date at the end
_DECORATED = (
    r"^(?P<id>\d{3,})\s*(?:[-–:_]|\s|\()\s*\(?(?P<name>.*?)\)?$",
    r"^(?P<word>[^\W\d]+(?:[ _-]?[^\W\d]+)?[ _#.-]*)(?P<id>\d+)$",
    r"^(?P<name>.+?)\s*[(\[](?P<id>\d{3,})[)\]]$",
    r"^(?P<id>\S.*?)\s+(?:\d{1,2}\.\d{1,2}\.\d{4}|\d{4}-\d{2}-\d{2})(?: 00:00:00)?$",
)


@dataclass
class WideCounters:
    """The counters of a wide table: column -> (id, name); ignored: column -> reason; pattern: where one says it all."""

    counters: dict[str, tuple[str, str | None]]
    ignored: dict[str, str] = field(default_factory=dict)
    pattern: str | None = None
    status: str | None = None
    parts: dict[str, list[str]] = field(default_factory=dict)


def find_counters(sample: Sample, roles: ColumnRoles) -> WideCounters:
    """Tell the counters' columns from totals, directions, cars and all else."""
    ignored = (
        dict(roles.others)
        | dict.fromkeys(roles.texts, "text")
        | dict.fromkeys(roles.factors, "a factor")
    )
    bikes, left_out = _only_bikes(roles.counts)
    ignored |= left_out
    counted = without_repeats(bikes, {n: sample.numbers(n) for n in bikes})
    ignored |= counted.ignored
    ids, pattern = name_counters(counted.kept)
    if pattern:  # a counter that does not report in this file
        silent = [n for n, why in ignored.items() if why == "blank" and re.match(pattern, n)]
        again, same = name_counters([*counted.kept, *silent])
        if same == pattern:
            ids, ignored = again, {n: why for n, why in ignored.items() if n not in silent}
    made = WideCounters(ids, ignored, parts=counted.parts)
    made.status = _status_pattern(roles.status, ids)
    ignored |= {
        n: "a status" for n in roles.status if not made.status or not re.search(made.status, n)
    }
    if pattern and not any(
        re.search(pattern, n) for n in {**ignored, **dict.fromkeys(roles.status)}
    ):
        made.pattern = pattern
    return made


def _only_bikes(names: list[str]) -> tuple[list[str], dict[str, str]]:
    """Leave out cars and pedestrians: the mode ends the heading, is in brackets, or replaces that of bikes."""
    bikes = {
        words.without(n, words.BIKES, words.DIRECTIONS, words.TOTALS)
        for n in names
        if words.is_bike(n)
    }
    left: dict[str, str] = {}
    for name in names:
        if not words.is_other_mode(name):
            continue
        end = words.without(name, words.DIRECTIONS, words.TOTALS, words.COUNTS)[-1:]
        bracketed = [
            each for each in re.findall(r"[(\[]([^)\]]*)", name) if words.is_other_mode(each)
        ]
        replaced = words.without(name, words.OTHER_MODES, words.DIRECTIONS, words.TOTALS) in bikes
        if (end and words.is_other_mode(end[0])) or bracketed or replaced:
            left[name] = "not bicycles"
    kept = [n for n in names if n not in left]
    return (kept, left) if kept else (names, {})


def name_counters(columns: list[str]) -> tuple[dict[str, tuple[str, str | None]], str | None]:
    """Return the id and name of each column, and the pattern that reads them from the heading, where there is one."""
    for pattern in _DECORATED:
        matches = {c: re.match(pattern, c) for c in columns}
        if not columns or not all(matches.values()):
            continue
        ids = [m["id"] for m in matches.values() if m]
        if len(set(ids)) < len(ids):
            continue
        named = {c: (m["id"], _plain(m.groupdict().get("name"))) for c, m in matches.items() if m}
        if "(?P<word>" not in pattern:
            return named, pattern
        fronts = {m["word"] for m in matches.values() if m}
        front = fronts.pop()
        if not fronts and _names_a_counter(front):
            return named, f"^{re.escape(front)}(?P<id>\\d+)$"
    return {c: (c, _without_remark(c)) for c in columns}, None


def _names_a_counter(front: str) -> bool:
    found = words.tokens(front)
    return bool(found) and all(
        t in words.COUNTERS | words.IDS | words.BIKES | words.COUNTS | words.SITES for t in found
    )


def _plain(name: str | None) -> str | None:
    return (name or "").strip() or None


def _without_remark(column: str) -> str | None:
    """Return a heading without a remark in brackets, None where it has none."""

    def drop(match: re.Match[str]) -> str:
        said = set(words.tokens(match.group()))
        return "" if len(said & _REMARK_WORDS) >= 2 else match.group()

    plain = _REMARK.sub(drop, column).strip()
    return plain if plain and plain != column else None


def _status_pattern(status: list[str], ids: dict[str, tuple[str, str | None]]) -> str | None:
    """Return the regular expression by which a status column names its counter, None without one."""
    found = set()
    for column, (counter_id, _) in ids.items():
        for name in status:
            for each in (counter_id, column):
                if each in name and name != each:
                    before, after = name.split(each, 1)
                    found.add((len(each) < len(column) and each.isdigit(), before, after))
    if len(found) != 1:
        return None
    digits, before, after = found.pop()
    inside = r"\d+" if digits else ".+"
    return f"^{re.escape(before)}(?P<id>{inside}){re.escape(after)}$"


def leave_out(made: WideCounters, counter_ids: list[str], why: str) -> None:
    """Leave out counters. What a pattern says of all columns no longer holds then."""
    gone = [
        column for column, (counter_id, _) in made.counters.items() if counter_id in counter_ids
    ]
    made.ignored |= dict.fromkeys(gone, why)
    made.counters = {c: named for c, named in made.counters.items() if c not in gone}
    made.pattern = None


def wide_layout(made: WideCounters) -> dict[str, Any]:
    """Return the layout's values for the city's file."""
    values: dict[str, Any] = {"shape": "wide"}
    if made.pattern:
        values["pattern"] = made.pattern
    else:
        values["counters"] = [
            {"columns": [column], "id": counter_id} | ({"name": name} if name else {})
            for column, (counter_id, name) in made.counters.items()
        ]
    return values


def wide_counts(sample: Sample, made: WideCounters, at: pd.Series) -> pd.DataFrame:
    """Return (n, 4) counter_id, at, bike_count, file in the order of the file.

    A file in which a counter has no number says nothing of that counter.
    """
    parts = [pd.DataFrame(columns=["counter_id", "at", "bike_count", "file"])]
    for column, (counter_id, _) in made.counters.items():
        numbers = sample.numbers(column)
        known = pd.Series(np.isfinite(numbers)).groupby(sample.files).transform("any").to_numpy()
        values = {"counter_id": counter_id, "at": at, "bike_count": numbers, "file": sample.files}
        parts.append(pd.DataFrame(values)[known])
    filled = [each for each in parts if len(each)] or parts[:1]
    return pd.concat(filled, ignore_index=True)
