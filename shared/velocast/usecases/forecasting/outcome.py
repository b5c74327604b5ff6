"""The result of a forecast, and how it is reported: gauges, notices, the audit row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from velocast.adapters import champion_manifest, retrain_lease
from velocast.adapters.gcs import Objects
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import origin_of, rfc3339
from velocast.core.errors import ChampionGone
from velocast.core.requests import PredictRequest
from velocast.core.settings import ForecastSettings
from velocast.usecases import model_loading
from velocast.usecases.context import ForecastRun, Run, describe_error
from velocast.usecases.forecasting import within_day
from velocast.usecases.forecasting.busy_hours import BusyChampion
from velocast.usecases.forecasting.snapshot.publication import read_published
from velocast.usecases.model_loading import FallbackStep, LoadedChampion

STORED, KNOWN = "as they are stored", "as they were known"


@dataclass(frozen=True)
class ForecastSummary:
    """What a run produced: number of rows, counters by forecast basis, and what was published of snapshot and site.

    weather_hours: hours of the horizon for which a weather forecast was known at the origin. counts: which were used.
    within_day: the number of known hours of the day, and of days from which the correction was learned (0: there is
    none, and the forecasts from midnight stay); None if no hours were known.
    """

    origin_at: datetime
    loaded: LoadedChampion
    busy: BusyChampion = field(default_factory=BusyChampion)
    forecasts: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    changed: int = 0
    weather_hours: int = 0
    counts: str = STORED
    snapshot: str = "nothing to forecast yet"
    site: str = "nothing to show yet"
    within_day: dict[str, int] | None = None

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
            "counts": self.counts,
            "snapshot": self.snapshot,
            "site": self.site,
            **({} if self.within_day is None else {"within_day": self.within_day}),
        }


def nothing_to_forecast(run: ForecastRun) -> ForecastSummary:
    """Return the summary of a run before the first usable count."""
    return ForecastSummary(origin_of(run.as_of, run.settings.city.zone), LoadedChampion())


def report_nothing_new(request: PredictRequest, run: Run[ForecastSettings]) -> list[AuditRow]:
    """Return the audit row of a request within the day when no more hours have become known; else no row."""
    if not request.within_day:
        return []
    newest = read_published(Objects(run.settings.project, run.settings.models_bucket))
    why = within_day.describe_nothing_new(run, newest)
    return [] if why is None else [_row(run, {"forecasts": 0, "snapshot": f"kept: {why}"})]


def report_champion_gone(run: Run[ForecastSettings], error: ChampionGone) -> list[AuditRow]:
    """Tell people that a past day's champion is gone, and return the audit row that says so."""
    step = FallbackStep(error.version, "nothing; no forecast is stored", str(error))
    model_loading.fallback_notifier(run)(step)
    details = {"model_version": error.version, "forecasts": 0, "snapshot": "kept"}
    return [_row(run, details, status="UNKNOWN", error_message=describe_error(error))]


def audit_forecast(run: Run[ForecastSettings], published: ForecastSummary) -> list[AuditRow]:
    """Set the gauges of a run that has published, and return its audit row."""
    run.metrics.set("bike/forecasts_generated", published.forecasts)
    age = champion_manifest.age_seconds(published.loaded.manifest, run.as_of)
    if age is not None:
        run.metrics.set("bike/champion_age_seconds", age)
    # Of all that can read the lease only this runs every day.
    models = Objects(run.settings.project, run.settings.models_bucket)
    held = retrain_lease.held_seconds(models, run.as_of)
    if held is not None:
        run.metrics.set("bike/retrain_lease_seconds", held)
    return [_row(run, published.details(), new_champion_run_id=published.loaded.run_id)]


def _row(run: Run[ForecastSettings], details: dict[str, Any], **values: Any) -> AuditRow:
    return AuditRow(
        event_id=f"{run.runtime.component}:{run.execution_id}:prediction",
        timestamp=run.as_of,
        event_type="PREDICTION",
        as_of=run.as_of,
        execution_id=run.execution_id,
        details=details,
        **values,
    )
