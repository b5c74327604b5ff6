"""A city of one counter, what is known of it, and its snapshot."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd

from tests.shared.usecases import champions, small_city
from tests.shared.usecases.small_city import AS_OF, ORIGIN
from velocast.core.city import load_city
from velocast.usecases.forecasting.snapshot.building import build_snapshot
from velocast.usecases.forecasting.snapshot.counter_profiles import (
    CounterProfiles,
    read_counter_profiles,
)
from velocast.usecases.snapshot_format import Snapshot

CITY = load_city("demoville")
DAY = timedelta(days=1)


def read() -> CounterProfiles:
    return read_counter_profiles(
        small_city.warehouse(), CITY, origin_at=ORIGIN, as_of=AS_OF + timedelta(minutes=20)
    )


def one_counter(hours: pd.DatetimeIndex, counts: list[int] | range) -> pd.DataFrame:
    """A city of one counter."""
    place: dict[str, Any] = {"site_id": "s", "site_name": "S", "latitude": 48.85, "longitude": 2.35}
    return pd.DataFrame(
        {"counter_id": "c1", "counter_name": "Quai N-S", "counted_at": hours, "bike_count": counts}
    ).assign(**place)


def forecasts_of_one_counter() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "counter_id": "c1",
            "target_at": pd.date_range(ORIGIN, periods=120, freq="h"),
            "predicted_count": 12.3456,
            "lower": 8.0,
            "upper": 17.0,
            "q25": 10.0,
            "q50": 12.004,
            "q75": 14.0,
            "busy_probability": 0.12345,
            "basis": "model",
            "level": 11.0,
            "busy_threshold": 15.0,
        }
    )


def build() -> Snapshot:
    return build_snapshot(
        CITY,
        read(),
        [forecasts_of_one_counter()],
        origin_at=ORIGIN,
        as_of=AS_OF,
        champion=champions.publish(3),
        busy_champion=None,
        busy_from=0.5,
        generated_by="gbm version 3",
    )
