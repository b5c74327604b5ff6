from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.emulators import LOCATION, PROJECT
from tests.frame_rows import named_rows
from tests.shared.model import small_city
from tests.shared.model.small_city import DAY, ZONE, Oracle
from velocast.adapters.bigquery.client import Warehouse
from velocast.core import schemas
from velocast.core.city import City, load_city
from velocast.core.datetimes import start_of_local_day
from velocast.core.errors import EventError
from velocast.model.features.calendar_features import holiday_dates
from velocast.model.features.definition import FEATURES, feature_matrix
from velocast.usecases import feature_store

ROUNDED = 0.5 * 10**-feature_store.DECIMALS + 1e-9

CITY = load_city("demoville")
LATER = datetime(2030, 1, 1, tzinfo=UTC)


def as_table(city: pd.DataFrame) -> pa.Table:
    table = pa.Table.from_pandas(
        city.assign(ingested_at=LATER)[list(schemas.table(schemas.COUNTS).columns)],
        preserve_index=False,
    )
    return table.set_column(3, "quality", table["quality"].cast(pa.string()))


def fill(store: Warehouse, city: pd.DataFrame) -> None:
    store.merge(schemas.COUNTS, as_table(city), keys=["counter_id", "counted_at"])


def read(store: Warehouse, first: date, last: date, **options: Any) -> pd.DataFrame:
    options = {"actual_until": LATER} | options
    return feature_store.read_features(store, CITY, first_origin=first, last_origin=last, **options)


@pytest.mark.parametrize(
    ("first_day", "first_origin"),
    [
        pytest.param(date(2021, 1, 28), date(2021, 3, 27), id="clock forward, 23 hours"),
        pytest.param(date(2020, 10, 5), date(2020, 11, 1), id="clock back and a holiday"),
        pytest.param(date(2021, 4, 20), date(2021, 4, 24), id="four days of history"),
    ],
)
def test_every_feature_of_every_hour_is_what_its_description_says(
    store: Warehouse, first_day: date, first_origin: date
) -> None:
    days = (first_origin - first_day).days + 6
    city = small_city.counts(first_day, days, seed=first_origin.day)
    fill(store, city)
    found = read(store, first_origin, first_origin + DAY)
    oracle = Oracle(city, holiday_dates("FR", first_day - 30 * DAY, first_origin + 10 * DAY))
    expected = pd.DataFrame(
        [
            {"counter_id": row.counter_id, "target_at": row.target_at}
            | oracle.features(
                row.counter_id, row.origin_at.tz_convert(ZONE).date(), row.target_at.to_pydatetime()
            )
            for row in named_rows(found)
        ]
    )
    names = list(expected.columns)
    pd.testing.assert_frame_equal(
        found[names].astype(dict.fromkeys(names[2:], "float64")),
        expected.astype(dict.fromkeys(names[2:], "float64")),
        check_dtype=False,
        rtol=0,
        atol=ROUNDED,
    )
    hours = sum(_hours(first_origin + n * DAY) for n in range(5))
    hours += sum(_hours(first_origin + n * DAY) for n in range(1, 6))
    assert len(found) == 4 * hours


def _hours(day: date) -> int:
    return int(
        (start_of_local_day(day + DAY, ZONE) - start_of_local_day(day, ZONE)).total_seconds()
        // 3600
    )


def test_keys_leads_and_order(store: Warehouse) -> None:
    fill(store, small_city.counts(date(2021, 3, 1), 40, seed=1))
    found = read(store, date(2021, 3, 27), date(2021, 3, 28))
    first = found[found["counter_id"] == "c0"].iloc[:120]
    assert not found.duplicated(["origin_at", "counter_id", "target_at"]).any()
    assert (
        found[["origin_at", "counter_id", "target_at"]].apply(tuple, axis=1).is_monotonic_increasing
    )
    assert first["origin_at"].iloc[0] == datetime(2021, 3, 26, 23, tzinfo=UTC)
    assert first["lead_hours"].iloc[[0, 24, 47]].tolist() == [0, 24, 47]
    assert first["lead_day"].iloc[[23, 24, 46, 47]].tolist() == [
        0,
        1,
        1,
        2,
    ]  # the 28th has 23 hours
    assert first["local_hour"].iloc[24:28].tolist() == [0, 1, 3, 4]
    assert first["local_date"].iloc[47] == pd.Timestamp("2021-03-29")
    assert set(FEATURES) <= set(found.columns)


@pytest.mark.parametrize(
    ("origin", "lead_days"),
    [
        pytest.param(date(2021, 3, 27), 5, id="clock forward"),
        # 168 hours before the last hour of these 169 is the origin itself
        pytest.param(date(2020, 10, 24), 7, id="clock back"),
    ],
)
def test_no_count_at_or_after_the_origin_enters_a_feature(
    store: Warehouse, origin: date, lead_days: int
) -> None:
    city = small_city.counts(origin - 26 * DAY, 40, seed=3)
    fill(store, city)
    before = read(store, origin, origin, lead_days=lead_days)
    unknowable = city["counted_at"] >= start_of_local_day(origin, ZONE)
    nonsense = city.assign(bike_count=city["bike_count"].where(~unknowable, 4999))
    fill(store, nonsense)
    after = read(store, origin, origin, lead_days=lead_days)
    assert (after["bike_count"].dropna() == 4999).all()
    pd.testing.assert_frame_equal(
        before.drop(columns="bike_count"), after.drop(columns="bike_count")
    )


def test_the_threshold_of_busy_hours_is_only_computed_where_it_is_asked_for(
    store: Warehouse,
) -> None:
    fill(store, small_city.counts(date(2021, 3, 1), 40, seed=1))
    whole = read(store, date(2021, 3, 27), date(2021, 3, 28))
    without = read(store, date(2021, 3, 27), date(2021, 3, 28), with_busy=False)
    assert whole["busy_threshold"].notna().any()
    assert without["busy_threshold"].isna().all()
    assert without["busy_threshold"].dtype == "float64"
    others = whole.columns.drop("busy_threshold")
    pd.testing.assert_frame_equal(without[others], whole[others])


def test_nothing_at_or_after_actual_until_is_read(store: Warehouse) -> None:
    origin = date(2021, 3, 27)
    fill(store, small_city.counts(date(2021, 3, 1), 40, seed=3))
    begin = start_of_local_day(origin, ZONE)
    found = read(store, origin, origin, actual_until=begin + timedelta(hours=5))
    counted = found.loc[found["bike_count"].notna(), "target_at"]
    assert counted.max() == begin + timedelta(hours=4)
    assert read(store, origin, origin, actual_until=begin)["bike_count"].isna().all()


def test_one_lead_draws_each_counted_target_once_with_the_features_of_that_lead(
    store: Warehouse,
) -> None:
    first, last = date(2021, 3, 24), date(2021, 4, 4)
    city = small_city.counts(date(2021, 3, 1), 40, seed=4)
    fill(store, city)
    drawn = read(store, first, last, one_lead=True)
    every = read(store, first, last)
    keys = ["origin_at", "counter_id", "target_at"]
    assert not drawn.duplicated(["counter_id", "target_at"]).any()
    assert drawn["bike_count"].notna().all()
    assert drawn["lead_day"].value_counts(normalize=True).between(0.15, 0.25).all()
    pd.testing.assert_frame_equal(drawn, every.merge(drawn[keys], on=keys)[drawn.columns])
    whole = city[
        city["quality"].isna()
        & city["counted_at"].between(
            start_of_local_day(first + 4 * DAY, ZONE),
            start_of_local_day(last + DAY, ZONE),
            inclusive="left",
        )
    ]
    seen = set(zip(drawn["counter_id"], drawn["target_at"], strict=True))
    assert set(zip(whole["counter_id"], whole["counted_at"], strict=True)) <= seen


def test_chosen_counters_of_a_frozen_table(store: Warehouse) -> None:
    city = small_city.counts(date(2021, 3, 1), 40, seed=5)
    store.load_table("bike_traffic_raw.frozen_features_test", as_table(city), expires_days=1)
    origin = date(2021, 3, 27)
    found = read(
        store,
        origin,
        origin,
        counts_table="bike_traffic_raw.frozen_features_test",
        counter_ids=["c2", "c0"],
        lead_days=2,
    )
    assert found["counter_id"].unique().tolist() == ["c0", "c2"]
    assert found["lead_day"].unique().tolist() == [0, 1]
    assert found["bike_count"].notna().any()


def test_a_counter_that_never_counted_has_rows_without_history(store: Warehouse) -> None:
    fill(store, small_city.counts(date(2021, 3, 1), 40, seed=6))
    nobody = pa.table({"counter_id": ["new"], "counter_name": ["New"]})
    store.merge(schemas.COUNTERS, nobody, keys=["counter_id"])
    origin = date(2021, 3, 27)
    found = read(store, origin, origin).query("counter_id == 'new'")
    assert len(found) == 119  # five days, one of 23 hours
    assert (
        found[["similar_day_mean", "level", "busy_threshold", "bike_count"]].isna().all(axis=None)
    )
    assert (found["history_hours"] == 0).all()
    assert feature_matrix(found).shape == (119, len(FEATURES))
    assert feature_matrix(found).dtype == np.float64


def test_school_holidays_and_events_come_from_the_citys_file(store: Warehouse) -> None:
    """Those that are listed count as known at every origin; a counter's name is that of the stored counters."""
    fill(store, small_city.counts(date(2021, 3, 1), 40, seed=6))
    named = pa.table({"counter_id": ["c0", "c1"], "counter_name": ["Quai", "Pont"]})
    store.merge(schemas.COUNTERS, named, keys=["counter_id"])
    run = {"what": "Run", "kind": "event", "since": "2021-03-28 01:00", "until": "2021-03-28 04:00"}
    origin = date(2021, 3, 27)
    frames = {}
    for at, event in {"name": {"area": "quai"}, "id": {"counters": ["c0"]}, "all": {}}.items():
        city = City(
            **CITY.model_dump()
            | {"school_holidays": [["2021-03-20", "2021-03-28"]], "events": [run | event]}
        )
        frames[at] = feature_store.read_features(
            store, city, first_origin=origin, last_origin=origin, actual_until=LATER
        )
    pd.testing.assert_frame_equal(frames["name"], frames["id"])
    found = frames["name"]
    on = found[found["is_event"] > 0]
    assert on["counter_id"].unique().tolist() == ["c0"]
    # the clock goes forward: from one to four there are two hours
    assert on["target_at"].dt.hour.tolist() == [0, 1]
    assert (frames["all"]["is_event"] == 1).sum() == 2 * found["counter_id"].nunique()
    free = found[found["is_school_holiday"] > 0]
    assert sorted(free["local_date"].dt.day.unique()) == [27, 28]
    assert found["school_holiday_share_14d"].round(9).eq(round(7 / 14, 9)).all()


@pytest.mark.parametrize(
    ("first", "last", "lead_days", "message"),
    [
        (date(2021, 3, 2), date(2021, 3, 1), 5, "the last is before the first"),
        (date(2021, 3, 1), date(2021, 3, 1), 8, "8 lead days requested, 1 to 7 are possible"),
        (date(2021, 3, 1), date(2021, 3, 1), 0, "0 lead days requested"),
    ],
)
def test_an_impossible_range_is_refused(
    first: date, last: date, lead_days: int, message: str
) -> None:
    with pytest.raises(EventError, match=message):
        read(Warehouse(PROJECT, LOCATION), first, last, lead_days=lead_days)
