"""Turns the rows of a table into counts, one function for each layout."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from velocast.adapters.city_sources.reading.columns import described
from velocast.adapters.city_sources.reading.counters import counter_ids, described_counters
from velocast.adapters.city_sources.reading.distinct import Distinct
from velocast.adapters.city_sources.reading.gathering import Gathered, packed_lines
from velocast.adapters.city_sources.reading.rows import Rows, added
from velocast.adapters.city_sources.reading.values import MISSING, marks
from velocast.adapters.city_sources.reading.wide import read_wide
from velocast.adapters.city_sources.transport import RawTable
from velocast.core.city import City
from velocast.core.city.reading import HoursAsColumns, Long, Value, Wide

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HOUR_SECONDS = 3600


def read_table(table: RawTable, city: City, gathered: Gathered) -> None:
    """Add the counts of one table to `gathered`."""
    rows, layout = Rows.of(table, city, gathered), city.counts.layout
    if len(rows):
        if isinstance(layout, Wide):
            read_wide(rows, layout)
        elif isinstance(layout, Long):
            _read_long(rows, layout)
        else:
            _read_hours(rows, layout)
    gathered.rejects += table.unreadable
    gathered.fetched += len(table.unreadable)


def _read_long(rows: Rows, layout: Long) -> None:
    import numpy as np

    gathered, lines = rows.gathered, rows.lines()
    ids, mark = _begin(rows, layout)
    gathered.fetched += len(rows)
    refused = rows.keep & (rows.why != "")
    reasons = rows.why
    apart = len({value.suffix for value in layout.values}) > 1
    for suffix, values in _by_suffix(layout.values).items():
        value, parts, why = added([rows.cells.of_value(rows.columns, v) for v in values])
        counter = _codes(gathered, ids, rows.usable, suffix)
        rows.remember_order(counter)
        good = rows.usable & (why == "")
        rows.add(good, counter=counter, value=value, mark=mark, parts=parts)
        wrong = rows.usable & ~good
        if apart:  # one of several counters of a row may be blank, as a direction that a site lacks
            gathered.blank += int((wrong & (why == MISSING)).sum())
            wrong &= why != MISSING
        reasons = np.where(wrong & ~refused, why, reasons)
        refused |= wrong
    rows.reject(refused, reasons, lines)
    gathered.end_table(len(rows), packed_lines(lines))


def _read_hours(rows: Rows, layout: HoursAsColumns) -> None:
    import numpy as np

    gathered, lines = rows.gathered, rows.lines()
    frame, pattern = rows.columns.rows, re.compile(layout.hours, re.IGNORECASE)
    found = ((name, pattern.search(str(name))) for name in frame.columns)
    hours = {name: int(match.group("hour")) - layout.first_hour for name, match in found if match}
    ids, mark = _begin(rows, layout, hours)
    counter = _codes(gathered, ids, rows.usable, None)
    one = np.ones(len(rows), "uint8")
    refused = rows.keep & (rows.why != "")
    reasons = rows.why
    for name, hour in hours.items():
        value, why = rows.cells.parsed(frame[name])
        if not 0 <= hour < 24:
            why = np.where(why == "", "unreadable_time", why)
        blank = why == MISSING
        gathered.blank += int((blank & rows.keep).sum())
        gathered.fetched += int((~blank & rows.keep).sum())
        good = rows.usable & (why == "")
        rows.add(
            good,
            counter=counter,
            value=value,
            mark=mark,
            parts=one,
            later_seconds=hour * HOUR_SECONDS,
        )
        wrong = rows.usable & ~good & ~blank
        reasons = np.where(wrong & ~refused, why, reasons)
        refused |= wrong
    rows.reject(refused, reasons, lines)
    gathered.end_table(len(rows), packed_lines(lines))


def _begin(
    rows: Rows, layout: Long | HoursAsColumns, more: dict[str, int] | None = None
) -> tuple[Distinct, npt.NDArray[np.uint8]]:
    """Return the rows' counters and the marks of their status column, after noting what else they say."""
    import numpy as np

    columns, gathered = rows.columns, rows.gathered
    gathered.unknown |= columns.unknown([*described(layout), *(more or {})], layout.ignore)
    ids, why = counter_ids(columns, layout.counter, rows.table.place)
    rows.why = np.where(why != "", why, rows.why)
    gathered.counters |= described_counters(columns, layout.counter, ids, rows.city)
    if layout.status is None:
        return ids, np.zeros(len(rows), "uint8")
    return ids, marks(columns.get_or_empty(layout.status.column), layout.status)


def _by_suffix(values: tuple[Value, ...]) -> dict[str | None, list[Value]]:
    found: dict[str | None, list[Value]] = {}
    for value in values:
        found.setdefault(value.suffix, []).append(value)
    return found


def _codes(
    gathered: Gathered, ids: Distinct, usable: npt.NDArray[np.bool_], suffix: str | None
) -> npt.NDArray[np.int32]:
    """Return the code of each row's counter, -1 where no usable row has it."""
    import numpy as np

    used = set(np.unique(ids.codes[usable]).tolist())
    end = f"-{suffix}" if suffix else ""
    codes = [
        gathered.code(f"{counter_id}{end}") if n in used else -1
        for n, counter_id in enumerate(ids.values)
    ]
    found: Any = np.array([*codes, -1], dtype="int32")[ids.codes]
    return found  # type: ignore[no-any-return]
