"""Forecast the next five local days for every counter, store the forecasts and publish the serving snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

import pandas as pd

from velocast.adapters.gcs import Objects
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import HOUR, horizon_end
from velocast.core.errors import ChampionGone, ObjectChanged
from velocast.core.requests import PredictRequest
from velocast.core.settings import ForecastSettings
from velocast.model.learning.within_day import DayUpdate
from velocast.usecases.context import ForecastRun, Run
from velocast.usecases.forecasting import forecast_rows, within_day
from velocast.usecases.forecasting.inputs import ForecastInputs, inputs_known_then
from velocast.usecases.forecasting.outcome import (
    KNOWN,
    STORED,
    ForecastSummary,
    audit_forecast,
    nothing_to_forecast,
    report_champion_gone,
    report_nothing_new,
)
from velocast.usecases.forecasting.snapshot import building, long_past, past_forecasts, publication
from velocast.usecases.forecasting.stored_rows import is_stored, store_forecasts
from velocast.usecases.forecasting.within_day import KnownDay
from velocast.usecases.growth import read_measured_growth
from velocast.usecases.histories.shown import read_shown_proposals
from velocast.usecases.site.publication import publish_site
from velocast.usecases.snapshot_format import Snapshot

ATTEMPTS = 3


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
        blocks = forecast_rows.forecast_blocks(inputs.profiles)
        return store_and_publish(
            run, inputs, list(forecast_rows.make_forecast_rows(run, inputs, blocks))
        )


def store_and_publish(
    run: ForecastRun, inputs: ForecastInputs, forecasts: Iterable[pd.DataFrame]
) -> ForecastSummary:
    """MERGE the rows of all blocks into the forecasts table, then publish snapshot and site.

    forecasts: the blocks in order; iterated several times. The rest of the day is corrected with the known hours of
    the day (`within_day`). A newer snapshot is kept. Raises WarehouseError; ObjectChanged when a snapshot has been
    published since the inputs were read.
    """
    city, midnight, newest = run.settings.city, inputs.midnight, inputs.newest
    loaded, histories, tables = inputs.loaded, inputs.profiles.histories, inputs.tables
    objects = Objects(run.settings.project, run.settings.models_bucket)
    known = within_day.read_known_day(run, histories)
    update = None if known is None else within_day.learn_update(run, known, tables)
    origin_at, changed, site = midnight, 0, "kept"
    if known is None or not is_stored(run, loaded, midnight):  # else those of the morning stay
        changed += store_forecasts(run, loaded, forecasts, midnight)
    if known is not None and update is not None:
        origin_at = known.origin_at
        forecasts = within_day.update_forecasts(forecasts, known, update)
        changed += store_forecasts(run, loaded, [forecasts.rest_of_day], origin_at)
    generated_by = f"{loaded.kind} version {loaded.version}"
    kept = newest.why_kept(origin_at, generated_by, city.zone, past=inputs.past)
    if kept is not None:
        state = f"kept: {kept}"
    else:
        made = _build_snapshot(run, inputs, forecasts, origin_at, generated_by)
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
        inputs.busy,
        rows,
        dict(sorted(bases.items())),
        changed,
        len(weather),
        counts=KNOWN if tables else STORED,
        snapshot=state,
        site=site,
        within_day=None if known is None else _described(known, update),
    )


def _build_snapshot(
    run: ForecastRun,
    inputs: ForecastInputs,
    forecasts: Iterable[pd.DataFrame],
    origin_at: datetime,
    generated_by: str,
) -> Snapshot:
    profiles = inputs.profiles
    return building.build_snapshot(
        run.settings.city,
        profiles,
        forecasts,
        origin_at=origin_at,
        as_of=run.as_of,
        champion=inputs.loaded.manifest,
        busy_champion=inputs.busy.manifest,
        busy_from=inputs.busy.busy_from,
        generated_by=generated_by,
        past=past_forecasts.read_past_forecasts(
            run.warehouse,
            first_hour=profiles.recent_from,
            hours=profiles.recent.shape[1],
            origin_at=inputs.midnight,
            as_of=run.as_of,
            histories=profiles.histories,
        ),
        long_past=_read_long_past(
            run, profiles.recent_from, inputs.midnight, inputs.tables if profiles.histories else {}
        ),
        growth=read_measured_growth(run.warehouse, as_of=run.as_of),
        proposed=read_shown_proposals(run.warehouse, as_of=run.as_of),
        clock=run.settings.clock,
    )


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


def _described(known: KnownDay, update: DayUpdate | None) -> dict[str, int]:
    return {"hours_known": known.hours, "learned_days": 0 if update is None else update.days}
