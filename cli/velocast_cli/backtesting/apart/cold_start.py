"""Cold start: forecasts for a new counter, tested by hiding counters and requesting forecasts as if they were new.

Counters at the same site are hidden together, because one of them predicts the other almost completely. Hidden counts
reach neither the model, nor its features, nor typical weeks, nor the snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.city import City
from velocast.core.datetimes import start_of_local_day
from velocast.usecases.forecasting import fallbacks
from velocast.usecases.forecasting.busy_hours import BUSY_FROM
from velocast.usecases.forecasting.forecast_rows import MIN_MODEL_HOURS
from velocast.usecases.forecasting.snapshot.building import build_snapshot
from velocast.usecases.forecasting.snapshot.counter_profiles import (
    CounterProfiles,
    read_counter_profiles,
)
from velocast.usecases.serving import fallback_chain, snapshot_index
from velocast.usecases.serving.fallback_chain import Estimate
from velocast.usecases.serving.snapshot_index import SnapshotIndex
from velocast_cli.backtesting import frames
from velocast_cli.backtesting.plan import KEPT, BacktestPlan, fit_before_cut, held_out, known_before

FOLDS = 5
LEARN_ONE_IN = (
    6  # training on a sixth of the hours adds a tenth of the error that hiding a counter adds
)
POSITION = "new_position"  # requested from `serve` by latitude and longitude
FIRST_DAY = "new_counter"  # published by `predict` on the day that a counter is first seen
SECOND_DAY = (
    "new_counter_second_day"  # a day later, when the counts of its first 24 hours are known
)
CITY_WEEK = "city_typical_week"  # typical week of all the city's counters, by local hour
PLACE = ["latitude", "longitude"]


def backtest_cold_start(
    warehouse: Warehouse, city: City, plan: BacktestPlan, learning: pd.DataFrame
) -> pd.DataFrame:
    """Hide each counter once, in one of the last FOLDS weeks, and forecast it.

    learning: the training frame of the backtest. Returns the hidden counters' rows of those weeks: KEPT, then for
    POSITION, FIRST_DAY, SECOND_DAY and CITY_WEEK the forecast under its name and its interval under `<name>:lower` and
    `<name>:upper`. Counters that are unknown at all origins of their week are left out, and so are those whose
    remaining counters have too little history. Empty when none is left, when no position is known or when no kind
    forecasts counts. Raises WarehouseError.
    """
    if not plan.forecasters:
        return pd.DataFrame()
    cuts, places = plan.cuts(), _places(warehouse, plan)
    parts = [
        _fold(warehouse, city, plan, cuts[-1 - number % len(cuts)], hidden, learning)
        for number, hidden in enumerate(folds(places))
    ]
    return _joined(parts)


def _places(warehouse: Warehouse, plan: BacktestPlan) -> pd.DataFrame:
    """Return PLACE of each counter whose position is known; index counter_id."""
    if plan.counters_table is None:
        return pd.DataFrame({name: [] for name in PLACE})
    columns = ["counter_id", *PLACE]
    rows: pd.DataFrame = warehouse.read(plan.counters_table, columns=columns).to_pandas()
    return rows.dropna().set_index("counter_id").astype("float64")


def folds(places: pd.DataFrame) -> list[pd.DataFrame]:
    """Split the counters into at most FOLDS folds, site by site from south to north, so that each covers the city.

    places: PLACE of each counter, index counter_id. Returns parts of it; none when all counters are at one site.
    """
    site = places.groupby(PLACE).ngroup()
    count = min(FOLDS, site.nunique())
    return [places[site % count == number] for number in range(count)] if count > 1 else []


def _fold(
    warehouse: Warehouse,
    city: City,
    plan: BacktestPlan,
    cut: date,
    hidden: pd.DataFrame,
    learning: pd.DataFrame,
) -> pd.DataFrame:
    known, week = known_before(city, cut, learning), frames.week_frame(warehouse, city, plan, cut)
    others = known[~known["counter_id"].isin(hidden.index)]
    enough = week["history_hours"] >= MIN_MODEL_HOURS
    seen = week[~week["counter_id"].isin(hidden.index) & enough]
    asked = week[
        week["counter_id"].isin(hidden.index)
        & (week["origin_at"] >= start_of_local_day(cut, city.zone))
    ]
    asked = asked[asked["origin_at"].isin(seen["origin_at"])]
    if asked.empty or (~held_out(city, cut, others)).sum() < MIN_MODEL_HOURS:
        return pd.DataFrame()
    model = fit_before_cut(city, cut, plan.forecasters[0], others.iloc[::LEARN_ONE_IN])
    seen = seen.join(model.predict(seen)).assign(basis="model")
    parts = []
    for origin_at, rows in asked.groupby("origin_at"):
        begin = rows["origin_at"].iloc[0].to_pydatetime()
        profiles = _profiles(warehouse, city, plan, begin)
        known_then = seen[seen["origin_at"] == origin_at]
        parts.append(_asked(city, profiles, hidden, known_then, rows, begin))
    return _joined(parts)


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if not part.empty]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _profiles(
    warehouse: Warehouse, city: City, plan: BacktestPlan, origin_at: datetime
) -> CounterProfiles:
    tables = {"counts": plan.counts_table, "counters": str(plan.counters_table)}
    return read_counter_profiles(
        warehouse, city, origin_at=origin_at, as_of=origin_at, tables=tables
    )


def _without(
    profiles: CounterProfiles, hidden: pd.DataFrame, *, last_hours: int = 0
) -> CounterProfiles:
    """Remove the counts of the hidden counters except those of the last hours; keep their positions."""
    seen = profiles.counters.drop(index=hidden.index, errors="ignore")
    last = profiles.recent.reindex(hidden.index)
    last.iloc[:, : last.shape[1] - last_hours] = np.nan
    counters = pd.concat([seen, hidden.assign(mean_count=last.mean(axis=1))]).sort_index()
    return replace(
        profiles,
        counters=counters,
        typical=profiles.typical.reindex(seen.index).reindex(counters.index),
        typical_spread=profiles.typical_spread.reindex(seen.index).reindex(counters.index),
        recent=pd.concat([profiles.recent.reindex(seen.index), last]).reindex(counters.index),
    )


def _asked(
    city: City,
    profiles: CounterProfiles,
    hidden: pd.DataFrame,
    seen: pd.DataFrame,
    rows: pd.DataFrame,
    origin_at: datetime,
) -> pd.DataFrame:
    """Forecast the hidden counters' rows of one origin. seen: the forecasts of the other counters from there."""
    unknown = _without(profiles, hidden)
    index = _index(city, unknown, seen, origin_at)
    served = dict(_served(index, hidden, rows))
    targets = [target.to_pydatetime() for target in rows["target_at"]]
    keys = zip(rows["counter_id"], targets, strict=True)
    week = {t: fallback_chain.from_city_profile(index, None, t) for t in set(targets)}
    return rows[list(KEPT)].assign(
        **_columns(POSITION, [served[key] for key in keys]),
        **_columns(CITY_WEEK, [week[target] for target in targets]),
        **_published(city, unknown, rows, FIRST_DAY),
        **_published(city, _without(profiles, hidden, last_hours=24), rows, SECOND_DAY),
    )


def _published(
    city: City, profiles: CounterProfiles, rows: pd.DataFrame, name: str
) -> dict[str, Any]:
    """Return what `predict` would publish for the rows of new counters."""
    hours = rows.drop_duplicates("target_at")[["target_at", "lead_hours", "lead_day"]]
    hours = hours.sort_values("target_at", ignore_index=True)
    published = fallbacks.forecast_without_recent_counts(
        hours, profiles, sorted(rows["counter_id"].unique()), city.zone
    )
    published = published.set_index(["counter_id", "target_at"]).reindex(
        pd.MultiIndex.from_frame(rows[["counter_id", "target_at"]])
    )
    return {
        name: published["predicted_count"].to_numpy(),
        f"{name}:lower": published["lower"].to_numpy(),
        f"{name}:upper": published["upper"].to_numpy(),
    }


def _index(
    city: City, profiles: CounterProfiles, seen: pd.DataFrame, origin_at: datetime
) -> SnapshotIndex:
    made = build_snapshot(
        city,
        profiles,
        [seen.sort_values(["counter_id", "target_at"])],
        origin_at=origin_at,
        as_of=origin_at,
        champion=None,
        busy_champion=None,
        busy_from=BUSY_FROM,
        generated_by="backtest",
    )
    return snapshot_index.build_index(made)


def _served(
    index: SnapshotIndex, hidden: pd.DataFrame, rows: pd.DataFrame
) -> Iterator[tuple[tuple[str, datetime], Estimate]]:
    """Yield the forecasts by position; counters at the same site share one."""
    targets = [target.to_pydatetime() for target in rows["target_at"].unique()]
    for _, site in hidden.groupby(PLACE):
        latitude, longitude = (float(site[name].iloc[0]) for name in PLACE)
        for target in targets:
            found = fallback_chain.estimate(index, target, position=(latitude, longitude))
            yield from (((str(counter_id), target), found) for counter_id in site.index)


def _columns(name: str, found: list[Estimate]) -> dict[str, Any]:
    values = np.array([(e.predicted_count, e.lower, e.upper) for e in found])
    return {name: values[:, 0], f"{name}:lower": values[:, 1], f"{name}:upper": values[:, 2]}
