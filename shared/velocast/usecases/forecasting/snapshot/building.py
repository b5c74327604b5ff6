"""Build the snapshot that `predict` publishes and `serve` reads, from forecasts and from what is shown beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from velocast.adapters.champion_manifest import Champion
from velocast.core.city import City, Histories
from velocast.core.datetimes import HOUR
from velocast.model.arrays import Floats
from velocast.model.intervals.conformal import QUANTILES
from velocast.model.known_hours import with_histories
from velocast.usecases.forecasting.snapshot.counter_profiles import CounterProfiles
from velocast.usecases.forecasting.snapshot.long_past import LongPast, PastDays
from velocast.usecases.forecasting.snapshot.past_forecasts import PastForecasts
from velocast.usecases.forecasting.snapshot.shown_events import shown_events
from velocast.usecases.forecasting.snapshot.shown_weather import shown_weather
from velocast.usecases.growth import MeasuredGrowth
from velocast.usecases.snapshot_format import (
    ChampionCard,
    CityCard,
    Clock,
    ContinuedCard,
    CounterSnapshot,
    ProposedCard,
    SiteCard,
    Snapshot,
)

COUNT_DECIMALS = 2
PROBABILITY_DECIMALS = 3


def build_snapshot(
    city: City,
    profiles: CounterProfiles,
    forecasts: Iterable[pd.DataFrame],
    *,
    origin_at: datetime,
    as_of: datetime,
    champion: Champion | None,
    busy_champion: Champion | None,
    busy_from: float,
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
    champion: the model that made them; None when similar days or another version did. busy_champion: the classifier of
        the busy probabilities; None when the forecast's distribution gives them. busy_from: that of a busy hour.
    past: the earlier forecasts of the recent hours. long_past: days and hours of the years before.
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
            _counter(str(counter_id), rows, profiles, past, long_past, growth, sites)
            for counter_id, rows in block.groupby("counter_id", sort=True)
        )
    return Snapshot(
        origin_at=origin_at,
        published_at=as_of,
        generated_by=generated_by,
        champion=None if champion is None else _champion_card(champion),
        busy_champion=None if busy_champion is None else _champion_card(busy_champion),
        busy_from=busy_from,
        clock=clock,
        city=_city_card(city),
        events=shown_events(
            with_histories(city, profiles.histories),
            counters,
            since=profiles.recent_from,
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
    profiles: CounterProfiles,
    past: PastForecasts | None,
    long_past: LongPast | None,
    growth: MeasuredGrowth | None,
    sites: Mapping[str, SiteCard],
) -> CounterSnapshot:
    known = profiles.counters.loc[counter_id]
    busy = rows["busy_probability"].to_numpy(dtype=float)
    typical = _or_null(profiles.typical.loc[counter_id].to_numpy())
    first = rows.iloc[0]
    recent = _or_null(profiles.recent.loc[counter_id].to_numpy())
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
        typical_spread=_or_null(profiles.typical_spread.loc[counter_id].to_numpy())
        if typical
        else None,
        recent=recent or (),
        recent_from=profiles.recent_from,
        **{f"past_{name}": _or_null(values) or () for name, values in earlier.items()},
        year_ago=() if long_past is None else long_past.year_ago_of(counter_id),
        days_from=days.first,
        days=days.bikes,
        day_hours=days.hours,
        days_estimated=days.estimated_bikes if any(days.estimated_hours) else (),
        day_hours_estimated=days.estimated_hours if any(days.estimated_hours) else (),
        continues=_continued(counter_id, profiles.histories),
        sum_of=profiles.histories.sums[counter_id].counters
        if counter_id in profiles.histories.sums
        else (),
        site=sites.get(counter_id),
        fault=profiles.faults.get(counter_id),
        health=profiles.health.get(counter_id),
        growth=None if growth is None else growth.counters.get(counter_id),
    )


def _continued(counter_id: str, histories: Histories) -> tuple[ContinuedCard, ...]:
    return tuple(
        ContinuedCard(counter_id=part, until=each.since, continued_by=each.counter_id)
        for each in histories.continued.get(counter_id, ())
        for part in each.continues
    )


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
