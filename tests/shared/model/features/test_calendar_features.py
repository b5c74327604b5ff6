from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from velocast.core.errors import SettingsError
from velocast.model.features.calendar_features import (
    calendar_columns,
    day_type,
    holiday_dates,
    school_columns,
    school_free_days,
)

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        (date(2021, 5, 14), "working"),
        (date(2021, 5, 15), "saturday"),
        (date(2021, 5, 16), "rest"),
        (date(2021, 5, 13), "rest"),  # Ascension, a Thursday
        (date(2021, 5, 1), "rest"),  # a holiday on a Saturday
    ],
)
def test_day_type(day: date, kind: str) -> None:
    assert day_type(day, [date(2021, 5, 1), date(2021, 5, 13)]) == kind


def test_holidays_lie_within_the_bounds_across_a_new_year() -> None:
    assert holiday_dates("FR", date(2020, 12, 25), date(2021, 1, 1)) == [
        date(2020, 12, 25),
        date(2021, 1, 1),
    ]
    assert holiday_dates("FR", date(2021, 2, 1), date(2021, 2, 28)) == []
    assert holiday_dates(None, date(2020, 12, 25), date(2021, 1, 1)) == []
    assert date(2021, 3, 8) in holiday_dates("DE-BE", date(2021, 3, 1), date(2021, 3, 31))


def test_an_unknown_calendar_is_named() -> None:
    with pytest.raises(SettingsError, match="'XX' is no holiday calendar"):
        holiday_dates("XX", date(2021, 1, 1), date(2021, 1, 2))


def test_columns_describe_the_local_day_of_the_target() -> None:
    instants = [
        "2021-05-12T21:00Z",  # Wednesday 23:00, the eve of Ascension
        "2021-05-12T22:00Z",  # Thursday 00:00
        "2021-05-14T10:00Z",  # Friday, morrow and bridge
        "2021-05-15T10:00Z",
        "2021-07-12T10:00Z",  # Monday, two days before a holiday on a Wednesday
    ]
    frame = pd.DataFrame({"target_at": pd.to_datetime(instants, utc=True)}, index=[9, 8, 7, 6, 5])
    found = calendar_columns(frame, PARIS, holiday_dates("FR", date(2021, 5, 1), date(2021, 7, 31)))
    expected = pd.DataFrame(
        [
            ["2021-05-12", 2, 0, 0, 0, 1, 0, 0],
            ["2021-05-13", 3, 1, 0, 1, 0, 0, 0],
            ["2021-05-14", 4, 0, 0, 0, 0, 1, 1],
            ["2021-05-15", 5, 0, 1, 0, 0, 0, 0],
            ["2021-07-12", 0, 0, 0, 0, 0, 0, 0],
        ],
        columns=list(found.columns),
        index=frame.index,
    )
    expected["local_date"] = pd.to_datetime(expected["local_date"])
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_the_monday_before_a_tuesday_holiday_is_a_bridge() -> None:
    frame = pd.DataFrame({"target_at": pd.to_datetime(["2023-08-14T10:00Z"], utc=True)})
    found = calendar_columns(frame, PARIS, [date(2023, 8, 15)])
    assert found[["is_bridge", "is_eve"]].iloc[0].tolist() == [1, 1]


def test_an_empty_frame_has_the_columns_too() -> None:
    frame = pd.DataFrame({"target_at": pd.to_datetime([], utc=True)})
    assert list(calendar_columns(frame, PARIS, []).columns)[:2] == ["local_date", "weekday"]


def test_school_holidays_of_the_target_and_their_share_before_the_origin() -> None:
    """Paris, Christmas 2020: from Saturday 19 December to Sunday 3 January; a day's hours are those of its clock."""
    free = school_free_days([("2020-12-19", "2021-01-03"), ("2021-02-13", "2021-02-13")])
    assert (len(free), min(free), max(free)) == (17, date(2020, 12, 19), date(2021, 2, 13))
    instants = [  # origin, target
        ("2020-12-17T23:00Z", "2020-12-18T22:00Z"),  # Friday 23:00
        ("2020-12-17T23:00Z", "2020-12-18T23:00Z"),  # Saturday 00:00, seen from the day before
        ("2020-12-18T23:00Z", "2020-12-20T12:00Z"),  # no day before the origin's is free
        ("2020-12-25T23:00Z", "2020-12-26T12:00Z"),  # seven are
        ("2021-01-03T23:00Z", "2021-01-03T23:00Z"),  # the first day of school: all are
        ("2021-01-16T23:00Z", "2021-01-18T12:00Z"),  # one is still among the fourteen
        ("2021-01-17T23:00Z", "2021-01-18T12:00Z"),
    ]
    frame = pd.DataFrame(instants, columns=["origin_at", "target_at"], index=range(3, 10))
    frame = frame.apply(pd.to_datetime, utc=True)
    found = school_columns(frame, PARIS, free)
    assert found.index.equals(frame.index)
    assert found["is_school_holiday"].tolist() == [0, 1, 1, 1, 0, 0, 0]
    assert (found["school_holiday_share_14d"] * 14).round(9).tolist() == [0, 0, 0, 7, 14, 1, 0]
    assert (school_columns(frame, PARIS, []) == 0).all(axis=None)
    assert school_columns(frame.head(0), PARIS, free).shape == (0, 2)
