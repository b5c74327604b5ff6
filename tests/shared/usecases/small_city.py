"""A small synthetic city stored in BigQuery, and runs that use it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pandas as pd
import pyarrow as pa

from tests import emulators
from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.revisions import Remembering
from velocast.core import schemas
from velocast.core.audit_row import AuditRow
from velocast.core.city import load_city
from velocast.core.datetimes import local_date, parse_instant, start_of_local_day
from velocast.core.settings import FetchSettings, JobSettings, MonitorSettings, PredictSettings
from velocast.usecases import audit
from velocast.usecases.context import Run, Runtime
from velocast_local.simulation.city import simulate

UNTIL = date(2025, 3, 10)  # a Monday
AS_OF = parse_instant("2025-03-10T04:00:00Z")
ORIGIN = parse_instant("2025-03-09T23:00:00Z")


def warehouse() -> Warehouse:
    """Return a client of the emulator in the current environment."""
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
    """Store counts and counters in their tables."""
    counts = city[["counter_id", "counted_at", "bike_count"]].assign(
        quality=city.get("quality"), ingested_at=ingested_at
    )
    keys = ["counter_id", "counted_at"]
    warehouse().merge(schemas.COUNTS, _table(counts), keys=keys)
    columns = ["counter_id", "counter_name", "site_id", "site_name", "latitude", "longitude"]
    columns += ["moved_at"] if "moved_at" in city else []
    seen = city.groupby("counter_id")["counted_at"].agg(first_seen_at="min", last_seen_at="max")
    counters = city[columns].drop_duplicates("counter_id").merge(seen, on="counter_id")
    warehouse().merge(schemas.COUNTERS, _table(counters), keys=["counter_id"])


def deliver(city: pd.DataFrame, *, at: datetime) -> None:
    """Store counts that the city delivered at a later time, as ingestion does: what they change is remembered."""
    counts = city[["counter_id", "counted_at", "bike_count"]].assign(quality=None, ingested_at=at)
    warehouse().merge(
        schemas.COUNTS,
        pa.Table.from_pandas(counts, schema=schemas.arrow(schemas.COUNTS), preserve_index=False),
        keys=["counter_id", "counted_at"],
        update=["bike_count", "quality"],
        history=Remembering(at),
    )


def _table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def predict_run(as_of: datetime = AS_OF, message_id: str = "m1") -> Run[PredictSettings]:
    """Return a run of `predict` as its handler creates it."""
    return Run(Runtime(PredictSettings.load(), component="predict"), as_of, message_id)


def monitor_run(as_of: datetime = AS_OF, message_id: str = "m1") -> Run[MonitorSettings]:
    """Return a run of `monitor` as its handler creates it."""
    return Run(Runtime(MonitorSettings.load(), component="monitor"), as_of, message_id)


def fetch_run(as_of: datetime = AS_OF, message_id: str = "m1") -> Run[FetchSettings]:
    """Return a run of `fetch` as its handler creates it."""
    return Run(Runtime(FetchSettings.load(), component="fetch"), as_of, message_id)


def remember_faults(faults: list[dict[str, object]], hours_ago: int = 2) -> None:
    """Store the audit row of an ingestion that found these faults, so many hours before AS_OF."""
    at = AS_OF - timedelta(hours=hours_ago)
    row = AuditRow(
        event_id=f"fetch:{hours_ago}:ingestion",
        timestamp=at,
        event_type="INGESTION",
        as_of=at,
        details={"quality": {"faults": faults}},
    )
    audit.write(warehouse(), [row], environment="dev")


def job_run(
    as_of: str = "2025-03-10T04:00:00Z", *, component: str = "train", execution_id: str = "e1"
) -> Run[JobSettings]:
    """Return a run as a job's entry point creates it."""
    return Run(Runtime(JobSettings.load(), component=component), parse_instant(as_of), execution_id)


def publish_forecasts(
    city: pd.DataFrame, *, version: int, days: int, error: float = 0.05, until: date = UNTIL
) -> None:
    """Store the forecasts of a version for the `days` local days before `until`, off by the share `error` of the count.

    Origins of every day and lead days 0 to 2, alternately too high and too low; intervals hold nine of ten counts.
    """
    zone = load_city("demoville").zone
    end = start_of_local_day(until, zone)
    first = start_of_local_day(until - timedelta(days=days), zone)
    hours = city[(city["counted_at"] >= first) & (city["counted_at"] < end)]
    parts = [_lead(hours, lead, version, error) for lead in range(3)]
    rows = pd.concat(parts, ignore_index=True)
    keys = ["counter_id", "target_at", "origin_at", "model_version"]
    warehouse().merge(schemas.FORECASTS, _table(rows), keys=keys)


def _lead(hours: pd.DataFrame, lead: int, version: int, error: float) -> pd.DataFrame:
    zone = load_city("demoville").zone
    targets = hours["counted_at"].reset_index(drop=True)
    origins = pd.to_datetime(
        [start_of_local_day(local_date(t, zone) - timedelta(days=lead), zone) for t in targets],
        utc=True,
    )
    actual = hours["bike_count"].astype(float).reset_index(drop=True)
    sign = pd.Series(range(len(actual))) % 2 * 2 - 1
    inside = pd.Series(range(len(actual))) % 10 > 0
    return pd.DataFrame(
        {
            "counter_id": hours["counter_id"].array,
            "target_at": targets,
            "origin_at": origins,
            "model_version": version,
            "predicted_count": actual * (1 + error * sign),
            "lower": (actual - 10).where(inside, actual + 1).clip(lower=0),
            "upper": (actual + 10).where(inside, actual + 2),
            "busy_probability": 0.5,
            "lead_hours": ((targets - origins) / timedelta(hours=1)).astype(int),
            "lead_day": lead,
            "basis": "model" if version else "similar_days",
            "model_kind": "gbm" if version else "similar_days",
            "run_id": f"run-{version}" if version else None,
            "predicted_at": origins,
        }
    )
