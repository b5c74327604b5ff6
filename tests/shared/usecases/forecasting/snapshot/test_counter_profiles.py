"""What the snapshot shows besides the forecasts: typical weeks, recent counts, positions."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from scipy.stats import norm

from tests.shared.usecases import small_city
from tests.shared.usecases.forecasting.snapshot.one_counter import CITY, DAY, one_counter, read
from tests.shared.usecases.small_city import AS_OF, ORIGIN

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
Z_90 = norm.ppf(0.95)


def test_a_typical_week_is_the_median_of_eight_weeks_of_local_hours() -> None:
    hours = pd.date_range(end=ORIGIN, periods=9 * 168, freq="h", inclusive="left")
    hour_itself = timedelta(hours=1)
    weeks = [(ORIGIN - hour - hour_itself) // timedelta(days=7) for hour in hours]  # 8 is too old
    slots = [h.tz_convert(CITY.zone).weekday() * 24 + h.tz_convert(CITY.zone).hour for h in hours]
    levels = [1000 if week == 8 else 10 * week for week in weeks]  # 0, 10, .. 70 by age
    small_city.store(one_counter(hours, [s + n for s, n in zip(slots, levels, strict=True)]))

    profiles = read()

    typical = profiles.typical.loc["c1"]
    assert typical.tolist() == [30 + slot for slot in range(168)]
    spread = profiles.typical_spread.loc["c1"]
    assert spread.tolist() == pytest.approx([Z_90 * 24.4949] * 168, rel=1e-4)


def test_one_week_is_no_typical_week() -> None:
    hours = pd.date_range(end=ORIGIN, periods=168, freq="h", inclusive="left")
    small_city.store(one_counter(hours, range(168 - 1)))

    assert read().typical.isna().all(axis=None)


def test_a_constant_hour_still_has_an_interval() -> None:
    hours = pd.date_range(end=ORIGIN, periods=4 * 168 + 1, freq="h", inclusive="left")
    small_city.store(one_counter(hours, [25] * len(hours)))

    assert read().typical_spread.loc["c1"].tolist() == pytest.approx([Z_90 * 5] * 168)


def test_recent_counts_end_with_the_last_whole_hour_and_leave_out_outages() -> None:
    hours = pd.date_range(ORIGIN - 15 * DAY, AS_OF + 2 * DAY, freq="h")
    city = one_counter(hours, range(len(hours)))
    broken = city["counted_at"] == ORIGIN
    small_city.store(city.assign(quality=broken.map({True: "outage", False: None})))

    profiles = read()

    assert profiles.recent_from == AS_OF - 14 * DAY
    expected = [
        None if hour == ORIGIN else (hour - hours[0]) / timedelta(hours=1)
        for hour in pd.date_range(profiles.recent_from, periods=336, freq="h")
    ]
    recent = profiles.recent.loc["c1"]
    assert [None if pd.isna(n) else n for n in recent.tolist()] == expected
    counter = profiles.counters.loc["c1"]
    assert counter["last_counted_at"] == AS_OF
    assert counter["last_count"] == (AS_OF - hours[0]) / timedelta(hours=1)
    assert counter["counter_name"] == "Quai N-S"
    assert (counter["latitude"], counter["longitude"]) == (48.85, 2.35)


def test_means_use_only_counts_known_at_the_origin() -> None:
    hours = pd.date_range(ORIGIN - DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10 if hour < ORIGIN else 900 for hour in hours]))

    assert read().counters.at["c1", "mean_count"] == 10


@pytest.mark.parametrize("quality", ["outage", "clock_change", "suspect"])
def test_flagged_counts_enter_neither_typical_weeks_nor_means(quality: str) -> None:
    hours = pd.date_range(end=ORIGIN, periods=4 * 168 + 1, freq="h", inclusive="left")
    city = one_counter(hours, [25] * len(hours))
    broken = city["counted_at"].between(ORIGIN - 9 * DAY, ORIGIN - 8 * DAY)
    small_city.store(
        city.assign(
            bike_count=city["bike_count"].mask(broken, 900),
            quality=broken.map({True: quality, False: None}),
        )
    )

    profiles = read()

    assert profiles.counters.at["c1", "mean_count"] == 25
    assert profiles.typical.loc["c1"].tolist() == [25] * 168
    assert profiles.typical_spread.loc["c1"].tolist() == pytest.approx([Z_90 * 5] * 168)
