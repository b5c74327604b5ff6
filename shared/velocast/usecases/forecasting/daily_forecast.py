"""Forecast the next five local days for every counter, store the forecasts and publish the serving snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa

from velocast.adapters import champion_manifest, retrain_lease
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.gcs import Objects
from velocast.core import kinds, schemas
from velocast.core.audit_row import AuditRow
from velocast.core.city import Histories
from velocast.core.datetimes import HOUR, horizon_end, origin_of, rfc3339
from velocast.core.errors import ChampionGone, ObjectChanged
from velocast.core.requests import PredictRequest
from velocast.core.settings import ForecastSettings
from velocast.model.intervals.conformal import QUANTILES
from velocast.model.learning.within_day import DayUpdate
from velocast.usecases import model_loading
from velocast.usecases.context import Run, describe_error
from velocast.usecases.forecasting import (
    busy_hours,
    forecast_rows,
    past_champion,
    within_day,
)
from velocast.usecases.forecasting.busy_hours import BusyChampion
from velocast.usecases.forecasting.forecast_rows import ForecastInputs, ForecastRun
from velocast.usecases.forecasting.snapshot import building, long_past, past_forecasts, publication
from velocast.usecases.forecasting.snapshot.history import SEEN_WITHIN, read_history
from velocast.usecases.forecasting.within_day import KnownDay
from velocast.usecases.growth import read_measured_growth
from velocast.usecases.histories.known import counts_known_then, read_histories
from velocast.usecases.histories.shown import read_shown_proposals
from velocast.usecases.known_counts import Known
from velocast.usecases.model_loading import FallbackStep, LoadedChampion
from velocast.usecases.site.publication import publish_site

ATTEMPTS = 3
KNOWN_WITHIN = SEEN_WITHIN + timedelta(days=2)  # the oldest count that a forecast reads
STORED, KNOWN = "as they are stored", "as they were known"
KEY = ("counter_id", "target_at", "origin_at", "model_version")
COMPARED = (
    "predicted_count",
    "lower",
    "upper",
    *QUANTILES,
    "busy_probability",
    "lead_hours",
    "lead_day",
    "basis",
    "model_kind",
    "run_id",
    "hours_known",
)


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


def forecast_all_counters(request: PredictRequest, run: Run[ForecastSettings]) -> list[AuditRow]:
    """Make, store and publish the forecasts of the local day of `run.as_of`.

    Where the city's file asks for it and hours of the day are known, the rest of the day is forecast with them
    (`within_day`). A request that is only for this does nothing when no more hours have become known.
    Repeating a run changes no row. A run for a past day forecasts with the champion of that day from the counts as they
    were known then, and keeps a newer snapshot; hours that were first learned later are used unless the request says
    `only_known`. If that champion cannot be loaded any more, nothing is stored, and row and notice say so. Raises
    WarehouseError, ObjectChanged (other runs kept publishing; try again).
    """
    if rows := report_nothing_new(request, run):
        return rows
    try:
        published = publish_forecasts(run, champion_of_the_day=True, only_known=request.only_known)
    except ChampionGone as exc:
        return report_champion_gone(run, exc)
    return audit_forecast(run, published)


def report_nothing_new(request: PredictRequest, run: Run[ForecastSettings]) -> list[AuditRow]:
    """Return the audit row of a request within the day when no more hours have become known; else no row."""
    if not request.within_day:
        return []
    newest = publication.read_published(Objects(run.settings.project, run.settings.models_bucket))
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


def publish_forecasts(
    run: ForecastRun, *, champion_of_the_day: bool = False, only_known: bool = False
) -> ForecastSummary:
    """Forecast with the current champion, MERGE the rows into the forecasts table, publish the snapshot.

    champion_of_the_day: forecast a past day with the champion of that day; raises ChampionGone. `promote` uses the
    current one. only_known: without hours that were first learned after `run.as_of`. Starts again when another run has
    published in the meantime, since that run may have used a newer champion. Raises as
    `forecast_all_counters`.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return _publish_known(run, of_the_day=champion_of_the_day, only_known=only_known)
        except ObjectChanged:
            continue
    return _publish_known(run, of_the_day=champion_of_the_day, only_known=only_known)


def _publish_known(run: ForecastRun, *, of_the_day: bool, only_known: bool) -> ForecastSummary:
    with inputs_known_then(run, of_the_day=of_the_day, only_known=only_known) as inputs:
        if inputs is None:
            return nothing_to_forecast(run)
        blocks = forecast_rows.forecast_blocks(inputs.history)
        return store_and_publish(
            run, inputs, list(forecast_rows.make_forecast_rows(run, inputs, blocks))
        )


def nothing_to_forecast(run: ForecastRun) -> ForecastSummary:
    """Return the summary of a run before the first usable count."""
    return ForecastSummary(origin_of(run.as_of, run.settings.city.zone), LoadedChampion())


@contextmanager
def inputs_known_then(
    run: ForecastRun, *, of_the_day: bool, only_known: bool, kept: bool = False
) -> Iterator[ForecastInputs | None]:
    """Yield what a run forecasts from; None before the first usable count.

    of_the_day, only_known: as for `publish_forecasts`. kept: its counts stay for other processes, in tables that expire
    within a day. Raises ChampionGone, WarehouseError.
    """
    city = run.settings.city
    histories = read_histories(run.warehouse, city, as_of=run.as_of)
    since = run.as_of - KNOWN_WITHIN
    if histories:  # the years that the page shows are then read from the same table
        since = min(since, long_past.first_hour(origin_of(run.as_of, city.zone), city.zone))
    known = Known(run.as_of, since, run.as_of)
    with counts_known_then(
        run.warehouse, known, histories, only_known=only_known, kept=kept
    ) as tables:
        yield _read_inputs(run, of_the_day=of_the_day, tables=tables, histories=histories)


def _read_inputs(
    run: ForecastRun, *, of_the_day: bool, tables: dict[str, str], histories: Histories
) -> ForecastInputs | None:
    city, midnight = run.settings.city, origin_of(run.as_of, run.settings.city.zone)
    objects = Objects(run.settings.project, run.settings.models_bucket)
    # Read before the champion: whoever promotes a champion after this line also publishes, and the write below fails.
    newest = publication.read_published(objects)
    history = read_history(
        run.warehouse,
        city,
        origin_at=midnight,
        as_of=run.as_of,
        tables=tables,
        histories=histories,
    )
    if not history.counters["mean_count"].notna().any():
        return None
    later_day = newest.is_of_a_later_day(midnight, city.zone)
    past = of_the_day and past_champion.is_past(objects, run.as_of, later_origin=later_day)
    loaded, busy = _load(run, objects, past=past)
    weather = forecast_rows.read_weather(run, loaded)
    return ForecastInputs(midnight, newest, past, tables, history, loaded, busy, weather)


def store_and_publish(
    run: ForecastRun, inputs: ForecastInputs, forecasts: Iterable[pd.DataFrame]
) -> ForecastSummary:
    """MERGE the rows of all blocks into the forecasts table, then publish snapshot and site.

    forecasts: the blocks in order; iterated several times. The rest of the day is corrected with the known hours of
    the day (`within_day`). A newer snapshot is kept. Raises WarehouseError; ObjectChanged when a snapshot has been
    published since the inputs were read.
    """
    city, midnight, newest = run.settings.city, inputs.midnight, inputs.newest
    history, loaded, busy, tables = inputs.history, inputs.loaded, inputs.busy, inputs.tables
    objects = Objects(run.settings.project, run.settings.models_bucket)
    known = within_day.read_known_day(run, history.histories)
    update = None if known is None else within_day.learn_update(run, known, tables)
    origin_at, changed, site = midnight, 0, "kept"
    if known is None or not _is_stored(run, loaded, midnight):  # else those of the morning stay
        changed += _store(run, loaded, forecasts, midnight)
    if known is not None and update is not None:
        origin_at = known.origin_at
        forecasts = within_day.update_forecasts(forecasts, known, update)
        changed += _store(run, loaded, [forecasts.rest_of_day], origin_at)
    generated_by = f"{loaded.kind} version {loaded.version}"
    kept = newest.why_kept(origin_at, generated_by, city.zone, past=inputs.past)
    if kept is not None:
        state = f"kept: {kept}"
    else:
        made = building.build_snapshot(
            city,
            history,
            forecasts,
            origin_at=origin_at,
            as_of=run.as_of,
            champion=loaded.manifest,
            busy_champion=busy.manifest,
            busy_from=busy.busy_from,
            generated_by=generated_by,
            past=past_forecasts.read_past_forecasts(
                run.warehouse,
                first_hour=history.recent_from,
                hours=history.recent.shape[1],
                origin_at=midnight,
                as_of=run.as_of,
                histories=history.histories,
            ),
            long_past=_read_long_past(
                run, history.recent_from, midnight, tables if history.histories else {}
            ),
            growth=read_measured_growth(run.warehouse, as_of=run.as_of),
            proposed=read_shown_proposals(run.warehouse, as_of=run.as_of),
            clock=run.settings.clock,
        )
        publication.publish(objects, made, if_generation=newest.generation)
        site = publish_site(Objects(run.settings.project, run.settings.site_bucket), made)
        state = "published"
    rows, bases, weather = 0, Counter[str](), set[pd.Timestamp]()
    for block in forecasts:
        rows += len(block)
        bases.update(block.drop_duplicates("counter_id")["basis"].astype(str))
        weather |= forecast_rows.weather_hours(block)
    return ForecastSummary(
        origin_at,
        loaded,
        busy,
        rows,
        dict(sorted(bases.items())),
        changed,
        len(weather),
        counts=KNOWN if tables else STORED,
        snapshot=state,
        site=site,
        within_day=None if known is None else _described(known, update),
    )


def _described(known: KnownDay, update: DayUpdate | None) -> dict[str, int]:
    return {"hours_known": known.hours, "learned_days": 0 if update is None else update.days}


def _read_long_past(
    run: ForecastRun, first: datetime, origin_at: datetime, tables: dict[str, str]
) -> long_past.LongPast:
    """Read the years before the hours that are shown: from `first` to the end of the forecasts."""
    city = run.settings.city
    shown = (horizon_end(origin_at, city.zone) - first) // HOUR
    return long_past.read_long_past(
        run.warehouse,
        city,
        origin_at=origin_at,
        hours=[first + number * HOUR for number in range(shown)],
        tables=tables,
    )


def _load(run: ForecastRun, objects: Objects, *, past: bool) -> tuple[LoadedChampion, BusyChampion]:
    tell = model_loading.fallback_notifier(run)
    if not past:
        loaded = model_loading.load_champion(objects, on_fallback=tell)
        return loaded, busy_hours.load_busy_champion(objects, on_fallback=tell)

    def find_busy() -> Champion | None:
        return past_champion.find_champion_of(run, objects, kinds.AFFLUENCE)

    loaded = past_champion.load_champion_of(run, objects)
    return loaded, busy_hours.load_busy_champion(objects, on_fallback=tell, find=find_busy)


def _is_stored(run: ForecastRun, loaded: LoadedChampion, midnight: datetime) -> bool:
    """Return whether the version's forecasts from midnight are stored."""
    (rows,) = run.warehouse.query(
        "forecasts_from_midnight",
        first_hour=midnight,
        until=horizon_end(midnight, run.settings.city.zone),
        version=loaded.version,
    )["forecasts"]
    return bool(rows)


def _store(
    run: ForecastRun, loaded: LoadedChampion, forecasts: Iterable[pd.DataFrame], origin_at: datetime
) -> int:
    """MERGE forecasts into their table; return the number of rows that are new or differ from an earlier run's."""

    def table(block: pd.DataFrame) -> pa.Table:
        whole = block.reindex(columns=[*block.columns.difference(["hours_known"]), "hours_known"])
        rows = whole.assign(
            hours_known=whole["hours_known"].astype("Int64"),
            origin_at=origin_at,
            model_version=loaded.version,
            model_kind=loaded.kind,
            run_id=loaded.run_id,
            predicted_at=run.as_of,
        )
        columns = [name for name in schemas.table(schemas.FORECASTS).columns if name in rows]
        return pa.Table.from_pandas(rows[columns], preserve_index=False)

    parts = (table(block) for block in forecasts)
    result = run.warehouse.merge(schemas.FORECASTS, parts, keys=KEY, update=COMPARED)
    return result.inserted + result.updated
