"""Finds the row with the column names among the first rows of a file, and makes each name usable."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date, time
from typing import Any

_DATE_LIKE = re.compile(
    r"\d{1,4}[-./]\d{1,2}([-./]\d{1,4})?([ T]+\d.*)?|\d{1,2}:\d{2}(:\d{2})?.*|\d{8}T?\d*"
)
_NUMBER_LIKE = re.compile(r"-?\d+([.,]\d+)*")


def find_header(rows: Sequence[Sequence[Any]]) -> int | None:
    """Return the index of the row with the column names; None where no row has more than one cell.

    It is one of the well-filled rows, as wide as most are, just above the first rows with dates or times: the one with
    the most different names, else the lowest. Rows above it are titles.
    """
    widths = Counter(len(row) for row in rows if _filled(row) > 1)
    if not widths:
        return None
    width = max(widths, key=lambda n: (widths[n], n))
    full = [n for n, row in enumerate(rows) if len(row) == width and 2 * _filled(row) > width]
    if not full:
        return None
    data = _first_data([rows[n] for n in full], width)
    if not data:
        return full[0]
    return max(full[:data], key=lambda n: (len({clean_name(cell) for cell in rows[n]}), n))


def _first_data(rows: Sequence[Sequence[Any]], width: int) -> int:
    """Return the index of the first row of data, which has a date in the same column as the next row; 0 for none."""
    dated = [sum(is_date_like(row[column]) for row in rows) for column in range(width)]
    column = dated.index(max(dated))
    if not dated[column]:
        return 0
    has = [is_date_like(row[column]) for row in rows] + [True]
    return next((n for n in range(len(rows)) if has[n] and has[n + 1]), 0)


def is_date_like(cell: Any) -> bool:
    """Return whether a cell holds a date or a time, as such or as text."""
    if isinstance(cell, date | time):
        return True
    return isinstance(cell, str) and _DATE_LIKE.fullmatch(cell.strip()) is not None


def is_number_like(cell: Any) -> bool:
    """Return whether a cell holds a number, as such or as text."""
    if isinstance(cell, str):
        return _NUMBER_LIKE.fullmatch(cell.strip()) is not None
    return isinstance(cell, int | float)


def usable_names(cells: Sequence[Any]) -> list[str]:
    """Return the column names: white space made single, nameless ones called `column 3`, repeated ones numbered."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    for position, cell in enumerate(cells, start=1):
        name = clean_name(cell) or f"column {position}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def clean_name(cell: Any) -> str:
    """Return a heading as text with single spaces, without a byte order mark."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return " ".join(str(cell).lstrip("\ufeff").split())


def _filled(row: Sequence[Any]) -> int:
    return sum(cell is not None and str(cell).strip() != "" for cell in row)
