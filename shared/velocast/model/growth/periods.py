"""The two periods that are compared: the newest year, and the year that began on a given day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from velocast.core.unknown import Unknown

YEAR = 364  # days: 52 whole weeks, so that both periods hold the same weekdays
LEAST = 28  # days of a period


@dataclass(frozen=True)
class Periods:
    """Both have `days` days, and start on the same day of the week and nearly of the year."""

    before: date
    now: date
    days: int

    @property
    def whole_year(self) -> bool:
        """Return whether the periods hold every season."""
        return self.days == YEAR

    @property
    def until(self) -> date:
        """Return the end of the newer period, itself excluded."""
        return self.now + timedelta(days=self.days)


def compared_periods(first: date, until: date, since: date | None = None) -> Periods | Unknown:
    """Return the newest year and the year that began on `since`, or as much of both as there is.

    first: first day with counts; until: day after the last. since: default: a year before the newest year, or `first`
    if that is later. Returns Unknown, with the reason, where the counts do not reach over a year and LEAST days.
    """
    start = since or max(first, until - timedelta(days=2 * YEAR))
    if start < first:
        return Unknown(reason=f"the counts begin on {first}, after {start}")
    length = (until - start).days
    if length < YEAR + LEAST:
        return Unknown(
            reason=f"a year is lacking: from {start} to {until} there are {max(length, 0)} days, "
            f"and {YEAR + LEAST} are needed to compare the same season"
        )
    days = min(YEAR, length - YEAR)
    weeks = (length - days) // 7  # the newer period starts on the same day of the week
    return Periods(
        before=until - timedelta(days=days + 7 * weeks), now=until - timedelta(days=days), days=days
    )
