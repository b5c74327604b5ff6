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

    It is the first well-filled row, as wide as most are, above the first row that holds a date or a time. Rows above it
    are titles.
    """
    widths = Counter(len(row) for row in rows if _filled(row) > 1)
    if not widths:
        return None
    width = max(widths, key=lambda n: (widths[n], n))
    full = [n for n, row in enumerate(rows) if len(row) == width and 2 * _filled(row) > width]
    data = next((n for n in full if any(map(is_date_like, rows[n]))), None)
    above = [n for n in full if data is None or n < data]
    return above[0] if above else (full[0] if full else None)


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
