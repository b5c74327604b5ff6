"""The weather that a model learns from, frozen as counts are: values that arrive late change no version's bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from velocast.core import schemas
from velocast.core.datetimes import origin_of
from velocast.core.requests import Message
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast.usecases.training.datasets import count_rows, frozen_counts, parquet_objects

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "weather"
ORDER = [("valid_at", "ascending"), ("issued_at", "ascending")]


class FrozenWeather(Message):
    """Frozen weather values, possibly none: object `weather/<sha256>.parquet` of the datasets bucket."""

    sha256: str
    uri: str
    rows: int

    @property
    def table(self) -> str:
        """The table `dataset.table` into which the object is loaded for the features."""
        return weather_table_name(self.sha256)


def weather_table_name(sha256: str) -> str:
    """Return the table that frozen weather of this hash is loaded into."""
    return f"{schemas.RAW}.frozen_weather_{sha256[:16]}"


def freeze_weather(run: Run[JobSettings]) -> FrozenWeather:
    """Freeze the weather of the hours before the run's origin, as known at that origin, and load it into its table.

    Features of an origin use no later value, so nothing that a model learns from is left out. Source:
    `bike_traffic_raw.weather`.
    """
    until = count_rows.sql_instant(origin_of(run.as_of, run.settings.city.zone))
    first = count_rows.sql_instant(count_rows.FIRST_HOUR)
    rows = sorted_weather(
        run.warehouse.read(
            schemas.WEATHER,
            columns=schemas.table(schemas.WEATHER).columns,
            where=f"valid_at >= '{first}' AND valid_at < '{until}' AND issued_at < '{until}'",
        )
    )
    bucket = count_rows.datasets_bucket(run)
    sha256, uri = parquet_objects.store(bucket, [rows], rows.schema, folder=FOLDER)
    frozen = FrozenWeather(sha256=sha256, uri=uri, rows=rows.num_rows)
    run.warehouse.load_table(frozen.table, rows, expires_days=frozen_counts.TABLE_DAYS)
    return frozen


def weather_table(run: Run[JobSettings], frozen: FrozenWeather) -> str:
    """Return the table of frozen weather, loaded again from its object when it has expired.

    Raises as `counts_table`.
    """
    if not run.warehouse.table_exists(frozen.table):
        rows = frozen_counts.read_frozen(run, frozen)
        run.warehouse.load_table(frozen.table, rows, expires_days=frozen_counts.TABLE_DAYS)
    return frozen.table


def sorted_weather(rows: pa.Table) -> pa.Table:
    """Return the rows sorted by hour and time of issue, in the table's types, however they were read."""
    schema = schemas.arrow(schemas.WEATHER)
    return rows.select(schema.names).cast(schema).sort_by(ORDER).combine_chunks()
