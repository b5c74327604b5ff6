"""Which days are compared."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from velocast.core.unknown import Unknown
from velocast.model.growth.periods import Periods, compared_periods

UNTIL = date(2026, 3, 2)


def days_ago(days: int) -> date:
    return UNTIL - timedelta(days=days)


@pytest.mark.parametrize(
    ("first", "since", "before", "days"),
    [
        (2000, None, 728, 364),
        (728, None, 728, 364),
        (500, None, 500, 136),
        (392, None, 392, 28),
        (2000, 1100, 1099, 364),  # the first whole week from there on
        (2000, 600, 600, 236),
    ],
)
def test_compares_as_much_of_both_years_as_there_is(
    first: int, since: int | None, before: int, days: int
) -> None:
    found = compared_periods(days_ago(first), UNTIL, days_ago(since) if since else None)

    assert found == Periods(before=days_ago(before), now=days_ago(days), days=days)
    assert found.before.weekday() == found.now.weekday()
    assert found.until == UNTIL
    assert found.whole_year == (days == 364)


@pytest.mark.parametrize(
    ("first", "since", "reason"),
    [
        (391, None, "a year is lacking: from 2025-02-04 to 2026-03-02 there are 391 days"),
        (2000, 200, "a year is lacking"),
        (500, 600, "the counts begin on 2024-10-18, after 2024-07-10"),
        (2000, -10, "there are 0 days"),
    ],
)
def test_says_when_a_year_is_lacking(first: int, since: int | None, reason: str) -> None:
    found = compared_periods(days_ago(first), UNTIL, days_ago(since) if since else None)

    assert isinstance(found, Unknown)
    assert reason in found.reason
