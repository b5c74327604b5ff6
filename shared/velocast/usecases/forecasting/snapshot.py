"""Build the serving snapshot that `predict` publishes and `serve` reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.gcs import Objects
from velocast.core import schemas
from velocast.core.city import City, Histories
from velocast.core.datetimes import HOUR, local_date, parse_instant, rfc3339, start_of_hour
from velocast.core.errors import EventError, ObjectChanged, ObjectMissing
from velocast.model.intervals.conformal import QUANTILES
from velocast.model.known_hours import with_histories
from velocast.model.spatial_fallback import Z_90
from velocast.usecases.counter_health import CounterHealth, read_counter_health
from velocast.usecases.forecasting.busy_hours import BusyChampion
from velocast.usecases.forecasting.long_past import LongPast, PastDays
from velocast.usecases.forecasting.past_forecasts import PastForecasts
from velocast.usecases.forecasting.shown_events import shown_events
from velocast.usecases.forecasting.shown_weather import shown_weather
from velocast.usecases.growth import MeasuredGrowth
from velocast.usecases.snapshot_format import (
    CONTENT_TYPE,
    HOURS_PER_WEEK,
    SNAPSHOT,
    ChampionCard,
    CityCard,
    Clock,
    ContinuedCard,
    CounterSnapshot,
    FaultCard,
    HealthCard,
    ProposedCard,
    SiteCard,
    Snapshot,
    dumps,
    loads,
)

SEEN_WITHIN = timedelta(days=366)
TYPICAL_WEEKS = 8
MIN_WEEKS = 2
NOTHING_CONTINUED = Histories()
RECENT_HOURS = 14 * 24
COUNT_DECIMALS = 2
PROBABILITY_DECIMALS = 3
HEALTH_DECIMALS = 4
# Metadata of the published object: what `read_published` tells without reading a large city's snapshot.
_ORIGIN, _PUBLISHED, _GENERATED_BY = "origin-at", "published-at", "generated-by"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class History:
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


def read_history(
    warehouse: Warehouse,
    city: City,
    *,
    origin_at: datetime,
    as_of: datetime,
    tables: dict[str, str] | None = None,
    histories: Histories = NOTHING_CONTINUED,
) -> History:
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
    return History(
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


def build_snapshot(
    city: City,
    history: History,
    forecasts: Iterable[pd.DataFrame],
    *,
    origin_at: datetime,
    as_of: datetime,
    champion: Champion | None,
    busy: BusyChampion,
    generated_by: str,
    past: PastForecasts | None = None,
    long_past: LongPast | None = None,
    growth: MeasuredGrowth | None = None,
    proposed: tuple[ProposedCard, ...] = (),
    clock: Clock = "wall",
) -> Snapshot:
    """Build a snapshot. origin_at: of the forecasts of the hours from it on; earlier hours are forecast from midnight.

    forecasts: blocks of counters, the counters sorted over all of them, each counter at every hour of the horizon:
        counter_id, target_at, predicted_count, lower, upper (bikes per hour), QUANTILES (or NaN), busy_probability (or
        NaN), basis, level, busy_threshold; sorted by counter_id, target_at. Where the first block has temperature (°C)
        and rain (mm), the weather is shown.
    champion: the model that made them; None when similar days or another version did. busy: the source of the busy
        probabilities. past: the earlier forecasts of the recent hours. long_past: days and hours of the years before.
        growth: as last measured. None: not shown. proposed: counters that may continue others. clock: whose time it is.
    """
    sites = {
        counter_id: SiteCard(id=site.id, name=site.name)
        for site in city.sites
        for counter_id in site.counters
    }
    counters: list[CounterSnapshot] = []
    hours: tuple[datetime, ...] = ()
    weather = None
    for block in forecasts:
        if not hours:
            hours = tuple(block["target_at"].drop_duplicates().sort_values().dt.to_pydatetime())
            weather = shown_weather(city, block)
        counters += (
            _counter(str(counter_id), rows, history, past, long_past, growth, sites)
            for counter_id, rows in block.groupby("counter_id", sort=True)
        )
    return Snapshot(
        origin_at=origin_at,
        published_at=as_of,
        generated_by=generated_by,
        champion=None if champion is None else _champion_card(champion),
        busy_champion=None if busy.manifest is None else _champion_card(busy.manifest),
        busy_from=busy.busy_from,
        clock=clock,
        city=_city_card(city),
        events=shown_events(
            with_histories(city, history.histories),
            counters,
            since=history.recent_from,
            until=hours[-1] + HOUR if hours else as_of,
        ),
        growth=None if growth is None else growth.city,
        weather=weather,
        proposed=proposed,
        hours=hours,
        counters=tuple(counters),
    )


def _counter(
    counter_id: str,
    rows: pd.DataFrame,
    history: History,
    past: PastForecasts | None,
    long_past: LongPast | None,
    growth: MeasuredGrowth | None,
    sites: Mapping[str, SiteCard],
) -> CounterSnapshot:
    known = history.counters.loc[counter_id]
    busy = rows["busy_probability"].to_numpy(dtype=float)
    typical = _or_null(history.typical.loc[counter_id].to_numpy())
    first = rows.iloc[0]
    recent = _or_null(history.recent.loc[counter_id].to_numpy())
    earlier = past.of(counter_id) if past is not None and recent else {}
    days = PastDays() if long_past is None else long_past.days_of(counter_id)
    return CounterSnapshot(
        counter_id=counter_id,
        counter_name=_text(known["counter_name"]),
        latitude=_number(known["latitude"], None),
        longitude=_number(known["longitude"], None),
        last_counted_at=None if pd.isna(known["last_counted_at"]) else known["last_counted_at"],
        last_count=_number(known["last_count"]),
        level=_number(first["level"]),
        busy_threshold=_number(first["busy_threshold"]),
        basis=first["basis"],
        predicted=_rounded(rows["predicted_count"]),
        lower=_rounded(rows["lower"]),
        upper=_rounded(rows["upper"]),
        **{name: None if rows[name].isna().any() else _rounded(rows[name]) for name in QUANTILES},
        busy=None if np.isnan(busy).any() else tuple(busy.round(PROBABILITY_DECIMALS).tolist()),
        typical_week=typical,
        typical_spread=_or_null(history.typical_spread.loc[counter_id].to_numpy())
        if typical
        else None,
        recent=recent or (),
        recent_from=history.recent_from,
        **{f"past_{name}": _or_null(values) or () for name, values in earlier.items()},
        year_ago=() if long_past is None else long_past.year_ago_of(counter_id),
        days_from=days.first,
        days=days.bikes,
        day_hours=days.hours,
        days_estimated=days.estimated_bikes if any(days.estimated_hours) else (),
        day_hours_estimated=days.estimated_hours if any(days.estimated_hours) else (),
        continues=_continued(counter_id, history.histories),
        sum_of=history.histories.sums[counter_id].counters
        if counter_id in history.histories.sums
        else (),
        site=sites.get(counter_id),
        fault=history.faults.get(counter_id),
        health=history.health.get(counter_id),
        growth=None if growth is None else growth.counters.get(counter_id),
    )


def _continued(counter_id: str, histories: Histories) -> tuple[ContinuedCard, ...]:
    return tuple(
        ContinuedCard(counter_id=part, until=each.since, continued_by=each.counter_id)
        for each in histories.continued.get(counter_id, ())
        for part in each.continues
    )


def _rounded_health(each: CounterHealth) -> dict[str, float | None]:
    return {
        name: None if value is None else round(value, HEALTH_DECIMALS)
        for name, value in vars(each).items()
        if name in HealthCard.model_fields
    }


def _rounded(values: pd.Series[float]) -> tuple[float, ...]:
    return tuple(values.to_numpy(dtype=float).round(COUNT_DECIMALS).tolist())


def _or_null(values: Floats) -> tuple[float | None, ...] | None:
    """Return the values with None for NaN; None when all values are NaN."""
    if np.isnan(values).all():
        return None
    return tuple(None if np.isnan(v) else v for v in values.round(COUNT_DECIMALS).tolist())


def _number(value: Any, decimals: int | None = COUNT_DECIMALS) -> float | None:
    if pd.isna(value):
        return None
    return float(value) if decimals is None else round(float(value), decimals)


def _text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _champion_card(champion: Champion) -> ChampionCard:
    return ChampionCard.model_validate(champion.model_dump())


def _city_card(city: City) -> CityCard:
    return CityCard.model_validate(city.model_dump())


@dataclass(frozen=True)
class Published:
    """What is known of the published snapshot: None if there is no readable one. generation: 0 if there is none."""

    generation: int = 0
    origin_at: datetime | None = None
    published_at: datetime | None = None
    generated_by: str | None = None

    def is_of_a_later_day(self, origin_at: datetime, zone: ZoneInfo) -> bool:
        """Return whether its forecasts are of a later local day than an origin."""
        own = self.origin_at
        return own is not None and local_date(own, zone) > local_date(origin_at, zone)

    def why_kept(
        self, origin_at: datetime, generated_by: str, zone: ZoneInfo, *, past: bool
    ) -> str | None:
        """Return why forecasts from `origin_at` must not replace it; None when they may.

        It is then of a later day, or of a later hour by the same model: a new champion's forecasts replace those of the
        old one. past: made with a champion of the past, which replaces no other model's forecasts of the same day.
        """
        if self.origin_at is None:
            return None
        later, same = self.origin_at > origin_at, self.generated_by == generated_by
        if self.is_of_a_later_day(origin_at, zone) or (later and same):
            return f"the published snapshot is newer, from {rfc3339(self.origin_at)}"
        of_this_day = local_date(self.origin_at, zone) == local_date(origin_at, zone)
        if past and of_this_day and not same:
            return f"the published snapshot is by {self.generated_by}, promoted since"
        return None


def read_published(objects: Objects) -> Published:
    """Return what is known of the published snapshot."""
    try:
        stored = objects.describe(SNAPSHOT)
    except ObjectMissing:
        return Published()
    if _ORIGIN in stored.metadata:
        said = stored.metadata
        return Published(
            stored.generation,
            parse_instant(said[_ORIGIN]),
            parse_instant(said[_PUBLISHED]),
            said[_GENERATED_BY],
        )
    return _read_whole(objects)


def _read_whole(objects: Objects) -> Published:
    """Return the same of a snapshot that an earlier release wrote, without metadata."""
    try:
        stored = objects.read(SNAPSHOT)
    except ObjectMissing:
        return Published()
    try:
        made = loads(stored.data)
    except EventError:
        return Published(stored.generation)  # serve cannot read it either, so it is replaced
    return Published(stored.generation, made.origin_at, made.published_at, made.generated_by)


def publish(objects: Objects, snapshot: Snapshot, *, if_generation: int) -> int:
    """Write the snapshot and return its generation; the same one where this very snapshot is published already.

    Raises ObjectChanged when another has been published since.
    """
    data = dumps(snapshot)
    said = {
        _ORIGIN: rfc3339(snapshot.origin_at),
        _PUBLISHED: rfc3339(snapshot.published_at),
        _GENERATED_BY: snapshot.generated_by,
    }
    try:
        return objects.write(
            SNAPSHOT,
            data,
            content_type=CONTENT_TYPE,
            if_generation=if_generation,
            metadata=said,
        )
    except ObjectChanged:
        # A run that was stopped after it had published is repeated.
        for now in objects.versions(SNAPSHOT):  # none if it was deleted
            if now.name == SNAPSHOT and now.holds(data):
                return now.generation
        raise
