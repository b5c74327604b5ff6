"""Which values of a status column mean that a count is good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pandas as pd

from velocast_cli.city.understanding import words


def status_values(cells: Iterable[pd.Series]) -> tuple[dict[str, Any], list[str]]:
    """Return `usable` and `incomplete` for the city's file, and the values that are neither: marked counts."""
    seen: Counter[str] = Counter()
    blank = 0
    for column in cells:
        blank += int(column.isna().sum())
        seen.update(str(v) for v in column.dropna())
    usable = [v for v in seen if _is_good(v)]
    if not usable and seen and not blank:  # what nearly all counts are marked with
        value, number = seen.most_common(1)[0]
        usable = [value] if number > 0.5 * seen.total() else list(seen)
    incomplete = [v for v in seen if words.has(v, words.INCOMPLETE)]
    usable = [v for v in usable if v not in incomplete]
    rest = [v for v in seen if v not in usable and v not in incomplete]
    return {"usable": ["", *sorted(usable)]} | (
        {"incomplete": incomplete} if incomplete else {}
    ), sorted(rest)


def _is_good(value: str) -> bool:
    plain = value.removesuffix(".0")
    found = words.tokens(plain)
    return plain == "0" or (
        bool(found) and not plain.isdigit() and all(t in words.GOOD for t in found)
    )
