"""Finds the described columns in a table, under the names that the city gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from velocast.adapters.city_sources.tables.headings import clean_name
from velocast.core.city.reading import CounterFields, HoursAsColumns, Layout, Long, Wide

if TYPE_CHECKING:
    import pandas as pd


class Columns:
    """The columns of one table, by the names in the city's description.

    A described name is looked for as it is, then by its other headings (`also_called`), then without regard to case,
    and then as a path into an object ("properties.count").
    """

    def __init__(self, rows: pd.DataFrame, also_called: dict[str, tuple[str, ...]]) -> None:
        self.rows = rows
        self._also_called = also_called
        self._by_case = {clean_name(name).casefold(): name for name in reversed(list(rows.columns))}

    def find(self, name: str) -> str | None:
        """Return the heading of a described column; None if the table has none."""
        for each in (name, *self._also_called.get(name, ())):
            if each in self.rows.columns:
                return each
        for each in (name, *self._also_called.get(name, ())):
            if found := self._by_case.get(clean_name(each).casefold()):
                return found
        return None

    def get(self, name: str) -> pd.Series | None:
        """Return a described column; None if the table has none."""
        found = self.find(name)
        if found is not None:
            return self.rows[found]
        outer, _, inner = name.partition(".")
        holder = self.find(outer) if inner else None
        return (
            None if holder is None else self.rows[holder].map(lambda value: _inside(value, inner))
        )

    def get_or_empty(self, name: str) -> pd.Series:
        """Return a described column, of Nones where the table has none."""
        import pandas as pd

        found = self.get(name)
        return pd.Series([None] * len(self.rows), dtype=object) if found is None else found

    def unknown(self, described: Iterable[str], ignored: Iterable[str]) -> set[str]:
        """Return the headings that are neither described nor ignored. ignored: regular expressions."""
        known = {self.find(name) for name in described}
        known |= {self.find(name.partition(".")[0]) for name in described}
        patterns = [re.compile(each) for each in ignored]
        return {
            name
            for name in self.rows.columns
            if name not in known and not any(p.search(name) for p in patterns)
        }


def _inside(value: object, path: str) -> object:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def required(layout: Layout) -> tuple[str, ...]:
    """Return the described columns without which nothing can be read."""
    names = list(layout.time.columns)
    if layout.time.gap_column is not None:
        names.append(layout.time.gap_column)
    if isinstance(layout, Long | HoursAsColumns):
        names += layout.counter.id or ()
    if isinstance(layout, Long):
        names += [value.column for value in layout.values]
    names += [keep.column for keep in layout.keep]
    return tuple(dict.fromkeys(names))


def described(layout: Layout) -> tuple[str, ...]:
    """Return every column that the description names, once."""
    names = list(required(layout))
    if isinstance(layout, Long | HoursAsColumns):
        names += field_columns(layout.counter)
    if isinstance(layout, Long):
        names += [n for v in layout.values for n in (v.instead_of, v.factor) if n is not None]
    if layout.status is not None and not isinstance(layout, Wide):
        names.append(layout.status.column)
    return tuple(dict.fromkeys(names))


def field_columns(fields: CounterFields) -> list[str]:
    """Return the columns that describe a counter, its id among them."""
    names = [
        fields.name,
        fields.site_id,
        fields.site_name,
        fields.installed_on,
        fields.position,
        fields.latitude,
        fields.longitude,
    ]
    return [*(fields.id or ()), *(name for name in names if name is not None)]


def missing_columns(missing: Iterable[str], headings: Iterable[str], place: str) -> str:
    """Return the message for described columns that a table lacks, with the nearest that it has."""
    there = list(headings)
    by_case = {name.casefold(): name for name in there}
    parts = []
    for name in missing:
        near = get_close_matches(name.casefold(), by_case, n=1)
        parts.append(f"{name!r}" + (f" (did you mean {by_case[near[0]]!r}?)" if near else ""))
    shown = ", ".join(map(repr, there[:20])) + (" ..." if len(there) > 20 else "")
    return (
        f"{place}: no column {', '.join(parts)}; it has {shown or 'none'}; correct the layout, "
        "or name the heading under also_called"
    )
