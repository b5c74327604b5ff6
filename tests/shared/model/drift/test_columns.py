"""The columns that are tested for drift, computed by hand, and the choice of the reference period."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from tests.shared.model.drift_counts import counted
from tests.shared.model.small_city import ZONE
from velocast.core.datetimes import start_of_local_day
from velocast.model.drift.columns import COLUMNS, choose_reference, drift_columns


def test_columns_of_a_small_period() -> None:
    monday = start_of_local_day(date(2021, 6, 7), ZONE)
    hours = [monday + timedelta(hours=n) for n in range(7 * 24)]
    counts = pd.DataFrame({"counter_id": "c", "counted_at": hours, "bike_count": 2})
    counts.loc[5 * 24 :, "bike_count"] = 1  # the weekend
    counts.loc[7:9, "bike_count"] = 16  # Monday morning
    found = drift_columns(
        counts,
        zone=ZONE,
        weather=pd.DataFrame({"temperature_c": [1.0, None], "precipitation_mm": [None, None]}),
        errors=pd.DataFrame({"bike_count": [3.0, 5.0], "predicted_count": [4.0, 2.0]}),
    )
    assert list(found.columns) == [name for name in COLUMNS if name != "precipitation_mm"]
    mean = (5 * 24 * 2 + 3 * 14 + 48) / 168
    assert found["bike_count"].tolist() == counts["bike_count"].tolist()
    assert found["relative_count"].tolist() == pytest.approx((counts["bike_count"] / mean).tolist())
    monday_total, weekday, weekend = 24 * 2 + 3 * 14, 24 * 2, 24
    assert found["morning_share"].dropna().tolist() == pytest.approx(
        [48 / monday_total] + [6 / weekday] * 4 + [3 / weekend] * 2
    )
    assert found["night_share"].dropna().tolist() == pytest.approx(
        [14 / monday_total] + [14 / weekday] * 4 + [7 / weekend] * 2
    )
    assert found["weekend_ratio"].dropna().tolist() == pytest.approx([1 / ((5 * 48 + 42) / 120)])
    assert found["temperature_c"].dropna().tolist() == [1.0]
    assert found["absolute_error"].dropna().tolist() == [1.0, 3.0]


def test_incomplete_days_and_weeks_have_no_share() -> None:
    counts = counted(date(2021, 6, 7), 1, seed=1).query("counter_id == 'c1'").head(19)
    assert list(drift_columns(counts, zone=ZONE).columns) == ["bike_count", "relative_count"]
    silent = counted(date(2021, 6, 7), 7, seed=1).assign(bike_count=0)
    assert list(drift_columns(silent, zone=ZONE).columns) == ["bike_count"]
    assert drift_columns(silent.head(0), zone=ZONE).empty


@pytest.mark.parametrize(
    ("history_first", "first", "last", "name"),
    [
        (date(2020, 6, 8), date(2020, 6, 8), date(2020, 7, 5), "the same weeks a year earlier"),
        (date(2020, 6, 9), date(2021, 5, 10), date(2021, 6, 6), "the 28 days before"),
    ],
)
def test_the_reference_is_last_year_where_the_history_reaches(
    history_first: date, first: date, last: date, name: str
) -> None:
    found = choose_reference(last_day=date(2021, 7, 4), history_first=history_first, days=28)
    assert (found.first, found.last, found.name) == (first, last, name)
    assert found.first.weekday() == date(2021, 6, 7).weekday()


def test_the_reference_s_bounds_are_local_days() -> None:
    found = choose_reference(last_day=date(2021, 4, 24), history_first=date(2021, 1, 1), days=28)
    assert found.bounds(ZONE) == (
        datetime(2021, 2, 27, 23, tzinfo=UTC),
        datetime(2021, 3, 27, 23, tzinfo=UTC),
    )
