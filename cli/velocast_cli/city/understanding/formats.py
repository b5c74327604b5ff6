"""How the files that were understood are to be read: sheets, marks of numbers and of missing values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from velocast.core.city.reading import MISSING_MARKS, FileFormat
from velocast_cli.city.understanding.columns import Sample

MOST_MARKS = 5


def file_values(sample: Sample, counted: Sequence[str], aside: dict[str, str]) -> dict[str, Any]:
    """Return what looking at a few rows may not tell of the files. counted: columns of counts."""
    values: dict[str, Any] = {}
    style = sample.style
    if style.decimal == ",":
        values["decimal"] = ","
    if style.thousands:
        values["thousands"] = style.thousands
    if marks := _marks(sample, counted):
        values["missing"] = [*MISSING_MARKS, *marks]
    if sheet := _sheet(sample.files, aside):
        values["sheet"] = sheet
    return values


def _marks(sample: Sample, counted: Sequence[str]) -> list[str]:
    """Return texts in columns of counts that stand for no count, such as `k.A.` or `n.v.`."""
    found: dict[str, None] = {}
    for name in counted:
        cells = sample.frame[name]
        odd = cells[cells.notna() & pd.isna(sample.numbers(name))]
        for text in odd.unique():
            if not any(c.isdigit() for c in str(text)):
                found[str(text)] = None
    return list(found) if len(found) <= MOST_MARKS else []


def _sheet(files: pd.Series, aside: dict[str, str]) -> str | None:
    """Return a regular expression of the sheets that hold counts, None where it is the only one."""
    used = sorted(
        {str(f).rpartition("#")[2] for f in files.unique() if ".xls" in str(f) and "#" in str(f)}
    )
    others = [place for place in aside if ".xls" in place and "#" in place]
    if not used or (len(used) == 1 and not others):
        return None
    general = {re.sub(r"\d+", r"\\d+", re.escape(name)) for name in used}
    pattern = f"^(?:{'|'.join(sorted(general))})$"
    if any(re.search(pattern, place.rpartition("#")[2]) for place in others):
        pattern = f"^(?:{'|'.join(map(re.escape, used))})$"
    return pattern


def format_words(formats: Sequence[FileFormat]) -> str:
    """Say in words how files are written."""
    said = []
    for each in formats:
        parts = [str(each.kind or "").replace("_", " ")]
        if each.kind == "csv":
            parts.append(f"separated by {each.delimiter!r}")
            parts.append(str(each.encoding))
            if (each.header_line or 1) > 1:
                parts.append(f"headings on line {each.header_line}")
        elif each.records:
            parts.append(f"records at {each.records!r}")
        said.append(", ".join(parts))
    return "; ".join(dict.fromkeys(said))
