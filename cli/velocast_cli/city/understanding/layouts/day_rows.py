"""A row a counter and day, with the hours as columns."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from velocast_cli.city.understanding.columns import Sample

_UNIT = r"(?:h|hr|hour|heure|stunde|std|hora|ora|uur|time|timme|godz|t)"
PATTERNS = (
    r"^(?P<hour>\d{1,2})$",
    rf"^{_UNIT}[ _.-]?(?P<hour>\d{{1,2}})$",
    r"^(?P<hour>\d{1,2})[ _]?(?:h|hr|uhr|u|heures?)(?:00)?$",
    r"^(?P<hour>\d{1,2})[:.]00(?::00)?$",
    r"^(?P<hour>\d{1,2})(?:h|:00|h00|:00:00)? ?(?:-|–|_|à|to|bis|a) ?\d{1,2}.*$",
    rf"^{_UNIT}?[ _.-]?(?P<hour>\d{{1,2}})\D.*$",
)


def find_hours(columns: list[str]) -> tuple[str, dict[str, int], int] | None:
    """Return the pattern of the hours' columns, column -> number, and the first number; None without 24 of them."""
    for text in PATTERNS:
        pattern = re.compile(text, re.IGNORECASE)
        found = {c: int(m["hour"]) for c in columns if (m := pattern.match(c.strip()))}
        numbers = sorted(found.values())
        for first in (0, 1):
            if numbers == list(range(first, first + 24)):
                return text, found, first
    return None


def day_counts(
    sample: Sample, ids: pd.Series, day: pd.Series, hours: dict[str, int], first: int
) -> pd.DataFrame:
    """Return (n, 4) counter_id, at, bike_count, file in the order of the hours."""
    parts: list[Any] = [
        pd.DataFrame(
            {
                "counter_id": ids,
                "at": day + pd.Timedelta(hours=number - first),
                "bike_count": sample.numbers(column),
                "file": sample.files,
            }
        )
        for column, number in hours.items()
    ]
    found: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return found
