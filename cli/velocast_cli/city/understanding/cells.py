"""Cells of a table as texts, and what they look like as numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

import numpy as np
import pandas as pd

from velocast.core.city.reading import MISSING_MARKS
from velocast.model.arrays import Floats

_GROUPS = {
    ",": re.compile(r"^-?\d{1,3}(?:,\d{3})+(?:\.\d+)?$"),
    ".": re.compile(r"^-?\d{1,3}(?:\.\d{3})+(?:,\d+)?$"),
    " ": re.compile(r"^-?\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?:[.,]\d+)?$"),
    "'": re.compile(r"^-?\d{1,3}(?:['’]\d{3})+(?:[.,]\d+)?$"),
}
_DECIMAL = {
    ",": re.compile(r"^-?\d+,(?:\d{1,2}|\d{4,}|0+)$"),
    ".": re.compile(r"^-?\d+\.(?:\d{1,2}|\d{4,}|0+)$"),
}
_NUMBER = re.compile(r"^[-+]?\d+(?:\.\d*)?(?:[eE][+]?\d+)?$")


def as_texts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a table of texts, None where a cell is blank or a mark for a missing value. Headings become texts, too."""
    named = rows.set_axis([str(name) for name in rows.columns], axis=1)
    return named.loc[:, ~named.columns.duplicated()].apply(_texts).astype(object)


def _texts(cells: pd.Series) -> pd.Series:
    codes, values = pd.factorize(cells.map(_hashable) if cells.dtype == object else cells)
    moments = [v for v in values if isinstance(v, datetime)]
    if moments and all(v.time() == time.min and v.tzinfo is None for v in moments):
        days = [v.date() if isinstance(v, datetime) else v for v in values]
    else:
        days = list(values)
    texts = np.array([*map(_text, days), None], dtype=object)
    return pd.Series(texts[codes], index=cells.index, dtype=object)


def _hashable(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def _text(value: Any) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, float | np.floating):
        if not np.isfinite(value):
            return None
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    text = str(value).strip()
    return None if text.casefold() in MISSING_MARKS else text


@dataclass(frozen=True)
class NumberFormat:
    """How a file writes numbers."""

    decimal: str | None = None
    thousands: str | None = None

    def parse(self, cells: pd.Series) -> Floats:
        """Return the numbers, (n,), NaN where a cell is blank or no number."""
        codes, values = pd.factorize(cells)
        parsed = np.array([*map(self._number, values), np.nan])
        return np.asarray(parsed[codes], dtype=np.float64)

    def _number(self, text: str) -> float:
        if self.thousands == " ":
            text = re.sub(r"[\u00a0\u202f ]", "", text)
        elif self.thousands:
            text = text.replace(self.thousands, "").replace("’", "")
        if self.decimal == ",":
            text = text.replace(",", ".")
        return float(text) if _NUMBER.match(text) else np.nan


def number_style(columns: Iterable[pd.Series]) -> NumberFormat:
    """Find out how numbers are written: a mark followed by other than three digits is the decimal mark."""
    seen: dict[tuple[str, str], int] = {}
    for cells in columns:
        values = pd.unique(cells.dropna())[:5000]
        if not len(values) or np.mean([v[:1].isdigit() or v[:1] == "-" for v in values]) < 0.8:
            continue
        for kind, patterns in (("decimal", _DECIMAL), ("thousands", _GROUPS)):
            for mark, pattern in patterns.items():
                matched = sum(bool(pattern.match(v)) for v in values)
                if matched:
                    seen[kind, mark] = seen.get((kind, mark), 0) + matched
    decimal = max(
        (m for k, m in seen if k == "decimal"), key=lambda m: seen["decimal", m], default=None
    )
    thousands = max(
        (m for k, m in seen if k == "thousands" and m != decimal),
        key=lambda m: seen["thousands", m],
        default=None,
    )
    return NumberFormat(decimal, thousands)


def is_function_of(frame: pd.DataFrame, column: str, key: str) -> bool:
    """Return whether a column has one value for each value of `key` (in 99 % of them)."""
    pairs = frame[[key, column]].dropna()
    if pairs.empty:
        return False
    counted = pairs.drop_duplicates().groupby(key)[column].size()
    return bool((counted == 1).mean() >= 0.99)
