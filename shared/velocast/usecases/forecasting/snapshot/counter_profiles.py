"""Read what is known about the counters besides the features: typical weeks, recent counts, faults and health."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from velocast.adapters.bigquery.client import Warehouse
from velocast.core import schemas
from velocast.core.city import City, Histories
from velocast.core.datetimes import HOUR, rfc3339, start_of_hour
from velocast.model.spatial_fallback import Z_90
from velocast.usecases.counter_health import CounterHealth, read_counter_health
from velocast.usecases.snapshot_format import HOURS_PER_WEEK, FaultCard, HealthCard

SEEN_WITHIN = timedelta(days=366)
TYPICAL_WEEKS = 8
MIN_WEEKS = 2
NOTHING_CONTINUED = Histories()
RECENT_HOURS = 14 * 24
HEALTH_DECIMALS = 4


@dataclass(frozen=True)
class CounterProfiles:
    """What is known about the counters besides the features.

    counters: one row per counter seen in the last year: counter_name, latitude, longitude, moved_at, last_counted_at,
        last_count, mean_count (bikes per hour); index counter_id, sorted.
    typical, typical_spread: (counters, 168) median count and half the width of its 90 % band by local hour from Monday
        0 h, NaN where there are too few weeks; index counter_id.
    recent: (counters, 336) usable counts of the UTC hours from `recent_from`, NaN where there is none.
    faults, health: those that counters have now, by counter_id.
    counts_table: dataset.table of the counts behind all this; None for the stored ones.
    histories: by which these counts are read.
    """

    counters: pd.DataFrame
    typical: pd.DataFrame
    typical_spread: pd.DataFrame
    recent: pd.DataFrame
    recent_from: datetime
    faults: dict[str, FaultCard] = field(default_factory=dict)
    health: dict[str, HealthCard] = field(default_factory=dict)
    counts_table: str | None = None
    histories: Histories = NOTHING_CONTINUED


def read_counter_profiles(
    warehouse: Warehouse,
    city: City,
    *,
    origin_at: datetime,
    as_of: datetime,
    tables: dict[str, str] | None = None,
    histories: Histories = NOTHING_CONTINUED,
) -> CounterProfiles:
    """Read what the snapshot shows besides the forecasts.

    No count at or after `as_of` is used. Typical weeks and means end at `origin_at`, because forecasts are based on
    them. tables: `counts` and `counters` (dataset.table) to read instead of the default tables. histories: those that
    the counts of `tables` have been read by. Raises WarehouseError.
    """
    counters = warehouse.query(
        "forecast_counters",
        tables=tables,
        first_hour=origin_at - SEEN_WITHIN,
        until=as_of,
        origin_at=origin_at,
    )
    typical = warehouse.query_large(
        "snapshot_typical_week",
        tables=tables,
        first_hour=origin_at - timedelta(weeks=TYPICAL_WEEKS),
        until=origin_at,
        zone=city.time_zone,
        min_weeks=MIN_WEEKS,
    )
    end = start_of_hour(as_of, city.zone)
    health = read_counter_health(warehouse, as_of=as_of, tables=tables)
    names = {each.id: each.name for each in histories.sums.values()}
    counters["counter_name"] = counters["counter_name"].fillna(counters["counter_id"].map(names))
    ids = pd.Index(counters["counter_id"])
    week = range(HOURS_PER_WEEK)
    # A few weeks may agree by chance; a count of n bikes varies by at least sqrt(n).
    noise = np.sqrt(typical["median_count"].clip(lower=1).astype(float))
    typical["spread"] = Z_90 * typical["deviation"].clip(lower=noise)
    return CounterProfiles(
        counters=counters.set_index("counter_id"),
        typical=_matrix(typical, "local_slot", "median_count", ids, week),
        typical_spread=_matrix(typical, "local_slot", "spread", ids, week),
        recent=_recent(warehouse, (tables or {}).get("counts", schemas.COUNTS), ids, end),
        recent_from=end - RECENT_HOURS * HOUR,
        faults={
            each.counter_id: FaultCard(
                kind=each.fault_kind, since=each.fault_since, evidence=each.fault_evidence or ""
            )
            for each in health
            if each.fault_kind and each.fault_since
        },
        health={
            each.counter_id: HealthCard.model_validate(_rounded_health(each)) for each in health
        },
        counts_table=(tables or {}).get("counts"),
        histories=histories,
    )


def _recent(warehouse: Warehouse, table: str, ids: pd.Index[Any], end: datetime) -> pd.DataFrame:
    first = end - RECENT_HOURS * HOUR
    counts = warehouse.read(
        table,
        columns=["counter_id", "counted_at", "bike_count"],
        where=f"counted_at >= '{rfc3339(first)}' AND counted_at < '{rfc3339(end)}' AND quality IS NULL",
    ).to_pandas()
    counts["hour"] = (pd.to_datetime(counts["counted_at"], utc=True) - first) // HOUR
    return _matrix(counts, "hour", "bike_count", ids, range(RECENT_HOURS))


def _matrix(
    rows: pd.DataFrame, column: str, value: str, ids: pd.Index[Any], columns: range
) -> pd.DataFrame:
    wide = rows.pivot(index="counter_id", columns=column, values=value)
    return wide.reindex(index=ids, columns=list(columns)).astype("float64")


def _rounded_health(each: CounterHealth) -> dict[str, float | None]:
    return {
        name: None if value is None else round(value, HEALTH_DECIMALS)
        for name, value in vars(each).items()
        if name in HealthCard.model_fields
    }
