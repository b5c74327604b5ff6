"""Forecasts the coming five local days for every counter, stores them, and publishes the serving snapshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from velocast.adapters import champion_manifest
from velocast.adapters.gcs import Objects
from velocast.core import schemas
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import origin_of, rfc3339
from velocast.core.errors import ObjectChanged
from velocast.core.notices import ModelFallback
from velocast.core.requests import PredictRequest
from velocast.core.settings import PredictSettings
from velocast.usecases.context import Run
from velocast.usecases.forecasting import busy_hours, forecast_rows, model_loading, snapshot
from velocast.usecases.forecasting.busy_hours import BusyChampion
from velocast.usecases.forecasting.forecast_rows import ForecastRun
from velocast.usecases.forecasting.model_loading import LoadedChampion, StepDown

ATTEMPTS = 3
KEY = ("counter_id", "target_at", "origin_at", "model_version")
COMPARED = (
    "predicted_count",
    "lower",
    "upper",
    "busy_probability",
    "lead_hours",
    "lead_day",
    "basis",
    "model_kind",
    "run_id",
)


@dataclass(frozen=True)
class Published:
    """What a run forecast: rows, how many counters rest on which basis, and what became of the snapshot.

    weather_hours: hours of the horizon of which the weather was known at the origin.
    """

    origin_at: datetime
    loaded: LoadedChampion
    busy: BusyChampion = field(default_factory=BusyChampion)
    forecasts: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    changed: int = 0
    weather_hours: int = 0
    snapshot: str = "nothing to forecast yet"

    def details(self) -> dict[str, Any]:
        """Return the audit row's details."""
        return {
            "origin_at": rfc3339(self.origin_at),
            "model_version": self.loaded.version,
            "model_kind": self.loaded.kind,
            "run_id": self.loaded.run_id,
            "busy_version": self.busy.manifest.version if self.busy.manifest else 0,
            "forecasts": self.forecasts,
            "changed": self.changed,
            "counters": sum(self.counters.values()),
            "basis": self.counters,
            "weather_hours": self.weather_hours,
            "snapshot": self.snapshot,
        }


def forecast(
    request: PredictRequest,  # noqa: ARG001  # its as_of is the run's
    run: Run[PredictSettings],
) -> list[AuditRow]:
    """Make, store and publish the forecasts of the local day of `run.as_of`.

    The same run again changes no row. A past day's run stores that day's forecasts and leaves a newer snapshot alone.
    Raises WarehouseError, ObjectChanged (others kept publishing; try again).
    """
    published = publish_forecasts(run)
    run.metrics.set("bike/forecasts_generated", published.forecasts)
    age = champion_manifest.age_seconds(published.loaded.manifest, run.as_of)
    if age is not None:
        run.metrics.set("bike/champion_age_seconds", age)
    return [
        AuditRow(
            event_id=f"{run.runtime.component}:{run.execution_id}:prediction",
            timestamp=run.as_of,
            event_type="PREDICTION",
            as_of=run.as_of,
            execution_id=run.execution_id,
            new_champion_run_id=published.loaded.run_id,
            details=published.details(),
        )
    ]


def publish_forecasts(run: ForecastRun) -> Published:
    """Forecast with what serves now, MERGE into the forecasts table, publish the snapshot; also for `promote`.

    Begins again when another run published meanwhile: its champion may be a newer one. Raises as `forecast`.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return _publish_once(run)
        except ObjectChanged:
            continue
    return _publish_once(run)


def _publish_once(run: ForecastRun) -> Published:
    city, origin_at = run.settings.city, origin_of(run.as_of, run.settings.city.zone)
    objects = Objects(run.settings.project, run.settings.models_bucket)
    # Before the champion is read: one promoted after this line also publishes after it, and the write below fails.
    newest, generation = snapshot.published_origin(objects)
    history = snapshot.read_history(run.warehouse, city, origin_at=origin_at, as_of=run.as_of)
    if not history.counters["mean_count"].notna().any():
        return Published(origin_at, LoadedChampion())
    loaded = model_loading.load(objects, on_fallback=_teller(run))
    busy = busy_hours.load(objects, on_fallback=_teller(run))
    forecasts = forecast_rows.make(run, loaded, busy, history)
    changed = _store(run, loaded, forecasts, origin_at)
    if newest is not None and newest > origin_at:
        state = f"kept: the published one is of {rfc3339(newest)}"
    else:
        made = snapshot.build(
            city,
            history,
            forecasts,
            origin_at=origin_at,
            as_of=run.as_of,
            champion=loaded.manifest,
            busy=busy,
            generated_by=f"{loaded.kind} version {loaded.version}",
        )
        snapshot.publish(objects, made, if_generation=generation)
        state = "published"
    bases = forecasts.drop_duplicates("counter_id")["basis"].value_counts(sort=False)
    counters = {str(basis): int(count) for basis, count in bases.sort_index().items()}
    weather = forecast_rows.weather_hours(forecasts)
    return Published(
        origin_at, loaded, busy, len(forecasts), counters, changed, weather, snapshot=state
    )


def _teller(run: ForecastRun) -> Callable[[StepDown], None]:
    def tell(step: StepDown) -> None:
        wanted = "manifest" if step.wanted_version is None else str(step.wanted_version)
        if step.task != model_loading.TASK:
            wanted = f"{step.task}:{wanted}"
        run.tell(
            ModelFallback(
                event_id=f"{run.runtime.component}:{run.execution_id}:fallback:{wanted}",
                occurred_at=rfc3339(run.as_of),
                wanted_version=step.wanted_version,
                used=step.used,
                reason=step.reason,
            )
        )

    return tell


def _store(
    run: ForecastRun, loaded: LoadedChampion, forecasts: pd.DataFrame, origin_at: datetime
) -> int:
    """MERGE forecasts into their table; returns how many were new or differ from those of an earlier run."""
    rows = forecasts.assign(
        origin_at=origin_at,
        model_version=loaded.version,
        model_kind=loaded.kind,
        run_id=loaded.run_id,
        predicted_at=run.as_of,
    )
    columns = [name for name in schemas.table(schemas.FORECASTS).columns if name in rows]
    table = pa.Table.from_pandas(rows[columns], preserve_index=False)
    result = run.warehouse.merge(schemas.FORECASTS, table, keys=KEY, update=COMPARED)
    return result.inserted + result.updated
