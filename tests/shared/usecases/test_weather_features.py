"""Weather features against an oracle; weather issued after the origin is not used."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.frame_rows import named_rows
from tests.shared.model import small_city
from tests.shared.model.small_city import DAY, ZONE
from tests.shared.model.small_weather import WeatherOracle, versions
from tests.shared.usecases.test_feature_store import CITY, LATER, fill, read
from velocast.adapters.bigquery.client import Warehouse
from velocast.core import schemas
from velocast.core.datetimes import start_of_local_day
from velocast.model.features.calendar_features import holiday_dates
from velocast.model.features.definition import WEATHER
from velocast.usecases import feature_store

ROUNDED = 0.5 * 10**-feature_store.DECIMALS + 1e-9


def put(store: Warehouse, weather: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(weather, preserve_index=False)
    store.merge(schemas.WEATHER, table, keys=["valid_at", "issued_at"])


@pytest.mark.parametrize(
    "origin",
    [
        pytest.param(date(2021, 3, 26), id="clock forward"),
        pytest.param(date(2020, 10, 24), id="clock back"),
        pytest.param(date(2021, 5, 12), id="a holiday ahead"),
    ],
)
def test_every_weather_feature_is_what_its_description_says(store: Warehouse, origin: date) -> None:
    fill(store, small_city.counts(origin - 4 * DAY, 6, seed=1, counters=2))
    weather = versions(origin - 30 * DAY, 36, seed=origin.day)
    put(store, weather)
    found = read(store, origin, origin + DAY).query("counter_id == 'c0'")
    oracle = WeatherOracle(weather, holiday_dates("FR", origin - 40 * DAY, origin + 10 * DAY))
    expected = pd.DataFrame(
        [
            oracle.features(row.origin_at.tz_convert(ZONE).date(), row.target_at.to_pydatetime())
            for row in named_rows(found)
        ],
        index=found.index,
    )[list(WEATHER)].astype("float64")
    # an hour without weather known at the origin has no row
    issued = weather.groupby("valid_at")["issued_at"].min().reindex(found["target_at"]).array
    unknown = ~(issued <= found["origin_at"].array)
    expected.loc[unknown] = np.nan
    assert 0 < unknown.sum() < len(found)
    pd.testing.assert_frame_equal(
        found[list(WEATHER)].astype("float64"), expected, rtol=0, atol=ROUNDED
    )


def test_weather_issued_after_the_origin_changes_nothing(store: Warehouse) -> None:
    origin = date(2021, 3, 27)
    fill(store, small_city.counts(origin - 4 * DAY, 6, seed=2, counters=2))
    weather = versions(origin - 10 * DAY, 15, seed=4)
    put(store, weather)
    before = read(store, origin, origin)
    begin = start_of_local_day(origin, ZONE)
    nonsense = weather.assign(temperature_c=99.0, precipitation_mm=99.0, cloud_pct=99.0)
    late = [begin + timedelta(seconds=1), begin + timedelta(days=3)]
    for issued_at in late:
        put(store, nonsense.drop_duplicates("valid_at").assign(issued_at=issued_at))
    after = read(store, origin, origin)
    pd.testing.assert_frame_equal(before[list(WEATHER)], after[list(WEATHER)], rtol=1e-9)
    assert before["temperature"].notna().any()


def test_without_weather_the_columns_are_there_and_empty(store: Warehouse) -> None:
    origin = date(2021, 3, 27)
    fill(store, small_city.counts(origin - 4 * DAY, 6, seed=2, counters=2))
    found = read(store, origin, origin)
    assert found[list(WEATHER)].isna().all(axis=None)
    assert found["similar_day_mean"].notna().any()


def test_weather_of_another_table(store: Warehouse) -> None:
    origin = date(2021, 3, 27)
    fill(store, small_city.counts(origin - 4 * DAY, 6, seed=2, counters=2))
    table = pa.Table.from_pandas(versions(origin - 5 * DAY, 9, seed=5), preserve_index=False)
    store.load_table("bike_traffic_raw.other_weather", table, expires_days=1)
    found = feature_store.read_features(
        store,
        CITY,
        first_origin=origin,
        last_origin=origin,
        actual_until=LATER,
        weather_table="bike_traffic_raw.other_weather",
    )
    assert found["temperature"].notna().any()


def test_an_hour_that_begins_at_half_past_has_the_weather_of_its_first_half(
    store: Warehouse,
) -> None:
    zone = ZoneInfo(
        "Australia/Adelaide"
    )  # 9:30 before UTC, with DST 10:30: the clock goes back on 4 April
    origin = date(2021, 4, 3)
    begin = start_of_local_day(origin - 3 * DAY, zone)
    counted = pd.date_range(begin, periods=24 * 4, freq="h")
    city = pd.DataFrame(
        {"counter_id": "c0", "counted_at": counted, "bike_count": 7, "quality": None}
    )
    fill(store, city)
    hours = pd.date_range(begin.replace(minute=0), periods=24 * 9, freq="h")
    weather = pd.DataFrame(
        {
            "valid_at": hours,
            "issued_at": hours[0],
            "temperature_c": np.arange(len(hours), dtype=float),
            "precipitation_mm": 1.0,
            "cloud_pct": 50.0,
            "source": "forecast",
        }
    )
    put(store, weather)
    found = feature_store.read_features(
        store,
        CITY.model_copy(update={"time_zone": zone.key}),
        first_origin=origin,
        last_origin=origin,
        actual_until=LATER,
    )
    assert (found["target_at"].dt.minute == 30).all()
    assert len(found) == 24 * 5 + 1, "the day on which the clock goes back has 25 hours"
    expected = weather.set_index("valid_at")["temperature_c"]
    first_half = expected.loc[found["target_at"].dt.floor("h")]
    assert found["temperature"].tolist() == first_half.tolist()
