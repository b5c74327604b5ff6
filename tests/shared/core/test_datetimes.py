"""Conversions between UTC and local time, including days of 23 and 25 hours."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from velocast.core import datetimes
from velocast.core.errors import EventError

PARIS = ZoneInfo("Europe/Paris")
PUBLISHED = datetime(2026, 3, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T02:00:00Z", datetime(2026, 3, 1, 2, tzinfo=UTC)),
        ("2026-03-01T03:00:00+01:00", datetime(2026, 3, 1, 2, tzinfo=UTC)),
    ],
)
def test_reads_instants_in_any_zone(text: str, expected: datetime) -> None:
    assert datetimes.parse_instant(text) == expected
    assert datetimes.rfc3339(datetimes.parse_instant(text)) == "2026-03-01T02:00:00Z"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yesterday", "as_of 'yesterday' is not an RFC 3339 time"),
        ("2026-03-01T02:00:00", "has no zone"),
        (7, "as_of 7 is not an RFC 3339 time"),
    ],
)
def test_text_that_is_no_instant_is_refused(text: str, message: str) -> None:
    with pytest.raises(EventError, match=message):
        datetimes.parse_instant(text)


def test_as_of_falls_back_to_the_publish_time() -> None:
    assert datetimes.resolve_as_of(None, PUBLISHED) == PUBLISHED


def test_as_of_may_be_in_the_past_but_not_in_the_future() -> None:
    assert datetimes.resolve_as_of("2025-01-01T00:00:00Z", PUBLISHED) == datetime(
        2025, 1, 1, tzinfo=UTC
    )
    edge = datetimes.rfc3339(PUBLISHED + datetimes.FUTURE_TOLERANCE)
    assert datetimes.resolve_as_of(edge, PUBLISHED) == PUBLISHED + datetimes.FUTURE_TOLERANCE
    with pytest.raises(EventError, match="is later than the event itself"):
        datetimes.resolve_as_of("2026-03-01T02:05:01Z", PUBLISHED)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 28), 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 25)],
)
def test_local_days_have_their_own_length(day: date, hours: int) -> None:
    start = datetimes.start_of_local_day(day, PARIS)
    assert datetimes.horizon_end(start, PARIS, days=1) - start == timedelta(hours=hours)


def test_origin_is_the_start_of_the_local_day() -> None:
    late_evening = datetime(2026, 6, 30, 22, 30, tzinfo=UTC)  # already 1 July in Paris
    origin = datetimes.origin_of(late_evening, PARIS)
    assert origin == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert datetimes.lead_day(late_evening, origin, PARIS) == 0
    assert datetimes.lead_day(origin + timedelta(hours=24), origin, PARIS) == 1
