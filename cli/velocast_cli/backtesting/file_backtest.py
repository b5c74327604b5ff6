"""The backtest of a file: load it into a BigQuery emulator and evaluate rolling origins on it.

The emulator makes the features come from the same SQL as in production.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa

from gcp_emulators.bigquery.emulator import BigQueryEmulator, create_tables
from velocast.adapters.bigquery.client import Warehouse
from velocast.core import schemas
from velocast.core.city import City
from velocast.core.datetimes import HORIZON_DAYS, HOUR, local_date, start_of_local_day
from velocast.core.kinds import Kind
from velocast.model.histories.counts import under_histories
from velocast.model.known_hours import with_counter_ids, with_histories
from velocast.model.learning.models import SEED
from velocast.usecases.training.datasets.frames import MOST_FITTED
from velocast_cli.backtesting import city_tables, rolling_origins
from velocast_cli.backtesting.outside.forecasts import COUNTED, forecast_outside
from velocast_cli.backtesting.outside.request import OutsideRequest
from velocast_cli.backtesting.plan import RETRAIN_DAYS, BacktestPlan, BacktestResult
from velocast_cli.backtesting.references import DEFAULT_REFERENCES, ReferenceName
from velocast_cli.backtesting.weather_perturbation import perturbed
from velocast_cli.cities import read_files_of
from velocast_cli.city_file import FileCounts
from velocast_cli.counts.hours_files import listed_histories
from velocast_cli.weather_file import read_weather_file

PROJECT, LOCATION = "velocast-backtest", "europe-west1"
RAW, COUNTS, WEATHER, COUNTERS = (
    f"bike_traffic_raw.backtest_{n}" for n in ("raw", "counts", "weather", "counters")
)
WeatherUse = Literal["perturbed", "observed"]
DAY = timedelta(days=1)


@dataclass(frozen=True)
class BacktestRequest:
    """The options of a backtest.

    files: files or folders of counts, read as the city says. until: last local day to use, None for the last complete
    day. against: the reference models. new_counters: also test what a counter without history gets. retrain_days: days
    from one training to the next. outside: outside forecasters to compare.
    """

    files: tuple[Path, ...]
    weather: Path | None
    weather_as: WeatherUse
    weeks: int
    until: date | None
    kinds: tuple[Kind, ...]
    against: tuple[ReferenceName, ...] = DEFAULT_REFERENCES
    new_counters: bool = True
    retrain_days: int = RETRAIN_DAYS
    outside: OutsideRequest = field(default_factory=OutsideRequest)


def backtest_file(
    asked: BacktestRequest, city: City | None, say: Callable[[str], None]
) -> BacktestResult:
    """Run the backtest.

    city: None where the counts are nobody's. say: called with each step. Raises ValueError for an unreadable file,
    VelocastError.
    """
    city, read = read_files_of(city, asked.files, say)
    result = backtest_counts(asked, city, read, say)
    result.city, result.put_aside = city.name, read.put_aside
    return result


def backtest_counts(
    asked: BacktestRequest, city: City, read: FileCounts, say: Callable[[str], None]
) -> BacktestResult:
    """Run the backtest of counts that were read before. Raises ValueError, VelocastError."""
    _plan(asked, city, read.counts)  # an impossible request is refused before anything is started
    weather = None if asked.weather is None else read_weather_file(asked.weather)
    with loaded(city, read, say) as held:
        return backtest_loaded(asked, city, held, say, weather)


@dataclass(frozen=True)
class LoadedCounts:
    """A city's counts with their quality, its counters, and the warehouse in which the counts are the table COUNTS."""

    warehouse: Warehouse
    counts: pd.DataFrame
    counters: pd.DataFrame


@contextmanager
def loaded(city: City, read: FileCounts, say: Callable[[str], None]) -> Iterator[LoadedCounts]:
    """Start an emulator with a city's counts and counters, for any number of backtests. Raises WarehouseError."""
    with tempfile.TemporaryDirectory(prefix="velocast-backtest-") as folder:
        emulator = BigQueryEmulator(Path(folder), PROJECT)
        say("starting the BigQuery emulator")
        with emulator, _environment(emulator):
            warehouse = _warehouse()
            counted = city_tables.counts_with_quality(
                warehouse, city, read.counts, RAW, read.counters
            )
            counted = under_histories(counted, listed_histories(city))
            warehouse.load_table(COUNTS, city_tables.arrow_counts(counted), expires_days=None)
            left = read.counters["counter_id"].isin(counted["counter_id"].unique())
            kept = read.counters[left]
            warehouse.load_table(COUNTERS, city_tables.counters_table(kept), expires_days=None)
            yield LoadedCounts(warehouse, counted, kept)


def backtest_loaded(
    asked: BacktestRequest,
    city: City,
    held: LoadedCounts,
    say: Callable[[str], None],
    weather: pd.DataFrame | None = None,
) -> BacktestResult:
    """Run a backtest of counts that were loaded before, once for weather. Raises ValueError, VelocastError."""
    plan = _plan(asked, city, held.counts)
    if weather is not None:
        known = _as_known(weather, city, plan, asked.weather_as)
        table = pa.Table.from_pandas(known, preserve_index=False)
        held.warehouse.load_table(WEATHER, table, expires_days=None)
    by_history = with_histories(city, listed_histories(city))
    events = with_counter_ids(by_history.events, held.counters)
    city = city.model_copy(update={"events": events})
    result = rolling_origins.backtest_rolling_origins(held.warehouse, city, plan, say)
    result.usable = held.counts.loc[held.counts["quality"].isna(), COUNTED]
    for forecaster in asked.outside.forecasters:
        say(f"forecasting the same hours with {forecaster.name}")
        found = forecast_outside(
            forecaster, asked.outside, result.rows, result.usable, city, plan.cuts(), say
        )
        result.outside.append(found)
    return result


@contextmanager
def _environment(emulator: BigQueryEmulator) -> Iterator[None]:
    """Connect Google's clients to the emulator while the block runs."""
    names = {
        "BIGQUERY_EMULATOR_HOST": emulator.url,
        "BIGQUERY_STORAGE_EMULATOR_HOST": emulator.storage_host,
    }
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _warehouse() -> Warehouse:
    from velocast.adapters.google_clients import bigquery_client

    create_tables(bigquery_client(PROJECT, LOCATION), schemas.documents(), LOCATION)
    return Warehouse(PROJECT, LOCATION)


def _plan(asked: BacktestRequest, city: City, counts: pd.DataFrame) -> BacktestPlan:
    first, end = city_tables.span(counts)
    whole = local_date(end, city.zone)
    if asked.until is not None and asked.until > (last := local_date(end - HOUR, city.zone)):
        raise ValueError(
            f"--until {asked.until}: {asked.files[0]} ends on {last}; ask for that day or an earlier one"
        )
    known_until = whole if asked.until is None else min(whole, asked.until + DAY)
    known = counts["counted_at"] < start_of_local_day(known_until, city.zone)
    return BacktestPlan.of(
        local_date(first, city.zone),
        known_until,
        weeks=asked.weeks,
        kinds=asked.kinds,
        counts_table=COUNTS,
        weather_table=WEATHER if asked.weather else None,
        keep_one_in=max(1, int(known.sum()) // MOST_FITTED),
        counters_table=COUNTERS if asked.new_counters else None,
        retrain_days=asked.retrain_days,
        references=asked.against,
    )


def _as_known(
    observed: pd.DataFrame, city: City, plan: BacktestPlan, weather_as: WeatherUse
) -> pd.DataFrame:
    """Return weather with its issue time: forecast at each origin, or observed (which gives an upper bound)."""
    if weather_as == "observed":
        early = observed["valid_at"] - timedelta(days=30)
        return observed.assign(issued_at=early, source="observed")
    parts = [
        observed.assign(issued_at=observed["valid_at"] + timedelta(hours=1), source="observed")
    ]
    day = plan.known_from
    while day <= plan.last_origin:
        origin = start_of_local_day(day, city.zone)
        until = start_of_local_day(day + HORIZON_DAYS * DAY, city.zone)
        ahead = observed[(observed["valid_at"] >= origin) & (observed["valid_at"] < until)]
        made = perturbed(ahead, issued_at=origin, seed=SEED)
        parts.append(made.assign(issued_at=origin, source="perturbed"))
        day += DAY
    known = pd.concat(parts, ignore_index=True)
    return known.assign(issued_at=pd.to_datetime(known["issued_at"], utc=True).dt.as_unit("us"))
