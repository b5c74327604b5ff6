"""What each column of a table is: an index, a number, a place, a status, a mode of travel, or a count."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from velocast.model.arrays import Floats
from velocast_cli.city.understanding import words
from velocast_cli.city.understanding.cells import NumberFormat, number_style
from velocast_cli.city.understanding.clocks.times import TimeColumns
from velocast_cli.city.understanding.places import PlaceColumns, find_place_columns

_INDEX_NAMES = {
    "",
    "index",
    "idx",
    "objectid",
    "fid",
    "_id",
    "rowid",
    "row",
    "gid",
    "ogc_fid",
    "globalid",
}


@dataclass
class Sample:
    """Rows of a city's files as texts, with the file of each row.

    frame: (n, columns), text or None, index 0 to n - 1; files: (n,) the path or sheet of each row.
    """

    frame: pd.DataFrame
    files: pd.Series

    @cached_property
    def style(self) -> NumberFormat:
        """How numbers are written."""
        return number_style(
            self.frame[name]
            for name in self.frame.columns
            if not words.tokens(name)[:1] or not find_place_name(name)
        )

    def numbers(self, name: str) -> Floats:
        """Return the numbers of a column, (n,), NaN where there is none."""
        if name not in self._numbers:
            self._numbers[name] = self.style.parse(self.frame[name])
        return self._numbers[name]

    @cached_property
    def _numbers(self) -> dict[str, Floats]:
        return {}


def find_place_name(name: str) -> bool:
    """Return whether a heading is that of a coordinate."""
    return not {
        "lat",
        "latitude",
        "lon",
        "lng",
        "longitude",
        "coordinates",
        "coordonnees",
        "geo",
    }.isdisjoint(words.tokens(name))


@dataclass
class ColumnRoles:
    """The columns of a table by what they are; `others` are known and not needed (column -> what it is)."""

    time: TimeColumns
    counts: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    status: list[str] = field(default_factory=list)
    factors: list[str] = field(default_factory=list)
    place: PlaceColumns = field(default_factory=PlaceColumns)
    others: dict[str, str] = field(default_factory=dict)


def find_roles(sample: Sample, time: TimeColumns) -> ColumnRoles:
    """Say what each column is."""
    roles = ColumnRoles(time, place=find_place_columns(sample.frame, sample.style))
    used = {*time.columns, time.gap_column}
    for name in time.others:
        roles.others[name] = "repeats the time"
    for name in roles.place.columns:
        roles.others[name] = "a position"
    for name in sample.frame.columns:
        if name in used or name in roles.others:
            continue
        _sort_in(sample, name, roles)
    return roles


def _sort_in(sample: Sample, name: str, roles: ColumnRoles) -> None:
    cells = sample.frame[name].dropna()
    if cells.empty:
        roles.others[name] = "blank"
    elif _is_status(name, cells):
        roles.status.append(name)
    elif _is_index(sample, name):
        roles.others[name] = "an index"
    elif not _is_number(sample, name):
        roles.texts.append(name)
    elif words.has(name, words.FACTORS):
        roles.factors.append(name)
    elif words.only(name, words.CALENDAR):
        roles.others[name] = "a part of the date"
    elif words.only(name, words.OTHER_NUMBERS) or (
        words.has(name, words.WEATHER) and not _is_whole(sample, name)
    ):
        roles.others[name] = "no count"
    elif not _is_whole(sample, name):
        roles.others[name] = "no whole numbers"
    else:
        roles.counts.append(name)


def _is_status(name: str, cells: pd.Series) -> bool:
    return words.has(name, words.STATUS) and cells.nunique() <= 20


def _is_index(sample: Sample, name: str) -> bool:
    plain = name.strip().casefold()
    named = plain in _INDEX_NAMES or plain.startswith("unnamed")
    values = sample.numbers(name)
    values = values[np.isfinite(values)]
    steps = np.abs(np.diff(values))
    running = (
        len(values) > 3
        and len(np.unique(values)) > 0.9 * len(values)
        and bool((steps == 1).mean() > 0.9)
    )
    return running or (named and len(np.unique(values)) > 0.5 * len(sample.frame))


def _is_number(sample: Sample, name: str) -> bool:
    return bool(np.isfinite(sample.numbers(name)).sum() >= 0.9 * sample.frame[name].notna().sum())


def _is_whole(sample: Sample, name: str) -> bool:
    values = sample.numbers(name)
    values = values[np.isfinite(values)]
    return bool((values == np.round(values)).mean() >= 0.95 and (values >= 0).mean() >= 0.9)
