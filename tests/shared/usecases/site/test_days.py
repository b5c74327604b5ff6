"""Days, records and the year to date of a counter, recomputed with pandas."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from tests.shared.usecases.serving import snapshots
from velocast.usecases.site.days import Day, compare_years, describe_days
from velocast.usecases.snapshot_format import CounterSnapshot

ZONE = ZoneInfo(snapshots.ZONE)


def frame(counter: CounterSnapshot) -> pd.DataFrame:
    """A counter's days: bikes (NaN without a count) and hours counted, by date."""
    dates = pd.date_range(str(counter.days_from), periods=len(counter.days), freq="D")
    bikes = pd.Series(counter.days, dates, dtype="float64")
    return pd.DataFrame({"bikes": bikes, "hours": counter.day_hours})


def test_days_and_records_are_those_of_pandas() -> None:
    counter = snapshots.counter(4, 160)
    known = frame(counter)
    found = describe_days(counter, ZONE)
    assert found is not None
    assert found["from"] == "2024-02-01"
    assert found["bikes"] == [None if pd.isna(b) else b for b in known["bikes"]]
    lengths = [
        len(pd.date_range(day, day + pd.Timedelta(days=1), freq="h", tz=ZONE, inclusive="left"))
        for day in known.index
    ]
    assert sorted(set(lengths)) == [23, 24, 25]
    assert found["counted"] == (100 * known["hours"] / lengths).round().astype(int).tolist()
    most = known["bikes"].nlargest(3)
    assert [(d["date"], d["bikes"]) for d in found["busiest"]] == [
        (f"{day:%Y-%m-%d}", bikes) for day, bikes in most.items()
    ]
    least = known[known["hours"] >= 22]["bikes"]
    assert found["quietest"] == {"date": f"{least.idxmin():%Y-%m-%d}", "bikes": least.min()}


def test_the_year_to_date_compares_the_days_that_are_whole_in_both_years() -> None:
    counter = snapshots.counter(4, 160)
    known = frame(counter)
    found = describe_days(counter, ZONE)
    assert found is not None
    this = known["2026-01-01":]
    before = known["2025-01-01":"2025-03-02"].set_axis(this.index)
    whole = (this["hours"] >= 22) & (before["hours"] >= 22)
    year = found["year_to_date"]
    assert (year["year"], year["until"], year["days"]) == (2026, "2026-03-02", 61)
    assert year["whole"] == (this["hours"] >= 22).sum() == 58
    assert year["bikes"] == this["bikes"].sum()
    # Without 5, 12 and 20 January, 10 and 11 February: a day of either year was lost or half counted.
    assert year["compared"] == whole.sum() == 56
    assert year["this"] == this["bikes"][whole].sum()
    assert year["before"] == before["bikes"][whole].sum()


def test_a_day_that_was_lost_is_compared_with_its_estimate_and_the_share_is_told() -> None:
    days = [Day(date(2024, 1, 1) + timedelta(i), 100, 1.0) for i in range(366 + 10)]
    days[-1] = Day(days[-1].date, None, 0.0, 90, 1.0)
    days[-2] = Day(days[-2].date, 40, 0.5, 30, 0.25)  # a quarter is still missing
    found = compare_years(days)
    assert (found["compared"], found["this"], found["before"]) == (8, 800, 800)
    assert found["rebuilt"] == {
        "compared": 9,
        "this": 890,
        "before": 900,
        "estimated_share": round(90 / 1790, 4),
    }
    assert found["bikes"] == 840


def test_without_estimates_nothing_is_rebuilt() -> None:
    found = describe_days(snapshots.counter(4, 160), ZONE)
    assert found is not None
    assert (found["estimated"], found["year_to_date"]["rebuilt"]) == ([], None)


def test_a_leap_day_has_no_day_in_the_year_before() -> None:
    days = [Day(date(2023, 1, 1) + timedelta(i), 1, 1.0) for i in range(365 + 60)]
    assert days[-1].date == date(2024, 2, 29)
    found = compare_years(days)
    assert (found["days"], found["whole"], found["compared"]) == (60, 60, 59)


@pytest.mark.parametrize("days", [1, 40])
def test_a_young_counter_has_nothing_to_compare(days: int) -> None:
    counter = snapshots.counter(1, 50).model_copy(
        update={
            "days_from": snapshots.ORIGIN.date() - timedelta(days - 1),
            "days": (5,) * days,
            "day_hours": (24,) * days,
        }
    )
    found = describe_days(counter, ZONE)
    assert found is not None
    year = found["year_to_date"]
    assert (year["compared"], year["this"], year["before"]) == (0, 0, 0)
    assert len(found["busiest"]) == min(days, 3)


def test_a_counter_without_days_has_none() -> None:
    assert describe_days(snapshots.bare("c"), ZONE) is None


def test_a_counter_of_half_days_has_no_quietest_day() -> None:
    counter = snapshots.counter(1, 50)
    half = counter.model_copy(update={"day_hours": tuple(min(h, 12) for h in counter.day_hours)})
    found = describe_days(half, ZONE)
    assert found is not None
    assert found["quietest"] is None
    assert found["year_to_date"]["whole"] == 0
