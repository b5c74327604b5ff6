"""Which local days a challenger may learn from, and which it is judged on. Pure: dates in, dates out."""

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


class Window(Message):
    """Local days `first` <= day < `until`."""

    first: date
    until: date

    @property
    def days(self) -> int:
        """Number of days, 0 when it is empty."""
        return max(0, (self.until - self.first).days)

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return the UTC instants at which it begins and ends (exclusive)."""
        return start_of_local_day(self.first, zone), start_of_local_day(self.until, zone)

    def overlaps(self, other: Window) -> bool:
        """Tell whether a day is in both."""
        return max(self.first, other.first) < min(self.until, other.until)

    def without(self, other: Window) -> list[Window]:
        """Return what is left of it when `other` is cut out, in order, without empty parts."""
        before = Window(first=self.first, until=min(self.until, other.first))
        after = Window(first=max(self.first, other.until), until=self.until)
        if other.days == 0:
            return [self]
        return [part for part in (before, after) if part.days]


class Windows(Message):
    """How one training run cuts the days it knows.

    `learnable` holds everything but the tests. Its days from `calibrate_from` on are held out of a first fit, whose
    misses on them make the conformal intervals; the fit that counts then learns from them too.
    """

    known: Window
    learnable: tuple[Window, ...]
    calibrate_from: date
    test_baseline: Window
    test_current: Window


def split_days(known: Window, *, test_share: float) -> tuple[Window, Window]:
    """Cut the days in time into (train, test) at a local midnight; both have at least one day."""
    test_days = min(known.days - 1, max(1, round(known.days * test_share)))
    cut = known.until - timedelta(days=test_days)
    return Window(first=known.first, until=cut), Window(first=cut, until=known.until)


def cut_windows(known: Window, test_baseline: Window, thresholds: Thresholds) -> Windows:
    """Cut the known days for one training run.

    `current` is the newest 30 days (all there are in a young city); its newest 20 % is the test. Raises
    TooLittleHistory for fewer than MIN_DAYS days, or when the tests leave fewer than half of that to learn from.
    """
    check_history(known)
    current = Window(
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


def check_history(known: Window) -> None:
    """Raise TooLittleHistory for fewer than MIN_DAYS days."""
    if known.days < MIN_DAYS:
        raise TooLittleHistory(
            f"usable counts of {known.days} local day(s) from {known.first} on; training needs {MIN_DAYS}: "
            "wait, or backfill older counts"
        )


def calibration_start(learnable: Sequence[Window]) -> date:
    """Return the first day held out of the first fit to calibrate the intervals.

    The last 28 learnable days, but no more than a quarter: a young city needs its few days to learn from. Raises
    TooLittleHistory for fewer than MIN_DAYS / 2 learnable days.
    """
    days = [part.first + n * DAY for part in learnable for n in range(part.days)]
    if len(days) < MIN_DAYS // 2:
        raise TooLittleHistory(
            f"{len(days)} day(s) are left to learn from beside the tests; training needs {MIN_DAYS // 2}: "
            "wait, or backfill older counts"
        )
    return days[-min(CALIBRATION_DAYS, len(days) // 4)]
