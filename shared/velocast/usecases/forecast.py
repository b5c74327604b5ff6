"""Forecasts the coming five local days for every counter, stores them, and publishes the serving snapshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from velocast.ground import schemas
from velocast.ground.errors import ObjectChanged
from velocast.ground.messages import AuditRow, ModelFallback, PredictRequest
from velocast.ground.settings import JobSettings, PredictSettings
from velocast.ground.time import (
    HORIZON_DAYS,
    horizon_end,
    lead_day,
    local_date,
    origin_of,
    rfc3339,
)
from velocast.model import similar_days
from velocast.model.intervals import Calibration
from velocast.outside.objects import Objects
from velocast.usecases import champion, feature_frames, snapshot, stand_ins
from velocast.usecases.champion import LoadedChampion, StepDown
from velocast.usecases.runtime import Run
from velocast.usecases.snapshot import History

ForecastRun = Run[PredictSettings] | Run[JobSettings]

ATTEMPTS = 3
CALIBRATION_DAYS = 14
MIN_MODEL_HOURS = 72
THIN_HISTORY_MARGIN = 1.5
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
    """What a run forecast: rows, how many counters rest on which basis, and what became of the snapshot."""

    origin_at: datetime
    loaded: LoadedChampion
    forecasts: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    changed: int = 0
    snapshot: str = "nothing to forecast yet"

    def details(self) -> dict[str, Any]:
        """Return the audit row's details."""
        return {
            "origin_at": rfc3339(self.origin_at),
            "model_version": self.loaded.version,
            "model_kind": self.loaded.kind,
            "run_id": self.loaded.run_id,
            "forecasts": self.forecasts,
            "changed": self.changed,
            "counters": sum(self.counters.values()),
            "basis": self.counters,
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
    age = champion.age_seconds(published.loaded.manifest, run.as_of)
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
    loaded = champion.load(objects, on_fallback=_teller(run))
    forecasts = _forecasts(run, loaded, history)
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
            generated_by=f"{loaded.kind} version {loaded.version}",
        )
        snapshot.publish(objects, made, if_generation=generation)
        state = "published"
    bases = forecasts.drop_duplicates("counter_id")["basis"].value_counts(sort=False)
    counters = {str(basis): int(count) for basis, count in bases.sort_index().items()}
    return Published(origin_at, loaded, len(forecasts), counters, changed, state)


def _teller(run: ForecastRun) -> Callable[[StepDown], None]:
    def tell(step: StepDown) -> None:
        wanted = "manifest" if step.wanted_version is None else step.wanted_version
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


def _forecasts(run: ForecastRun, loaded: LoadedChampion, history: History) -> pd.DataFrame:
    """Forecast every counter seen in the last year at every hour of the horizon; sorted by counter and hour."""
    city = run.settings.city
    day = local_date(run.as_of, city.zone)
    frame = feature_frames.read(
        run.warehouse,
        city,
        first_origin=day,
        last_origin=day,
        actual_until=origin_of(run.as_of, city.zone),
        lead_days=HORIZON_DAYS,
    )
    frame = frame[frame["counter_id"].isin(history.counters.index)]
    counted, known = frame["history_hours"] >= MIN_MODEL_HOURS, frame["history_hours"] > 0
    by_model = counted if loaded.model is not None else counted & False
    rest = history.counters.index.difference(pd.Index(frame.loc[known, "counter_id"]))
    parts = [
        _modelled(loaded, frame[by_model]),
        _similar(run, loaded, frame[known & ~by_model]),
        stand_ins.forecast(_hours(run), history, list(rest), city.zone),
    ]
    forecasts = pd.concat([part for part in parts if len(part)], ignore_index=True)
    # Of a city that fell silent, stand-ins are all there is, and they know neither level nor threshold.
    forecasts = forecasts.reindex(columns=forecasts.columns.union(frame.columns, sort=False))
    return _ordered(forecasts).sort_values(["counter_id", "target_at"], ignore_index=True)


def _hours(run: ForecastRun) -> pd.DataFrame:
    """Return the hours of the horizon: target_at (UTC), lead_hours, lead_day."""
    zone = run.settings.city.zone
    origin_at = origin_of(run.as_of, zone)
    targets = pd.date_range(origin_at, horizon_end(origin_at, zone), freq="h", inclusive="left")
    return pd.DataFrame(
        {
            "target_at": targets,
            "lead_hours": range(len(targets)),
            "lead_day": [lead_day(target, origin_at, zone) for target in targets],
        }
    )


def _modelled(loaded: LoadedChampion, frame: pd.DataFrame) -> pd.DataFrame:
    if loaded.model is None or frame.empty:
        return frame
    return _beside(frame, loaded.model.predict(frame)).assign(basis="model")


def _similar(run: ForecastRun, loaded: LoadedChampion, frame: pd.DataFrame) -> pd.DataFrame:
    """Forecast with the mean of similar days.

    Beside a model, for counters with too little history for it: its errors give the interval, and a margin.
    """
    if frame.empty:
        return frame
    if loaded.model is None:
        made, margin = similar_days.forecast(frame, _calibration(run)), 1.0
    else:
        made, margin = similar_days.forecast(frame, loaded.model.calibration), THIN_HISTORY_MARGIN
    middle = made["predicted_count"]
    lower = (middle - margin * (middle - made["lower"])).clip(lower=0)
    upper = middle + margin * (made["upper"] - middle)
    return _beside(frame, made.assign(lower=lower, upper=upper)).assign(basis="similar_days")


def _calibration(run: ForecastRun) -> Calibration:
    """Learn from the last weeks how far similar days miss."""
    city, day = run.settings.city, local_date(run.as_of, run.settings.city.zone)
    lately = feature_frames.read(
        run.warehouse,
        city,
        first_origin=day - timedelta(days=CALIBRATION_DAYS),
        last_origin=day - timedelta(days=1),
        actual_until=origin_of(run.as_of, city.zone),
        lead_days=HORIZON_DAYS,
        one_lead=True,
    )
    return similar_days.calibrate(lately)


def _beside(frame: pd.DataFrame, made: pd.DataFrame) -> pd.DataFrame:
    columns = ["predicted_count", "lower", "upper", "busy_probability"]
    return frame.assign(**{name: made[name].to_numpy() for name in columns})


def _ordered(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Return forecasts with 0 <= lower <= predicted_count <= upper, whatever made them."""
    middle = forecasts["predicted_count"].clip(lower=0)
    return forecasts.assign(
        predicted_count=middle,
        lower=np.minimum(forecasts["lower"].clip(lower=0), middle),
        upper=np.maximum(forecasts["upper"], middle),
    )


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
