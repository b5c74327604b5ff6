"""A small synthetic city put straight into the warehouse, and runs to work on it."""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd
import pyarrow as pa

from tests import emulators
from velocast.ground import schemas
from velocast.ground.settings import MonitorSettings, PredictSettings
from velocast.ground.time import parse_instant
from velocast.outside.warehouse import Warehouse
from velocast.usecases.runtime import Run, Runtime
from velocast_local.simulate import simulate

UNTIL = date(2025, 3, 10)  # a Monday
AS_OF = parse_instant("2025-03-10T04:00:00Z")
ORIGIN = parse_instant("2025-03-09T23:00:00Z")


def warehouse() -> Warehouse:
    """The emulator of the environment that is set."""
    return Warehouse(emulators.PROJECT, emulators.LOCATION)


def make(counters: int = 4, days: int = 35, until: date = UNTIL) -> pd.DataFrame:
    """Return hourly counts: counter_id, counter_name, site_id, latitude, longitude, counted_at, bike_count."""
    rows = simulate(counters, days=days, until=until, seed=3)
    names = {
        "id_compteur": "counter_id",
        "nom_compteur": "counter_name",
        "id": "site_id",
        "name": "site_name",
        "date": "counted_at",
        "sum_counts": "bike_count",
    }
    rows = rows.rename(columns=names)
    return rows.assign(
        counted_at=pd.to_datetime(rows["counted_at"], utc=True),
        counter_id=rows["counter_id"].astype(str),
        site_id=rows["site_id"].astype(str),
    )


def store(city: pd.DataFrame, *, ingested_at: datetime = AS_OF) -> None:
    """Put counts and counters into their tables."""
    counts = city[["counter_id", "counted_at", "bike_count"]].assign(
        quality=city.get("quality"), ingested_at=ingested_at
    )
    keys = ["counter_id", "counted_at"]
    warehouse().merge(schemas.COUNTS, _table(counts), keys=keys)
    columns = ["counter_id", "counter_name", "site_id", "site_name", "latitude", "longitude"]
    seen = city.groupby("counter_id")["counted_at"].agg(first_seen_at="min", last_seen_at="max")
    counters = city[columns].drop_duplicates("counter_id").merge(seen, on="counter_id")
    warehouse().merge(schemas.COUNTERS, _table(counters), keys=["counter_id"])


def _table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def predict_run(as_of: datetime = AS_OF, message_id: str = "m1") -> Run[PredictSettings]:
    """A run of `predict` as its handler makes it."""
    return Run(Runtime(PredictSettings.load(), component="predict"), as_of, message_id)


def monitor_run(as_of: datetime = AS_OF, message_id: str = "m1") -> Run[MonitorSettings]:
    """A run of `monitor` as its handler makes it."""
    return Run(Runtime(MonitorSettings.load(), component="monitor"), as_of, message_id)
