"""Tables with a row a time and a column a counter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from velocast.adapters.city_sources.reading.columns import Columns, described, missing_columns
from velocast.adapters.city_sources.reading.gathering import OpenedTexts, RowText
from velocast.adapters.city_sources.reading.rows import Rows, added, as_record
from velocast.adapters.city_sources.reading.values import MISSING, marks
from velocast.adapters.city_sources.records import CounterRecord, Reject
from velocast.core.city.reading import Wide
from velocast.core.errors import CityRefused

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_NAMELESS = re.compile(r"column \d+")  # index columns (tables/headings.py)


@dataclass
class WideColumn:
    """A counter and the headings whose cells are added up for it; statuses: those that say how good they are."""

    id: str
    name: str | None
    headings: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)


def read_wide(rows: Rows, layout: Wide) -> None:
    """Add the counts of one wide table. A blank cell is no record: the counter did not count or did not exist."""
    import numpy as np

    gathered, frame = rows.gathered, rows.columns.rows
    counters, unknown = counters_of(rows.columns, layout, rows.table.place)
    gathered.unknown |= unknown
    time_column = layout.time.columns[0]
    times = _plain(rows.columns.get_or_empty(time_column).tolist())
    rows.remember_order(np.zeros(len(rows), "int32"))
    no_time = np.zeros(len(rows), dtype=bool)
    for counter in counters.values():
        value, parts, why = added([rows.cells.parsed(frame[name]) for name in counter.headings])
        filled = rows.keep & (why != MISSING)
        gathered.blank += int((rows.keep & ~filled).sum())
        gathered.fetched += int(filled.sum())
        if filled.any():
            gathered.counters.setdefault(counter.id, _named(counter))
        code = np.full(len(rows), gathered.code(counter.id), "int32")
        good = rows.usable & (why == "")
        rows.add(good, counter=code, value=value, mark=_marks(rows, layout, counter), parts=parts)
        for n in np.flatnonzero(rows.usable & filled & ~good).tolist():
            cells = {name: _plain([frame[name].iloc[n]])[0] for name in counter.headings}
            gathered.rejects.append(Reject(why[n], as_record({time_column: times[n], **cells})))
        no_time |= filled & (rows.why != "")
    if no_time.any():
        rows.reject(no_time, rows.why, rows.lines())
    gathered.end_table(len(rows), _cell_text(times, time_column))


def counters_of(
    columns: Columns, layout: Wide, place: str
) -> tuple[dict[str, WideColumn], set[str]]:
    """Return the counters of a wide table by id, and the headings that are not described.

    Raises CityRefused for a described column that is not there, or a table in which no column is a counter.
    """
    headings = [str(name) for name in columns.rows.columns]
    known = {columns.find(name) for name in described(layout)}
    status = re.compile(layout.status.column) if layout.status is not None else None
    statuses = {name: found for name in headings if status and (found := status.fullmatch(name))}
    rest = [name for name in headings if name not in known and name not in statuses]
    if layout.counters is not None:
        counters = _explicit(columns, layout, headings, place)
    elif layout.pattern is not None:
        counters = _by_pattern(rest, re.compile(layout.pattern))
    else:
        ignored = [re.compile(each) for each in layout.ignore]
        named = [
            n for n in rest if not _NAMELESS.fullmatch(n) and not any(p.search(n) for p in ignored)
        ]
        counters = {name: WideColumn(name, name, [name]) for name in named}
    if not counters:
        raise CityRefused(
            f"{place}: none of its columns is a counter: {', '.join(map(repr, rest[:20])) or 'only the time is there'}"
            "; correct `pattern` or `ignore` of the layout"
        )
    for name, match in statuses.items():
        if (counter := counters.get(match.group("id"))) is not None:
            counter.statuses.append(name)
    used = {name for counter in counters.values() for name in counter.headings}
    return counters, columns.unknown([*described(layout), *used, *statuses], layout.ignore)


def _explicit(
    columns: Columns, layout: Wide, headings: Sequence[str], place: str
) -> dict[str, WideColumn]:
    """Return the described counters that the table has: counters come and go from year to year."""
    found = {}
    for each in layout.counters or ():
        there = [name for c in each.columns if (name := columns.find(c)) is not None]
        if there and len(there) < len(each.columns):
            lacking = [c for c in each.columns if columns.find(c) is None]
            raise CityRefused(missing_columns(lacking, headings, place))
        if there:
            found[each.id] = WideColumn(each.id, each.name or each.columns[0], there)
    if not found:
        wanted = [c for each in layout.counters or () for c in each.columns]
        raise CityRefused(missing_columns(wanted[:5], headings, place))
    return found


def _by_pattern(headings: Sequence[str], pattern: re.Pattern[str]) -> dict[str, WideColumn]:
    found: dict[str, WideColumn] = {}
    for name in headings:
        if (match := pattern.fullmatch(name)) is None:
            continue
        groups = match.groupdict()
        counter_id = groups["id"].strip()
        shown = (groups.get("name") or "").strip() or name
        found.setdefault(counter_id, WideColumn(counter_id, shown)).headings.append(name)
    return found


def _marks(rows: Rows, layout: Wide, counter: WideColumn) -> npt.NDArray[np.uint8]:
    import numpy as np

    mark = np.zeros(len(rows), "uint8")
    if layout.status is not None:
        for name in counter.statuses:
            mark = np.maximum(mark, marks(rows.columns.rows[name], layout.status))
    return mark


def _named(counter: WideColumn) -> CounterRecord:
    return CounterRecord(counter.id, counter.name, None, None, None, None, None)


def _cell_text(times: Sequence[Any], time_column: str) -> OpenedTexts:
    """Write a cell as a record of its own."""

    def text(row: int, counter_id: str, value: float) -> str:
        shown = int(value) if value == int(value) else value
        return as_record({time_column: times[row], counter_id: shown})

    def opened() -> RowText:
        return text

    return opened


def _plain(values: list[Any]) -> list[Any]:
    return [None if value is None or value != value else value for value in values]
