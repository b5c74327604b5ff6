"""A rolling backtest: an origin at the start of every local day, weekly retraining on everything known by then.

The features are those of training and forecasting (feature_frames); every model is scored on the very same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from velocast.ground.city import City
from velocast.ground.time import HORIZON_DAYS, start_of_local_day
from velocast.model import day_level, similar_days, yardsticks
from velocast.outside.warehouse import Warehouse
from velocast.usecases import backtest_new_counters, feature_frames
from velocast.usecases.backtest_plan import (
    DAY,
    KEPT,
    SEED,
    Backtest,
    Cost,
    Plan,
    Watch,
    fitted,
    held_out,
    known_at,
    week_of,
)
from velocast.usecases.training_frames import WARM_UP_DAYS

LEARNING_BLOCK_DAYS = 90
TESTING_BLOCK_DAYS = 28


def run(
    warehouse: Warehouse, city: City, plan: Plan, watch: Watch, say: Callable[[str], None]
) -> Backtest:
    """Run it. watch: measures a block; say: is told of each step. Raises WarehouseError, TooLittleHistory."""
    result = Backtest(pd.DataFrame())
    with watch() as result.features["learning"]:
        learning = _learning(warehouse, city, plan)
    say(f"{len(learning):,} hours to learn from")
    with watch() as result.features["testing"]:
        testing = _testing(warehouse, city, plan)
    say(f"{len(testing):,} hours to forecast")
    result.learning_rows = len(learning)
    result.weather_share = float(testing["temperature"].notna().mean())
    counted = _counted(warehouse, city, plan)
    result.rows = _forecasts(city, plan, counted, learning, testing, result.fits, watch, say)
    say("hiding counters, to see what new ones would get")
    with watch() as result.new_counters_cost:
        result.new_counters = backtest_new_counters.run(warehouse, city, plan, learning, testing)
    return result


def _counted(warehouse: Warehouse, city: City, plan: Plan) -> pd.DataFrame:
    """Return every usable count before the first origin, for the predecessor, which knows nothing else."""
    columns = ["counter_id", "counted_at", "bike_count", "quality"]
    rows: pd.DataFrame = warehouse.read(plan.counts_table, columns=columns).to_pandas()
    usable = rows["quality"].isna() & (
        rows["counted_at"] < start_of_local_day(plan.first_origin, city.zone)
    )
    local = rows.loc[usable, "counted_at"].dt.tz_convert(city.zone).dt.tz_localize(None)
    return rows[usable].assign(local_date=local.dt.normalize(), local_hour=local.dt.hour)


def _learning(warehouse: Warehouse, city: City, plan: Plan) -> pd.DataFrame:
    """Return each hour counted before the last training once, its lead day drawn by hash."""
    last = plan.cuts()[-1]
    until = start_of_local_day(last, city.zone)
    first = plan.known_from + WARM_UP_DAYS * DAY
    parts = [
        feature_frames.read(
            warehouse,
            city,
            first_origin=begin,
            last_origin=end,
            actual_until=until,
            one_lead=True,
            keep_one_in=plan.keep_one_in,
            **_tables(plan),
        )
        for begin, end in _blocks(first, last - DAY, LEARNING_BLOCK_DAYS)
    ]
    return pd.concat(parts, ignore_index=True)


def _testing(warehouse: Warehouse, city: City, plan: Plan) -> pd.DataFrame:
    """Return the origins to forecast from, and the days before the first that its level is judged by."""
    until = start_of_local_day(plan.last_origin + HORIZON_DAYS * DAY, city.zone)
    parts = [
        feature_frames.read(
            warehouse,
            city,
            first_origin=begin,
            last_origin=end,
            actual_until=until,
            **_tables(plan),
        )
        for begin, end in _blocks(
            plan.first_origin - day_level.DAYS * DAY, plan.last_origin, TESTING_BLOCK_DAYS
        )
    ]
    return pd.concat(parts, ignore_index=True)


def _tables(plan: Plan) -> dict[str, Any]:
    return {"counts_table": plan.counts_table, "weather_table": plan.weather_table}


def _blocks(first: date, last: date, days: int) -> Iterator[tuple[date, date]]:
    while first <= last:
        yield first, min(first + (days - 1) * DAY, last)
        first += days * DAY


def _forecasts(
    city: City,
    plan: Plan,
    counted: pd.DataFrame,
    learning: pd.DataFrame,
    testing: pd.DataFrame,
    fits: dict[str, Cost],
    watch: Watch,
    say: Callable[[str], None],
) -> pd.DataFrame:
    say("fitting the predecessor's forest")
    with watch() as fits[yardsticks.PREDECESSOR]:
        old = yardsticks.Predecessor.fit(counted, seed=SEED)
    parts = []
    for cut in plan.cuts():
        say(f"week of {cut}")
        known, week = known_at(city, cut, learning), week_of(city, cut, plan, testing)
        tested = week["origin_at"] >= start_of_local_day(cut, city.zone)
        made = week.loc[tested, list(KEPT)].assign(**yardsticks.naive(week[tested]))
        made[yardsticks.PREDECESSOR] = old.predict(week[tested])
        for kind in plan.kinds:
            with watch() as fits[kind]:
                model = fitted(city, cut, kind, known)
            made = made.assign(**_columns(kind, model.predict(week)[tested]))
        made = made.assign(**_similar_interval(city, cut, known, week[tested]))
        parts.append(made)
    return pd.concat(parts, ignore_index=True)


def _similar_interval(
    city: City, cut: date, known: pd.DataFrame, week: pd.DataFrame
) -> dict[str, np.ndarray[Any, Any]]:
    errors = similar_days.calibrate(known[held_out(city, cut, known)])
    return _columns(yardsticks.SIMILAR_DAYS, similar_days.forecast(week, errors))


def _columns(name: str, made: pd.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    return {
        name: made["predicted_count"].to_numpy(),
        f"{name}:lower": made["lower"].to_numpy(),
        f"{name}:upper": made["upper"].to_numpy(),
    }
