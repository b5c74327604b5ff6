"""Days and hours of the years before, beside pandas."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pytest

from tests.shared.usecases import small_city
from tests.shared.usecases.small_city import ORIGIN
from velocast.core import schemas
from velocast.core.city import load_city
from velocast.usecases.forecasting.snapshot.long_past import (
    LongPast,
    PastDays,
    a_year_before,
    read_long_past,
)

CITY = load_city("demoville")
HOUR = timedelta(hours=1)
SHOWN = [ORIGIN - 336 * HOUR + i * HOUR for i in range(456)]


def read() -> LongPast:
    return read_long_past(small_city.warehouse(), CITY, origin_at=ORIGIN, hours=SHOWN)


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    """Two years and two months of two counters; the second has counted since last summer and has gaps."""
    hours = pd.date_range(pd.Timestamp("2023-01-10", tz="UTC"), ORIGIN + 6 * HOUR, freq="h")
    old = pd.DataFrame({"counter_id": "c1", "counted_at": hours, "bike_count": range(len(hours))})
    young = old[old["counted_at"] >= "2024-07-01"].assign(counter_id="c2")
    gap = young["counted_at"].between("2024-08-01", "2024-08-03")
    flagged = young["counted_at"].between("2025-01-01 05:00", "2025-01-01 09:00")
    young = young.assign(quality=flagged.map({True: "outage", False: None}))[~gap]
    place: dict[str, Any] = {"site_id": "s", "site_name": "S", "latitude": 48.85, "longitude": 2.35}
    return pd.concat([old, young]).assign(counter_name="Quai N-S", **place)


@pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
def test_days_are_sums_of_local_days_and_hours_of_a_year_before_those_52_weeks_earlier(
    counts: pd.DataFrame,
) -> None:
    small_city.store(counts)

    found = read()

    usable = counts[counts["quality"].isna() & (counts["counted_at"] < ORIGIN)]
    local = usable["counted_at"].dt.tz_convert(CITY.time_zone)
    by_day = usable.groupby(["counter_id", local.dt.date])["bike_count"].agg(["sum", "count"])
    for counter, first in (("c1", date(2023, 3, 1)), ("c2", date(2024, 7, 1))):
        days = found.days_of(counter)
        assert days.first == first
        wanted = by_day.loc[counter].reindex(pd.date_range(first, "2025-03-09").date)
        assert list(days.bikes) == [None if pd.isna(b) else int(b) for b in wanted["sum"]]
        assert list(days.hours) == wanted["count"].fillna(0).astype(int).tolist()
    assert found.days_of("c2").bikes[32] is None  # 2 August is in the gap
    at = usable[usable["counter_id"] == "c1"].set_index("counted_at")["bike_count"]
    assert found.year_ago_of("c1") == tuple(at.loc[h - timedelta(weeks=52)] for h in SHOWN)
    assert found.year_ago_of("c2") == ()
    assert found.days_of("nobody") == PastDays()


@pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
def test_estimates_stand_beside_the_counts_and_a_count_outranks_them(counts: pd.DataFrame) -> None:
    small_city.store(counts)
    hours = pd.date_range("2024-07-31T22:00Z", "2024-08-02T22:00Z", freq="h", inclusive="left")
    rows = pd.DataFrame(
        {"counter_id": "c2", "counted_at": hours.as_unit("us"), "estimated_count": 2.5}
    )
    rows = rows.assign(lower=1.0, upper=4.0, basis="usual", made_at=pd.Timestamp(small_city.AS_OF))
    schema = schemas.arrow(schemas.COUNT_ESTIMATES)
    small_city.warehouse().merge(
        schemas.COUNT_ESTIMATES,
        pa.Table.from_pandas(rows[schema.names], schema=schema, preserve_index=False),
        keys=["counter_id", "counted_at"],
    )

    days = read().days_of("c2")

    # The gap begins at midnight UTC, two o'clock of 1 August in Paris; the two hours before it were counted.
    assert (days.bikes[31], days.hours[31]) != (None, 0)
    assert (days.hours[31], days.estimated_hours[31], days.estimated_bikes[31]) == (2, 22, 55)
    assert (days.bikes[32], days.estimated_hours[32], days.estimated_bikes[32]) == (None, 24, 60)
    assert sum(days.estimated_hours) == 46


@pytest.mark.parametrize(
    ("hour", "before"),
    [
        (datetime(2026, 3, 3, 6, tzinfo=UTC), datetime(2025, 3, 4, 6, tzinfo=UTC)),
        # 27 March 2024 was winter time in Paris, 29 March 2023 summer time: 7 o'clock is another UTC hour.
        (datetime(2024, 3, 27, 6, tzinfo=UTC), datetime(2023, 3, 29, 5, tzinfo=UTC)),
        (datetime(2016, 10, 25, 5, tzinfo=UTC), datetime(2015, 10, 27, 6, tzinfo=UTC)),
        # 2 o'clock was skipped on 26 March 2023.
        (datetime(2024, 3, 24, 1, tzinfo=UTC), None),
    ],
)
def test_a_year_before_is_the_same_hour_of_the_clock(
    hour: datetime, before: datetime | None
) -> None:
    assert a_year_before(hour, ZoneInfo("Europe/Paris")) == before
