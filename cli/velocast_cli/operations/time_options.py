"""Times and durations as a person writes them on the command line."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from velocast.core.datetimes import parse_instant
from velocast.core.errors import EventError

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_day(text: str, name: str) -> datetime:
    """Read a date, whose start in UTC is meant, or an RFC 3339 time. Raises EventError."""
    is_date = re.fullmatch(r"\d{4}-\d{2}-\d{2}", text)
    return parse_instant(f"{text}T00:00:00Z" if is_date else text, name=name)


def parse_date(text: str, name: str) -> date:
    """Read a date, a day of the city's clock. Raises EventError."""
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise EventError(f"{name} {text!r} is no date ({exc}); write it like 2026-03-01") from exc


def parse_duration(text: str) -> timedelta:
    """Read a duration such as 7d, 36h or 45m. Raises EventError."""
    found = re.fullmatch(r"([1-9]\d{0,4})([mhd])", text)
    if not found:
        raise EventError(f"{text!r} is no duration; write it like 7d, 36h or 45m")
    return timedelta(**{UNITS[found[2]]: int(found[1])})
