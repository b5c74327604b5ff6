"""A row a counter and time: which columns are the counter, its count, its mode, its direction and its status."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats
from velocast_cli.city.understanding import words
from velocast_cli.city.understanding.cells import is_function_of
from velocast_cli.city.understanding.columns import ColumnRoles, Sample
from velocast_cli.city.understanding.layouts.repeated_rows import (
    LongColumns,
    look_at_repeats,
    share_unique,
)
from velocast_cli.city.understanding.layouts.totals import without_repeats

_SUB = words.DIRECTIONS | frozenset(
    ["flow", "flows", "type", "mode", "class", "klasse", "category", "kategorie", "art"]
)
_INSTALLED = frozenset(["installed", "installation", "install", "commissioned", "mise"])
_ASIDE = frozenset(
    [
        "technical",
        "technique",
        "photo",
        "photos",
        "image",
        "url",
        "link",
        "lien",
        "foto",
        "description",
        "remark",
    ]
)


def id_score(name: str) -> int:
    """Return how much a heading sounds like a counter's id."""
    found = set(words.tokens(name))
    return (
        3 * bool(found & words.IDS)
        + 3 * bool(found & words.COUNTERS)
        + 2 * bool(found & words.SITES)
        - 2 * bool(found & words.NAMES)
        - 2 * bool(found & _SUB and not found & words.COUNTERS)
        - 4 * bool(found & _ASIDE)
        - 4 * bool(found & words.STATUS)
    )


def find_counter_id(sample: Sample, roles: ColumnRoles, at: pd.Series) -> str | None:
    """Return the column of the counter's id, None where no column is one."""
    numbered = [n for n in roles.counts if _numbers_counters(n) and (sample.numbers(n) > 0).all()]
    if len(numbered) > 4:  # a wide table: each of them is a counter
        numbered = []
    candidates = [n for n in [*roles.texts, *numbered] if _may_be_id(sample, n)]
    if not candidates:
        return None
    alone = {n: share_unique(sample.frame, at, [n]) for n in candidates}
    sure = [n for n in candidates if id_score(n) >= 3 and alone[n] >= 0.97]
    order = list(sample.frame.columns)
    return max(sure or candidates, key=lambda n: (id_score(n), round(alone[n], 2), -order.index(n)))


def _numbers_counters(name: str) -> bool:
    """Return whether a column of numbers is called an id or a number of something, and not a count."""
    if words.has(name, words.SURE_IDS):
        return not words.has(name, words.STATUS)
    return id_score(name) >= 3 and not words.has(name, words.COUNTS - words.COUNTERS)


def _may_be_id(sample: Sample, name: str) -> bool:
    cells = sample.frame[name]
    return (
        bool(cells.notna().mean() >= 0.95)
        and not _names_a_total(cells)
        and not words.has(name, words.CALENDAR - words.SITES)
        and cells.nunique() <= max(1, len(cells) // 2) + 1
    )


def _names_a_total(cells: pd.Series) -> bool:
    """Return whether values are those of lanes or directions, one of them being their total."""
    values = cells.dropna().unique()
    return len(values) <= 12 and any(words.only(str(v), words.TOTALS) for v in values)


def find_columns(
    sample: Sample, roles: ColumnRoles, counter_id: str | None, at: pd.Series
) -> LongColumns:
    """Say what the columns are, the counter's id given."""
    made = LongColumns(counter_id, [], ignored=dict(roles.others))
    frame = sample.frame
    numbers = [n for n in roles.counts if n != counter_id]
    describing = [
        n
        for n in numbers
        if counter_id and (_numbers_counters(n) or words.only(n, words.SITES | words.COUNTERS))
    ]
    _describe(made, sample, [n for n in [*roles.texts, *describing] if n != counter_id])
    kept = np.ones(len(frame), dtype=bool)
    for name in roles.texts:
        if only := _bikes_among(frame[name]):
            made.keep[name] = only
            made.ignored.pop(name, None)
            kept &= frame[name].isin(only).to_numpy()
    _choose_values(made, sample, [n for n in numbers if n not in describing], roles.factors, kept)
    for name in describing:
        made.ignored.setdefault(name, "describes the counter")
    if counter_id:
        look_at_repeats(
            made, sample, [n for n in [*roles.texts, *describing] if n != counter_id], at, kept
        )
    known = {counter_id, made.name, made.site_id, made.site_name, made.installed_on, made.factor}
    for name in [*roles.texts, *describing]:
        if name not in known and name not in made.keep:
            made.ignored.setdefault(name, "not needed")
    made.ignored = {n: why for n, why in made.ignored.items() if n not in known}
    return made


def _describe(made: LongColumns, sample: Sample, names: list[str]) -> None:
    """Find the name, site and date of installation among columns that are the same for all rows of a counter."""
    if not made.counter_id:
        return
    for name in names:
        if words.has(name, _ASIDE) or not is_function_of(sample.frame, name, made.counter_id):
            continue
        kind = _kind_of_description(name)
        dated = bool(sample.frame[name].dropna().str.match(r"^\d{4}-\d{2}-\d{2}").all())
        if kind is None or dated != (kind == "installed_on"):
            continue
        better = kind == "name" and words.has(name, words.COUNTERS)
        if getattr(made, kind) is None or (
            better and not words.has(str(made.name), words.COUNTERS)
        ):
            setattr(made, kind, name)
    if made.name is None and made.site_name:
        made.name, made.site_name = made.site_name, None


def _kind_of_description(name: str) -> str | None:
    """Return what a heading says of a counter: one of the fields of LongColumns."""
    found = set(words.tokens(name))
    if found & words.NOT_THE_TIME:
        return "installed_on" if found & _INSTALLED else None
    if found & words.SITES and found & words.NAMES:
        return "site_name"
    if found & words.SITES and found & words.IDS:
        return "site_id"
    named = found & words.NAMES or (
        found & (words.COUNTERS | words.SITES) and not found & words.IDS
    )
    return "name" if named else None


def _bikes_among(cells: pd.Series) -> list[str] | None:
    """Return the values that are bicycles, where a column holds modes of travel."""
    values = [str(v) for v in cells.dropna().unique()]
    if len(values) > 12:
        return None
    bikes = [v for v in values if words.is_bike(v)]
    others = [v for v in values if words.is_other_mode(v)]
    if not bikes or len(bikes) + len(others) < len(values):
        return None
    short = all(len(words.tokens(v)) <= 3 for v in values)
    return (
        sorted(bikes)
        if short and (others or all(words.only(v, words.BIKES) for v in bikes))
        else None
    )


def _choose_values(
    made: LongColumns,
    sample: Sample,
    names: list[str],
    factors: list[str],
    kept: np.ndarray[Any, Any],
) -> None:
    made.ignored |= {n: "not bicycles" for n in names if words.is_other_mode(n)}
    usable = [n for n in names if n not in made.ignored]
    corrections = [n for n in usable if words.has(n, words.CORRECTED)]
    raw = [n for n in usable if n not in corrections]
    bikes = [n for n in raw if words.is_bike(n)]
    made.ignored |= {n: "not only bicycles" for n in raw if bikes and n not in bikes}
    chosen = bikes or raw or corrections
    numbers = {n: _where(sample.numbers(n), kept) for n in chosen}
    counted = without_repeats(chosen, numbers, one_place=True)
    made.ignored |= counted.ignored
    made.parts = counted.parts
    made.values = _best_values(counted.kept, made)
    for name in corrections if raw else ():
        if len(made.values) == 1 and _corrects(sample, name, made.values[0]):
            made.corrected[made.values[0]] = name
        else:
            made.ignored[name] = "a correction of several columns"
    if made.values:
        made.factor = next(iter(factors), None)
    made.ignored |= dict.fromkeys(factors[1:], "a further factor")


def _where(values: Floats, kept: np.ndarray[Any, Any]) -> Floats:
    return np.where(kept, values, np.nan)


def _best_values(names: list[str], made: LongColumns) -> list[str]:
    """Return the columns to add up: those of all directions, else the one that sounds most like a count."""
    if len(names) <= 1:
        return names
    directions = [n for n in names if words.has(n, words.DIRECTIONS)]
    named = [n for n in names if words.has(n, words.COUNTS)]
    totals = [n for n in named if n in made.parts]
    if totals:
        best = totals[:1]
    elif len(directions) >= 2:
        best = directions
    else:
        best = (named or names)[:1]
        plain = [n for n in named if words.only(n, words.COUNTS)]
        best = plain[:1] or best
    for name in names:
        if name not in best:
            made.ignored[name] = "another number"
    return best


def _corrects(sample: Sample, corrected: str, raw: str) -> bool:
    """Return whether one column mostly repeats another, or is only there where the other is wrong."""
    new, old = sample.numbers(corrected), sample.numbers(raw)
    both = np.isfinite(new) & np.isfinite(old)
    return bool(
        both.sum() == 0 or np.isfinite(new).mean() < 0.9 or (new[both] == old[both]).mean() > 0.3
    )


def long_layout(
    made: LongColumns, roles: ColumnRoles, from_path: str | None, constant: str | None
) -> dict[str, Any]:
    """Return the layout's values for the city's file."""
    values: dict[str, Any] = {
        "shape": "long",
        "counter": counter_fields(made, roles, from_path, constant),
        "values": [],
    }
    for name in made.values:
        value: dict[str, Any] = {"column": made.corrected.get(name, name)}
        if name in made.corrected:
            value["instead_of"] = name
        if made.factor:
            value["factor"] = made.factor
        values["values"].append(value)
    if made.add:
        values["same_time"] = "add"
    if made.keep:
        values["keep"] = [{"column": c, "only": v} for c, v in made.keep.items()]
    return values


def counter_fields(
    made: LongColumns, roles: ColumnRoles, from_path: str | None, constant: str | None
) -> dict[str, Any]:
    """Return the columns that describe a counter."""
    fields: dict[str, Any] = {
        "id": made.counter_id,
        "from_path": None if made.counter_id else from_path,
        "constant": None if made.counter_id or from_path else constant,
        "name": made.name,
        "site_id": made.site_id,
        "site_name": made.site_name,
        "installed_on": made.installed_on,
        "position": roles.place.position,
        "latitude": roles.place.latitude,
        "longitude": roles.place.longitude,
    }
    return {k: v for k, v in fields.items() if v is not None}


def long_counts(sample: Sample, made: LongColumns, at: pd.Series) -> pd.DataFrame:
    """Return (n, 4) counter_id, at, bike_count, file in the order of the file."""
    kept = np.ones(len(at), dtype=bool)
    for name, only in made.keep.items():
        kept &= sample.frame[name].isin(only).to_numpy()
    columns = [sample.numbers(v) for v in made.values]
    stacked = np.vstack(columns) if columns else np.full((1, len(at)), np.nan)
    total = np.where(np.isfinite(stacked).any(axis=0), np.nansum(stacked, axis=0), np.nan)
    ids = sample.frame[made.counter_id] if made.counter_id else sample.files
    found = pd.DataFrame({"counter_id": ids, "at": at, "bike_count": total, "file": sample.files})[
        kept
    ]
    if made.add:
        return (
            found.groupby(["counter_id", "at", "file"], sort=False)["bike_count"]
            .sum(min_count=1)
            .reset_index()
        )
    return found
