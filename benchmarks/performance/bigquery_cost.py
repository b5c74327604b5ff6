"""What BigQuery would scan and cost, computed from its pricing rules, the tables' schemas, the SQL and its time ranges.

An on-demand query is billed for the columns it names in the partitions it reads, by logical size: 8 bytes for a number,
time or date; 2 bytes plus its length for a string; nothing for a null. The minimum is 10 MB for each table and for the
query (https://cloud.google.com/bigquery/pricing). Clustering lets a query skip most of the counters that it does not
ask for. This is ignored, so the results for many counters are upper bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from velocast.core import schemas
from velocast.core.datetimes import HORIZON_DAYS
from velocast.model.intervals import adaptive
from velocast.usecases import feature_store
from velocast.usecases.forecasting import forecast_rows
from velocast.usecases.forecasting.snapshot import counter_profiles, long_past

QUERY_USD_TIB, STORAGE_READ_USD_TIB = 6.25, 1.10
FREE_QUERY_TIB, FREE_STORAGE_READ_TIB = 1, 300  # a month
SMALLEST = 10 * 2**20
TIB = 2**40
WEEKS = 52 / 12
WEATHER_ISSUES = 8  # forecasts of the weather of an hour before it is observed
TEXT = 15  # characters of a string that is not in TEXTS
TEXTS = {"counter_id": 19, "run_id": 32, "basis": 5, "model_kind": 3, "quality": 0, "source": 8}
# One row of features with its keys, in the anonymous table from which a large result is read.
FEATURE_BYTES = 8 * 45 + 2 + TEXTS["counter_id"] + 2 + 7


@dataclass(frozen=True)
class City:
    """The size of a city: counters, stored days of counts, and days in a month."""

    counters: int
    history_days: int = 365
    month_days: float = 365 / 12


@dataclass(frozen=True)
class BilledQuery:
    """A query. tables: bytes that it reads from each. Storage Reads have another price and no minimum."""

    what: str
    tables: tuple[float, ...]
    by_storage_read: bool = False

    @property
    def billed(self) -> float:
        """Billed bytes."""
        if self.by_storage_read:
            return sum(self.tables)
        return max(SMALLEST, sum(max(SMALLEST, size) for size in self.tables))


def row_bytes(table: str, columns: tuple[str, ...] | None = None) -> int:
    """Return the logical size of a row of a table, in bytes. columns: None for all."""
    fields = [f for f in schemas.table(table).fields if columns is None or f.name in columns]
    return sum(_bytes(field) for field in fields)


def _bytes(field: schemas.Field) -> int:
    if field.type in ("STRING", "JSON"):
        length = TEXTS.get(field.name, TEXT)
        return length + 2 if length else 0
    return 1 if field.type == "BOOLEAN" else 8


def scanned_columns(sql: str, table: str) -> tuple[str, ...]:
    """Return the columns of a table that a SQL file names. Columns of other tables with the same name count too."""
    text = files("velocast").joinpath("sql", f"{sql}.sql").read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", re.sub(r"--[^\n]*", "", text)))
    return tuple(name for name in schemas.table(table).columns if name in words)


def predict(city: City) -> Iterator[BilledQuery]:
    """Yield the queries of one day's forecasts: history for the snapshot, features by block, MERGE, audit row."""
    yield _counts(city, "forecast_counters", counter_profiles.SEEN_WITHIN.days, counters=True)
    yield _counts(city, "snapshot_typical_week", 7 * counter_profiles.TYPICAL_WEEKS)
    yield _counts(city, "snapshot_days", long_past.MONTHS * 30.5 + 31)
    week = min(city.history_days, counter_profiles.RECENT_HOURS / 24)
    columns = ("counter_id", "counted_at", "bike_count", "quality")
    size = city.counters * 24 * week * row_bytes(schemas.COUNTS, columns)
    yield BilledQuery("recent counts", (size,), by_storage_read=True)
    blocks = max(1, -(-city.counters // forecast_rows.BLOCK))
    for _ in range(blocks):
        for origins, leads in ((1, HORIZON_DAYS), (adaptive.DAYS, 1)):
            yield from _features(city, origins, leads, share=1 / blocks)
    yield from _merge(schemas.FORECASTS, city.counters * 24 * HORIZON_DAYS, HORIZON_DAYS)
    yield from _merge(schemas.LOGS, 1, 1)


def retrain(city: City) -> Iterator[BilledQuery]:
    """Yield the queries of one retraining that deploys: train, evaluate, promote."""
    columns = ("counter_id", "counted_at", "bike_count", "quality")
    frozen = city.counters * 24 * city.history_days * row_bytes(schemas.COUNTS, columns)
    yield BilledQuery("freeze: put the counts together", (frozen,))
    yield _counts(city, "counted_hours", city.history_days)
    yield BilledQuery("freeze: read the counts", (frozen,), by_storage_read=True)
    yield BilledQuery("freeze: write a table", (frozen,))
    for _ in ("train", "refit"):
        yield from _learning(city)
    for _ in ("train", "evaluate", "refit"):
        yield from _features(city, origins=6, leads=3, most=1_000_000)
    yield from _features(city, origins=round(0.3 * city.history_days), leads=3, most=1_000_000)
    yield from predict(city)
    for _ in ("train", "evaluate", "promote"):
        yield from _merge(schemas.LOGS, 1, 1)


def _learning(city: City) -> Iterator[BilledQuery]:
    """Yield the queries for training and calibration rows, whose numbers are bounded."""
    held_out = 28
    fitted = city.history_days - held_out
    yield from _features(city, fitted, 1, most=200_000)
    yield from _features(city, held_out, 1, most=100_000)


def _features(
    city: City, origins: int, leads: int, *, share: float = 1.0, most: float = float("inf")
) -> Iterator[BilledQuery]:
    """Yield both queries of features. share: of counters in the result; most: upper limit of rows in the result."""
    days = origins + feature_store.HISTORY_DAYS
    yield _counts(city, "features", days, counters=True)
    rows = min(most, share * city.counters * 24 * origins * leads)
    yield BilledQuery("features: read the result", (rows * FEATURE_BYTES,), by_storage_read=True)
    hours = 24 * (origins + leads + feature_store.WEATHER_HISTORY_DAYS)
    weather = row_bytes(schemas.WEATHER, scanned_columns("weather_features", schemas.WEATHER))
    yield BilledQuery("weather_features", (hours * WEATHER_ISSUES * weather,))
    result = 24 * origins * leads * 19 * 8
    yield BilledQuery("weather_features: read the result", (result,), by_storage_read=True)


def _counts(city: City, sql: str, days: float, *, counters: bool = False) -> BilledQuery:
    rows = city.counters * 24 * min(days, city.history_days)
    size = rows * row_bytes(schemas.COUNTS, scanned_columns(sql, schemas.COUNTS))
    places = city.counters * row_bytes(schemas.COUNTERS, scanned_columns(sql, schemas.COUNTERS))
    return BilledQuery(sql, (size, places) if counters else (size,))


def _merge(table: str, rows: int, days: int) -> Iterator[BilledQuery]:
    """Yield the count of differences and the MERGE, both over the table's partitions and the loaded rows."""
    size = rows * row_bytes(table)
    # the forecasts of several origins are stored for each hour
    stored = size * (days + 1) / 2
    for step in ("count", "merge"):
        yield BilledQuery(f"{table}: {step}", (stored, size))


def monthly_cost(counters: int) -> dict[str, float | int]:
    """Return bytes and USD of a day's predict, of a retraining, and of a month with weekly retraining."""
    city = City(counters)
    made: dict[str, float | int] = {"counters": counters, "history_days": city.history_days}
    times = {"predict": city.month_days, "retrain": WEEKS}
    month = dict.fromkeys(("query", "read"), 0.0)
    for name, asked in (("predict", list(predict(city))), ("retrain", list(retrain(city)))):
        query = sum(one.billed for one in asked if not one.by_storage_read)
        read = sum(one.billed for one in asked if one.by_storage_read)
        made[f"{name}_query_gb"] = query / 1e9
        made[f"{name}_read_gb"] = read / 1e9
        made[f"{name}_usd"] = usd(query, read)
        month = {
            "query": month["query"] + times[name] * query,
            "read": month["read"] + times[name] * read,
        }
    made["month_query_tib"] = month["query"] / TIB
    made["month_usd"] = usd(month["query"], month["read"])
    made["month_usd_free_tier"] = usd(
        max(0.0, month["query"] - FREE_QUERY_TIB * TIB),
        max(0.0, month["read"] - FREE_STORAGE_READ_TIB * TIB),
    )
    return made


def usd(query: float, read: float) -> float:
    """Return the list price in USD of bytes queried and bytes read by the Storage Read API."""
    return (query * QUERY_USD_TIB + read * STORAGE_READ_USD_TIB) / TIB
