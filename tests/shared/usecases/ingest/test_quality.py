"""The local hours that are repeated when summer time ends."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from velocast.core.clock_changes import repeated_hours


@pytest.mark.parametrize(
    ("zone", "since", "until", "expected"),
    [
        ("Europe/Paris", (2025, 10, 1), (2025, 11, 1), [(2025, 10, 26, 0)]),
        ("Europe/Paris", (2025, 10, 25, 23), (2025, 10, 27), [(2025, 10, 26, 0)]),
        ("Europe/Paris", (2024, 1, 1), (2026, 1, 1), [(2024, 10, 27, 0), (2025, 10, 26, 0)]),
        ("Europe/Paris", (2025, 3, 1), (2025, 5, 1), []),  # spring skips an hour and repeats none
        ("America/New_York", (2025, 11, 1), (2025, 11, 4), [(2025, 11, 2, 5)]),
        ("UTC", (2025, 1, 1), (2026, 1, 1), []),
        ("Australia/Adelaide", (2025, 4, 1), (2025, 4, 8), [(2025, 4, 5, 15, 30)]),
        ("America/St_Johns", (2025, 11, 1), (2025, 11, 4), [(2025, 11, 2, 3, 30)]),
    ],
)
def test_repeated_hours(
    zone: str,
    since: tuple[int, ...],
    until: tuple[int, ...],
    expected: list[tuple[int, ...]],
) -> None:
    found = repeated_hours(ZoneInfo(zone), moment(since), moment(until))

    assert found == [moment(hour) for hour in expected]


def moment(parts: tuple[int, ...]) -> datetime:
    year, month, day, hour, minute = (*parts, 0, 0)[:5]
    return datetime(year, month, day, hour, minute, tzinfo=UTC)
