"""Read what a run forecasts from: the counts as they were known, the published snapshot, the champion, the weather."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from velocast.adapters.champion_manifest import Champion
from velocast.adapters.gcs import Objects
from velocast.core import kinds
from velocast.core.city import Histories
from velocast.core.datetimes import local_date, origin_of
from velocast.model.intervals import adaptive
from velocast.usecases import feature_store, model_loading
from velocast.usecases.context import ForecastRun
from velocast.usecases.forecasting import busy_hours, past_champion
from velocast.usecases.forecasting.busy_hours import BusyChampion
from velocast.usecases.forecasting.snapshot import long_past
from velocast.usecases.forecasting.snapshot.counter_profiles import (
    SEEN_WITHIN,
    CounterProfiles,
    read_counter_profiles,
)
from velocast.usecases.forecasting.snapshot.publication import Published, read_published
from velocast.usecases.histories.known import counts_known_then, read_histories
from velocast.usecases.known_counts import Known
from velocast.usecases.model_loading import LoadedChampion

KNOWN_WITHIN = SEEN_WITHIN + timedelta(days=2)  # the oldest count that a forecast reads


@dataclass(frozen=True)
class ForecastInputs:
    """What a run forecasts from, besides the features: the same for all counters, and read once.

    midnight: the start of the local day. newest: the snapshot that was published then. past: the champion is that of a
    past day or hour (`past_champion`). tables: the `tables` of a query, with the counts and estimates to read instead
    of the stored ones. weather: `read_weather`.
    """

    midnight: datetime
    newest: Published
    past: bool
    tables: dict[str, str]
    profiles: CounterProfiles
    loaded: LoadedChampion
    busy: BusyChampion
    weather: pd.DataFrame


@contextmanager
def inputs_known_then(
    run: ForecastRun, *, of_the_day: bool, only_known: bool, kept: bool = False
) -> Iterator[ForecastInputs | None]:
    """Yield what a run forecasts from; None before the first usable count.

    of_the_day: with the champion of that day. only_known: without hours that were first learned after `run.as_of`.
    kept: its counts stay for other processes, in tables that expire within a day. Raises ChampionGone, WarehouseError.
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
    newest = read_published(objects)
    profiles = read_counter_profiles(
        run.warehouse,
        city,
        origin_at=midnight,
        as_of=run.as_of,
        tables=tables,
        histories=histories,
    )
    if not profiles.counters["mean_count"].notna().any():
        return None
    later_day = newest.is_of_a_later_day(midnight, city.zone)
    past = of_the_day and past_champion.is_past(objects, run.as_of, later_origin=later_day)
    loaded, busy = _load(run, objects, past=past)
    weather = read_weather(run, loaded)
    return ForecastInputs(midnight, newest, past, tables, profiles, loaded, busy, weather)


def _load(run: ForecastRun, objects: Objects, *, past: bool) -> tuple[LoadedChampion, BusyChampion]:
    tell = model_loading.fallback_notifier(run)
    if not past:
        loaded = model_loading.load_champion(objects, on_fallback=tell)
        return loaded, busy_hours.load_busy_champion(objects, on_fallback=tell)

    def find_busy() -> Champion | None:
        return past_champion.find_champion_of(run, objects, kinds.AFFLUENCE)

    loaded = past_champion.load_champion_of(run, objects)
    return loaded, busy_hours.load_busy_champion(objects, on_fallback=tell, find=find_busy)


def read_weather(run: ForecastRun, loaded: LoadedChampion) -> pd.DataFrame:
    """Read the weather of the hours to forecast and of earlier hours that a model needs. Raises WarehouseError."""
    day = local_date(run.as_of, run.settings.city.zone)
    return feature_store.read_weather_features(
        run.warehouse,
        run.settings.city,
        first_origin=day - timedelta(days=recent_days(loaded)),
        last_origin=day,
    )


def recent_days(loaded: LoadedChampion) -> int:
    """Return how many origins before today's are read with it."""
    return adaptive.DAYS if loaded.model is None else loaded.model.recent_days
