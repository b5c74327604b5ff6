"""Which local days a challenger may learn from, and which it is tested on. Pure: dates in, dates out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from velocast.core.datetimes import start_of_local_day
from velocast.core.errors import TooLittleHistory
from velocast.core.requests import Message
from velocast.core.settings import Thresholds

MIN_DAYS = 14
CALIBRATION_DAYS = 28
DAY = timedelta(days=1)


class DayRange(Message):
    """Local days `first` <= day < `until`."""

    first: date
    until: date

    @property
    def days(self) -> int:
        """Number of days, 0 for an empty range."""
        return max(0, (self.until - self.first).days)

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return the UTC instants of its begin and its end (excluded)."""
        return start_of_local_day(self.first, zone), start_of_local_day(self.until, zone)

    def overlaps(self, other: DayRange) -> bool:
        """Return whether any day is in both."""
        return max(self.first, other.first) < min(self.until, other.until)

    def without(self, other: DayRange) -> list[DayRange]:
        """Return its parts outside `other`, in order, without empty ones."""
        before = DayRange(first=self.first, until=min(self.until, other.first))
        after = DayRange(first=max(self.first, other.until), until=self.until)
        if other.days == 0:
            return [self]
        return [part for part in (before, after) if part.days]


class Windows(Message):
    """How one training splits the days it knows.

    `learnable` holds all days but those of the tests. The days from `calibrate_from` on are held out of a first fit,
    whose errors on them make the conformal intervals; the final fit learns from them too.
    """

    known: DayRange
    learnable: tuple[DayRange, ...]
    calibrate_from: date
    test_baseline: DayRange
    test_current: DayRange


def split_days(known: DayRange, *, test_share: float) -> tuple[DayRange, DayRange]:
    """Split the days at a local midnight into (train, test); both have at least one day."""
    test_days = min(known.days - 1, max(1, round(known.days * test_share)))
    cut = known.until - timedelta(days=test_days)
    return DayRange(first=known.first, until=cut), DayRange(first=cut, until=known.until)


def cut_windows(known: DayRange, test_baseline: DayRange, thresholds: Thresholds) -> Windows:
    """Split the known days for one training.

    test_current is the newest part (`current_test_share`) of the newest `current_days` days, or of all days in a young
    city. Raises
    TooLittleHistory for fewer than MIN_DAYS days, or when the tests leave fewer than half of that to learn from.
    """
    check_history(known)
    current = DayRange(
        first=max(known.first, known.until - timedelta(days=thresholds.current_days)),
        until=known.until,
    )
    _, test_current = split_days(current, test_share=thresholds.current_test_share)
    learnable = [
        part for whole in known.without(test_baseline) for part in whole.without(test_current)
    ]
    return Windows(
        known=known,
        learnable=tuple(learnable),
        calibrate_from=calibration_start(learnable),
        test_baseline=test_baseline,
        test_current=test_current,
    )


def check_history(known: DayRange) -> None:
    """Raise TooLittleHistory for fewer than MIN_DAYS days."""
    if known.days < MIN_DAYS:
        raise TooLittleHistory(
            f"usable counts of {known.days} local day(s) from {known.first} on; training needs {MIN_DAYS}: "
            "wait, or backfill older counts"
        )


def calibration_start(learnable: Sequence[DayRange]) -> date:
    """Return the first day held out of the first fit to calibrate the intervals.

    These are the last 28 learnable days, but no more than a quarter of all: a young city has few to learn from. Raises
    TooLittleHistory for fewer than MIN_DAYS / 2 learnable days.
    """
    days = [part.first + n * DAY for part in learnable for n in range(part.days)]
    if len(days) < MIN_DAYS // 2:
        raise TooLittleHistory(
            f"{len(days)} day(s) are left to learn from besides the tests; training needs {MIN_DAYS // 2}: "
            "wait, or backfill older counts"
        )
    return days[-min(CALIBRATION_DAYS, len(days) // 4)]
