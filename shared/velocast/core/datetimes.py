"""Conversions between UTC, which the code uses, and the city's local time. Nothing here reads the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from velocast.core.errors import EventError

HORIZON_DAYS = 5
SCORED_LEAD_DAYS = 3
HOUR = timedelta(hours=1)
FUTURE_TOLERANCE = timedelta(minutes=5)
FIRST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
LAST_INSTANT = datetime(2200, 1, 1, tzinfo=UTC)


def parse_instant(text: str, *, name: str = "as_of") -> datetime:
    """Read an RFC 3339 instant and return it in UTC.

    Raises EventError when the text is not an RFC 3339 time, has no zone (a naive time is ambiguous twice a year), or is
    outside 1970 to 2199: near the years 1 and 9999, time ranges and local times cannot be computed.
    """
    try:
        instant = datetime.fromisoformat(text)
    except (TypeError, ValueError) as exc:
        raise EventError(
            f"{name} {text!r} is not an RFC 3339 time; write it like 2026-03-01T02:00:00Z"
        ) from exc
    if instant.tzinfo is None:
        raise EventError(f"{name} {text!r} has no zone; add Z or an offset like +01:00")
    if not FIRST_INSTANT <= instant < LAST_INSTANT:
        raise EventError(f"{name} {text!r} is outside the years 1970 to 2199; correct its year")
    return instant.astimezone(UTC)


def resolve_as_of(asked: str | None, published_at: datetime) -> datetime:
    """Return the time as of which a run works: the event's `as_of`, or else its publication time (UTC).

    Raises EventError when `as_of` is more than 5 minutes after publication, since nothing is known of the future.
    """
    if asked is None:
        return published_at.astimezone(UTC)
    as_of = parse_instant(asked)
    if as_of > published_at + FUTURE_TOLERANCE:
        raise EventError(
            f"as_of {rfc3339(as_of)} is later than the event itself ({rfc3339(published_at)}); "
            "give an earlier time or omit as_of"
        )
    return as_of


def rfc3339(instant: datetime) -> str:
    """Format an aware datetime in UTC, with a Z."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    """Return the date in the city's time zone."""
    return instant.astimezone(zone).date()


def start_of_local_day(day: date, zone: ZoneInfo) -> datetime:
    """Return the UTC instant at which a local day begins."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def start_of_hour(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return the UTC instant at which the hour of the city's clock begins: half past in UTC in some zones."""
    local = instant.astimezone(zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return instant.astimezone(UTC) - past


def origin_of(as_of: datetime, zone: ZoneInfo) -> datetime:
    """Return the forecast origin of a run: the start of its local day, in UTC."""
    return start_of_local_day(local_date(as_of, zone), zone)


def horizon_end(origin: datetime, zone: ZoneInfo, days: int = HORIZON_DAYS) -> datetime:
    """Return the end (exclusive, UTC) of the local days forecast from `origin`."""
    return start_of_local_day(local_date(origin, zone) + timedelta(days=days), zone)


def lead_day(target: datetime, origin: datetime, zone: ZoneInfo) -> int:
    """Return the number of local days from the origin's day to the target's day (0: the same day)."""
    return (local_date(target, zone) - local_date(origin, zone)).days
