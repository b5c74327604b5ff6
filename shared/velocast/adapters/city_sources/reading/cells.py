"""Single values: numbers, texts and days as cities write them. Each distinct one is parsed once (`distinct.py`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from velocast.core.city.reading import FileFormat

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_SPACES = re.compile(r"[ \u00a0\u202f]")


@dataclass(frozen=True)
class NumberStyle:
    """How a file writes numbers, and the texts that stand for none."""

    decimal: str
    thousands: str | None
    missing: frozenset[str]

    @classmethod
    def of(cls, file: FileFormat) -> NumberStyle:
        """Return the style that a file's format describes."""
        return cls(
            file.decimal or ".", file.thousands, frozenset(m.casefold() for m in file.missing)
        )

    def is_missing(self, value: Any) -> bool:
        """Return whether a value is a mark for no value."""
        return isinstance(value, str) and value.strip().casefold() in self.missing

    def number(self, value: Any) -> float | None:
        """Return a value as a number, infinite if it is beyond all bounds; None if it is no number."""
        if isinstance(value, bool):
            return None
        if isinstance(value, str):
            return self._parsed(value.strip())
        try:
            return float(value)
        except OverflowError:
            return float("inf")
        except (TypeError, ValueError):
            return None

    def _parsed(self, text: str) -> float | None:
        if self.thousands is not None:
            text = self._ungrouped(text)
        if self.decimal == ",":
            if "." in text:
                return None
            text = text.replace(",", ".")
        return float(text) if _NUMBER.fullmatch(text) else None

    def _ungrouped(self, text: str) -> str:
        """Remove the marks between thousands, where they do stand between groups of three digits."""
        mark = {" ": "[ \u00a0\u202f]", "'": "['\u2019]"}.get(self.thousands or "") or re.escape(
            self.thousands or ""
        )
        if re.fullmatch(rf"[+-]?\d{{1,3}}({mark}\d{{3}})+(\D\d+)?", text):
            return re.sub(mark, "", text)
        return text


def as_text(value: Any) -> str | None:
    """Return a text or a whole number as text, without white space around it; None for anything else or nothing."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int):
        return None
    text = str(value).strip()
    try:
        text.encode("utf-8")  # an escaped lone surrogate is valid JSON but cannot be stored
    except UnicodeEncodeError:
        return None
    return text or None


def as_time_text(value: Any, *, more_follows: bool) -> str:
    """Return a value of a time column as text. more_follows: whether another column has the time of the day."""
    if isinstance(value, datetime):
        midnight = value.time() == time.min and value.tzinfo is None
        return value.date().isoformat() if more_follows and midnight else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return as_text(value) or ""


def as_day(value: Any) -> date | None:
    """Return the date at the start of a value; None if there is none."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None
