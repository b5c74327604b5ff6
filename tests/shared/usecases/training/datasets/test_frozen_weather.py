from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from google.cloud import bigquery

from tests import emulators
from tests.shared.usecases import small_city
from velocast.core import schemas
from velocast.core.datetimes import parse_instant
from velocast.core.errors import ModelUnusable
from velocast.usecases.training.datasets import frames, frozen_counts, frozen_weather
from velocast.usecases.training.datasets.frames import FeatureSource
from velocast.usecases.training.datasets.frozen_weather import FrozenWeather
from velocast.usecases.training.stored.run_store import WEATHER, RunStore
from velocast_cli import datasets as baselines

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")

ORIGIN = parse_instant("2025-03-09T23:00:00Z")
HOUR = timedelta(hours=1)


def store(*hours: tuple[Any, Any, float]) -> None:
    """Store (valid_at, issued_at, temperature)."""
    rows = pd.DataFrame(hours, columns=["valid_at", "issued_at", "temperature_c"]).assign(
        precipitation_mm=0.5, wind_kmh=None, humidity_pct=80.0, cloud_pct=10.0, source="forecast"
    )
    table = pa.Table.from_pandas(rows, preserve_index=False)
    column = table.column_names.index("wind_kmh")
    table = table.set_column(column, "wind_kmh", table["wind_kmh"].cast(pa.float64()))
    small_city.warehouse().merge(schemas.WEATHER, table, keys=["valid_at", "issued_at"])


def known(frozen: FrozenWeather) -> list[tuple[Any, float]]:
    rows = small_city.warehouse().read(
        frozen_weather.weather_table(small_city.job_run(), frozen),
        columns=["valid_at", "temperature_c"],
    )
    return sorted((row["valid_at"], row["temperature_c"]) for row in rows.to_pylist())


def test_what_was_known_at_the_origin_is_frozen() -> None:
    store(
        (ORIGIN - 2 * HOUR, ORIGIN - 9 * HOUR, 4.0),
        (ORIGIN - 1 * HOUR, ORIGIN - 9 * HOUR, 5.0),
        (ORIGIN - 1 * HOUR, ORIGIN, 6.0),
        (ORIGIN, ORIGIN - 9 * HOUR, 7.0),
    )
    frozen = frozen_weather.freeze_weather(small_city.job_run())
    assert frozen.rows == 2
    assert emulators.objects("datasets").names("weather/") == [f"weather/{frozen.sha256}.parquet"]
    assert known(frozen) == [(ORIGIN - 2 * HOUR, 4.0), (ORIGIN - HOUR, 5.0)]
    rows = frozen_counts.read_frozen(small_city.job_run(), frozen)
    assert rows.column_names == list(schemas.table(schemas.WEATHER).columns)
    assert rows["wind_kmh"].null_count == 2


def test_what_arrives_late_does_not_change_what_was_frozen() -> None:
    store((ORIGIN - HOUR, ORIGIN - 9 * HOUR, 5.0))
    frozen = frozen_weather.freeze_weather(small_city.job_run())
    assert frozen_weather.freeze_weather(small_city.job_run()) == frozen
    store((ORIGIN - HOUR, ORIGIN - 5 * HOUR, 8.0))
    assert known(frozen) == [(ORIGIN - HOUR, 5.0)]
    assert frozen_weather.freeze_weather(small_city.job_run()).sha256 != frozen.sha256


def test_a_city_without_weather_freezes_none_of_it() -> None:
    frozen = frozen_weather.freeze_weather(small_city.job_run())
    assert frozen.rows == 0
    assert known(frozen) == []


def test_an_expired_table_is_loaded_again_and_an_altered_object_noticed(
    warehouse_tables: bigquery.Client,
) -> None:
    store((ORIGIN - HOUR, ORIGIN - 9 * HOUR, 5.0))
    frozen = frozen_weather.freeze_weather(small_city.job_run())
    warehouse_tables.delete_table(f"{emulators.PROJECT}.{frozen.table}")
    assert known(frozen) == [(ORIGIN - HOUR, 5.0)]
    warehouse_tables.delete_table(f"{emulators.PROJECT}.{frozen.table}")
    emulators.objects("datasets").write(
        f"weather/{frozen.sha256}.parquet", b"other", content_type="text/plain"
    )
    with pytest.raises(ModelUnusable, match=f"it was frozen as {frozen.sha256}"):
        frozen_weather.weather_table(small_city.job_run(), frozen)


def test_it_is_listed_and_verified_beside_the_counts(warehouse_tables: bigquery.Client) -> None:
    store((ORIGIN - HOUR, ORIGIN - 9 * HOUR, 5.0))
    frozen = frozen_weather.freeze_weather(small_city.job_run())
    RunStore(small_city.job_run()).save_once(WEATHER, frozen)
    (listed,) = baselines.list_datasets(small_city.job_run())
    assert (listed.role, listed.rows, listed.sha256) == ("weather", 1, frozen.sha256)
    (intact,) = baselines.verify_datasets(small_city.job_run())
    assert (intact.object_copy, intact.table_copy, intact.faults) == ("intact", "intact", ())
    table = f"{emulators.PROJECT}.{frozen.table}"
    warehouse_tables.query_and_wait(f"UPDATE `{table}` SET temperature_c = 9.0 WHERE TRUE")
    try:
        (altered,) = baselines.verify_datasets(small_city.job_run())
        assert altered.table_copy == "differs"
    finally:
        warehouse_tables.delete_table(table)


def test_rows_to_learn_from_take_the_frozen_weather() -> None:
    small_city.store(small_city.make(counters=2, days=20))
    hours = [ORIGIN - n * HOUR for n in range(1, 24 * 20)]
    store(*[(hour, hour - timedelta(days=3), 5.0) for hour in hours])
    run = small_city.job_run()
    counts, frozen = frozen_counts.freeze_counts(run), frozen_weather.freeze_weather(run)
    store(*[(hour, hour - timedelta(days=2), 30.0) for hour in hours])
    tables = frozen_counts.counts_table(run, counts), frozen_weather.weather_table(run, frozen)
    days = counts.known(run)
    late = days.model_copy(update={"first": days.until - timedelta(days=3)})
    frame = frames.scoring_frame(FeatureSource(run, tables[0], weather_table=tables[1]), late)
    living = frames.scoring_frame(FeatureSource(run, tables[0]), late)
    assert set(frame["temperature"]) == {5.0}
    assert 30.0 in set(living["temperature"])
