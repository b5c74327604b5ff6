"""RFC 3339 times, as Google's APIs write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 time and return it in UTC. Raises ValueError when it is not one or has no zone."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no zone; add Z or an offset like +01:00")
    return instant.astimezone(UTC)


def rfc3339(instant: datetime) -> str:
    """Write an aware time in UTC with a Z."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def after_start(started_at: str, elapsed_seconds: float) -> str:
    """Return the end of what began at `started_at` (simulated) and took `elapsed_seconds` (real), as RFC 3339."""
    return rfc3339(parse_instant(started_at) + timedelta(seconds=elapsed_seconds))
