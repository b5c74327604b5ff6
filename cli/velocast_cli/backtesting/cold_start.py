"""What a new counter would get: counters are hidden, and the product is asked for them as for ones it never saw.

The counters of a pole are hidden together, for one of them would tell nearly all of the other. Neither the model nor
its features, neither typical weeks nor the snapshot know anything of what is hidden.
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
from velocast.usecases.forecasting import fallbacks, snapshot
from velocast.usecases.forecasting.busy_hours import BusyChampion
from velocast.usecases.forecasting.forecast_rows import MIN_MODEL_HOURS
from velocast.usecases.forecasting.snapshot import History
from velocast.usecases.serving import fallback_chain, snapshot_index
from velocast.usecases.serving.fallback_chain import Estimate
from velocast.usecases.serving.snapshot_index import SnapshotIndex
from velocast_cli.backtesting import frames
from velocast_cli.backtesting.plan import KEPT, Plan, fitted, held_out, known_at

FOLDS = 5
LEARN_ONE_IN = 6  # what others forecast misses a new counter ten times further than a sixth of the hours miss all
POSITION = "new_position"  # asked of `serve` by latitude and longitude
FIRST_DAY = "new_counter"  # published by `predict` on the day that a counter is first seen
CITY_WEEK = "city_typical_week"  # the middle of the city's counters in each local hour of the week
PLACE = ["latitude", "longitude"]


def run(warehouse: Warehouse, city: City, plan: Plan, learning: pd.DataFrame) -> pd.DataFrame:
    """Hide each counter once, in one week of the last FOLDS, and forecast it.

    learning: the feature frame that the backtest learns from. Returns the hidden counters' rows of those weeks: KEPT,
    then for POSITION, FIRST_DAY and CITY_WEEK the forecast under its name, its interval under `<name>:lower` and
    `<name>:upper`. Left out are counters that no origin of their week knows, and those beside which too little is known
    of any other; empty where none is left, no position is known or nothing forecasts counts. Raises WarehouseError.
    """
    if not plan.forecasters:
        return pd.DataFrame()
    cuts, places = plan.cuts(), _places(warehouse, plan)
    parts = [
        _fold(warehouse, city, plan, cuts[-1 - number % len(cuts)], hidden, learning)
        for number, hidden in enumerate(folds(places))
    ]
    return _joined(parts)


def _places(warehouse: Warehouse, plan: Plan) -> pd.DataFrame:
    """Return PLACE of each counter, where it is known; index counter_id."""
    if plan.counters_table is None:
        return pd.DataFrame({name: [] for name in PLACE})
    columns = ["counter_id", *PLACE]
    rows: pd.DataFrame = warehouse.read(plan.counters_table, columns=columns).to_pandas()
    return rows.dropna().set_index("counter_id").astype("float64")


def folds(places: pd.DataFrame) -> list[pd.DataFrame]:
    """Part the counters in at most FOLDS, pole by pole from south to north: each fold is spread over the city.

    places: PLACE of each counter, index counter_id. Returns parts of it; none where all stand on one pole.
    """
    pole = places.groupby(PLACE).ngroup()
    count = min(FOLDS, pole.nunique())
    return [places[pole % count == number] for number in range(count)] if count > 1 else []


def _fold(
    warehouse: Warehouse,
    city: City,
    plan: Plan,
    cut: date,
    hidden: pd.DataFrame,
    learning: pd.DataFrame,
) -> pd.DataFrame:
    known, week = known_at(city, cut, learning), frames.week(warehouse, city, plan, cut)
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
    model = fitted(city, cut, plan.forecasters[0], others.iloc[::LEARN_ONE_IN])
    seen = seen.join(model.predict(seen)).assign(basis="model")
    parts = []
    for origin_at, rows in asked.groupby("origin_at"):
        begin = rows["origin_at"].iloc[0].to_pydatetime()
        history = _without(_history(warehouse, city, plan, begin), hidden)
        known_then = seen[seen["origin_at"] == origin_at]
        parts.append(_asked(city, history, hidden, known_then, rows, begin))
    return _joined(parts)


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if not part.empty]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _history(warehouse: Warehouse, city: City, plan: Plan, origin_at: datetime) -> History:
    tables = {"counts": plan.counts_table, "counters": str(plan.counters_table)}
    return snapshot.read_history(
        warehouse, city, origin_at=origin_at, as_of=origin_at, tables=tables
    )


def _without(history: History, hidden: pd.DataFrame) -> History:
    """Forget all that was ever counted at the hidden ones, but not where they stand."""
    seen = history.counters.drop(index=hidden.index, errors="ignore")
    counters = pd.concat([seen, hidden]).sort_index()
    return replace(
        history,
        counters=counters,
        typical=history.typical.reindex(seen.index).reindex(counters.index),
        typical_spread=history.typical_spread.reindex(seen.index).reindex(counters.index),
        recent=history.recent.reindex(seen.index).reindex(counters.index),
    )


def _asked(
    city: City,
    history: History,
    hidden: pd.DataFrame,
    seen: pd.DataFrame,
    rows: pd.DataFrame,
    origin_at: datetime,
) -> pd.DataFrame:
    """Ask for the hidden counters' rows of one origin. seen: the others' forecasts from there."""
    index = _index(city, history, seen, origin_at)
    hours = rows.drop_duplicates("target_at")[["target_at", "lead_hours", "lead_day"]]
    hours = hours.sort_values("target_at", ignore_index=True)
    published = fallbacks.forecast_without_recent_counts(
        hours, history, sorted(rows["counter_id"].unique()), city.zone
    )
    published = published.set_index(["counter_id", "target_at"]).reindex(
        pd.MultiIndex.from_frame(rows[["counter_id", "target_at"]])
    )
    served = dict(_served(index, hidden, rows))
    targets = [target.to_pydatetime() for target in rows["target_at"]]
    keys = zip(rows["counter_id"], targets, strict=True)
    week = {t: fallback_chain.from_city_profile(index, None, t) for t in set(targets)}
    return rows[list(KEPT)].assign(
        **_columns(POSITION, [served[key] for key in keys]),
        **_columns(CITY_WEEK, [week[target] for target in targets]),
        **{
            FIRST_DAY: published["predicted_count"].to_numpy(),
            f"{FIRST_DAY}:lower": published["lower"].to_numpy(),
            f"{FIRST_DAY}:upper": published["upper"].to_numpy(),
        },
    )


def _index(city: City, history: History, seen: pd.DataFrame, origin_at: datetime) -> SnapshotIndex:
    made = snapshot.build_snapshot(
        city,
        history,
        seen.sort_values(["counter_id", "target_at"]),
        origin_at=origin_at,
        as_of=origin_at,
        champion=None,
        busy=BusyChampion(),
        generated_by="backtest",
    )
    return snapshot_index.build_index(made)


def _served(
    index: SnapshotIndex, hidden: pd.DataFrame, rows: pd.DataFrame
) -> Iterator[tuple[tuple[str, datetime], Estimate]]:
    """Answer by position; the counters of a pole have one answer."""
    targets = [target.to_pydatetime() for target in rows["target_at"].unique()]
    for _, pole in hidden.groupby(PLACE):
        latitude, longitude = (float(pole[name].iloc[0]) for name in PLACE)
        for target in targets:
            found = fallback_chain.estimate(index, target, position=(latitude, longitude))
            yield from (((str(counter_id), target), found) for counter_id in pole.index)


def _columns(name: str, found: list[Estimate]) -> dict[str, Any]:
    values = np.array([(e.predicted_count, e.lower, e.upper) for e in found])
    return {name: values[:, 0], f"{name}:lower": values[:, 1], f"{name}:upper": values[:, 2]}
