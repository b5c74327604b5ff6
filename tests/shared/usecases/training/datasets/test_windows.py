from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velocast.core.datetimes import parse_instant
from velocast.core.errors import TooLittleHistory
from velocast.core.settings import Thresholds
from velocast.usecases.training.datasets.windows import (
    DayRange,
    calibration_start,
    cut_windows,
    split_days,
)

START = date(2025, 1, 1)


def days(first: int, until: int) -> DayRange:
    return DayRange(first=START + timedelta(days=first), until=START + timedelta(days=until))


def listed(*windows: DayRange) -> list[date]:
    return [window.first + timedelta(days=n) for window in windows for n in range(window.days)]


@pytest.mark.parametrize(
    ("cut", "left"),
    [
        (days(3, 5), [days(0, 3), days(5, 10)]),
        (days(-5, 2), [days(2, 10)]),
        (days(8, 20), [days(0, 8)]),
        (days(-1, 11), []),
        (days(20, 30), [days(0, 10)]),
        (days(-9, -3), [days(0, 10)]),
        (days(4, 4), [days(0, 10)]),
    ],
)
def test_cutting_a_window_out_of_another(cut: DayRange, left: list[DayRange]) -> None:
    assert days(0, 10).without(cut) == left


def test_a_window_begins_and_ends_at_local_midnights_also_when_the_clock_changes() -> None:
    window = DayRange(first=date(2025, 3, 30), until=date(2025, 3, 31))
    first, until = window.bounds(ZoneInfo("Europe/Paris"))
    assert (first, until) == (
        parse_instant("2025-03-29T23:00:00Z"),
        parse_instant("2025-03-30T22:00:00Z"),
    )


def test_a_split_leaves_both_halves_a_day() -> None:
    assert split_days(days(0, 90), test_share=0.3) == (days(0, 63), days(63, 90))
    assert split_days(days(0, 2), test_share=0.01) == (days(0, 1), days(1, 2))
    assert split_days(days(0, 2), test_share=0.99) == (days(0, 1), days(1, 2))


def test_a_young_city_learns_from_its_oldest_days() -> None:
    known = days(0, 21)
    _, test = split_days(known, test_share=0.3)
    cut = cut_windows(known, test, Thresholds())
    assert cut.test_baseline == days(15, 21)
    assert cut.test_current == days(17, 21)
    assert cut.learnable == (days(0, 15),)
    assert cut.calibrate_from == START + timedelta(days=12)


def test_later_the_days_after_the_baseline_are_learned_from_too() -> None:
    cut = cut_windows(days(0, 200), days(63, 90), Thresholds())
    assert cut.learnable == (days(0, 63), days(90, 194))
    assert cut.test_current == days(194, 200)
    assert cut.calibrate_from == START + timedelta(days=194 - 28)


@given(known=st.integers(14, 500), share=st.floats(0.1, 0.5), later=st.integers(0, 400))
def test_no_day_is_both_learned_from_and_tested_on(known: int, share: float, later: int) -> None:
    _, test = split_days(days(0, known), test_share=share)
    cut = cut_windows(days(0, known + later), test, Thresholds())
    learnable = listed(*cut.learnable)
    tested = set(listed(cut.test_baseline, cut.test_current))
    assert not tested & set(learnable)
    assert tested | set(learnable) == set(listed(cut.known))
    assert learnable == sorted(learnable)
    assert learnable[0] < cut.calibrate_from <= learnable[-1]


def test_too_few_days_are_refused_with_how_many_are_needed() -> None:
    with pytest.raises(TooLittleHistory, match=r"usable counts of 13 local day\(s\).*needs 14"):
        cut_windows(days(0, 13), days(9, 13), Thresholds())


def test_tests_that_leave_nothing_to_learn_from_are_refused() -> None:
    with pytest.raises(TooLittleHistory, match=r"6 day\(s\) are left to learn from"):
        cut_windows(days(0, 40), days(6, 38), Thresholds())
    with pytest.raises(TooLittleHistory, match=r"0 day\(s\) are left"):
        calibration_start([])
