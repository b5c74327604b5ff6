"""A rolling backtest: an origin at the start of every local day, weekly retraining on everything known by then.

The features are those of training and forecasting (feature_store); every model is scored on the very same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from velocast.adapters.bigquery.client import Warehouse
from velocast.core import kinds
from velocast.core.city import City
from velocast.core.datetimes import start_of_local_day
from velocast.core.errors import TooLittleHistory
from velocast.model.evaluation import reference_models
from velocast.model.learning.busy_classifier import BusyModel
from velocast.model.learning.models import SEED
from velocast_cli.backtesting import busy_hours, cold_start, frames, reference_forest
from velocast_cli.backtesting.plan import (
    KEPT,
    Backtest,
    BusyHours,
    Plan,
    Watch,
    fitted,
    held_out,
    known_at,
)


def run(
    warehouse: Warehouse, city: City, plan: Plan, watch: Watch, say: Callable[[str], None]
) -> Backtest:
    """Run it. watch: measures a block; say: is told of each step.

    The classifier of busy hours is left out where it has too little to learn from or nothing to be judged by.
    Raises WarehouseError, TooLittleHistory.
    """
    result = Backtest(pd.DataFrame())
    with watch() as result.features["learning"]:
        learning = frames.learning(warehouse, city, plan)
    say(f"{len(learning):,} hours to learn from")
    result.learning_rows = len(learning)
    result.rows = _forecasts(warehouse, city, plan, learning, result, watch, say)
    result.weather_share = float(result.rows.pop("weather").mean())
    say("hiding counters, to see what new ones would get")
    with watch() as result.new_counters_cost:
        result.new_counters = cold_start.run(warehouse, city, plan, learning)
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


def _forecasts(
    warehouse: Warehouse,
    city: City,
    plan: Plan,
    learning: pd.DataFrame,
    result: Backtest,
    watch: Watch,
    say: Callable[[str], None],
) -> pd.DataFrame:
    """Return `Backtest.rows`, and `weather`: whether it was known. Week by week, so that only one is held at a time."""
    parts: list[pd.DataFrame] = []
    tells_busy = kinds.AFFLUENCE in plan.kinds
    for cut in plan.cuts():
        say(f"week of {cut}")
        known = known_at(city, cut, learning)
        models = {}
        for kind in plan.forecasters:
            with watch() as result.fits[kind]:
                models[kind] = fitted(city, cut, kind, known)
        classifier = _classifier(known, result, watch, say) if tells_busy else None
        tells_busy = classifier is not None
        with watch() as result.features["a week"]:
            week = frames.week(warehouse, city, plan, cut)
        tested = week["origin_at"] >= start_of_local_day(cut, city.zone)
        made = week.loc[tested, list(KEPT)].assign(**reference_models.naive_forecasts(week[tested]))
        for kind, model in models.items():
            made = made.assign(**_columns(kind, model.predict(week)[tested]))
        made = made.assign(
            **_similar_interval(city, cut, known, week[tested]),
            weather=week.loc[tested, "temperature"].notna(),
        )
        parts.append(made)
        if classifier is not None:
            busy_hours.add(result.busy_hours, classifier, week[tested])
        del week, known  # not beside the next fit
    if tells_busy and not any(len(part) for part in result.busy_hours.parts):
        say("leaving out affluence: of no hour tested is it known whether it was busy")
        result.busy_hours = BusyHours()
    rows = pd.concat(parts, ignore_index=True)
    # last, because its trees are large and would lie in memory while the others are fitted
    say("fitting the predecessor's forest")
    counted = _counted(warehouse, city, plan)
    with watch() as result.fits[reference_forest.PREDECESSOR]:
        old = reference_forest.Predecessor.fit(counted, seed=SEED)
    return rows.assign(**{reference_forest.PREDECESSOR: old.predict(rows)})


def _classifier(
    known: pd.DataFrame, result: Backtest, watch: Watch, say: Callable[[str], None]
) -> BusyModel | None:
    """Return the classifier of busy hours, None where it has too little to learn from."""
    try:
        with watch() as result.busy_hours.fit:
            model = busy_hours.fitted(known)
    except TooLittleHistory as exc:  # a quiet city's; its counts can be forecast all the same
        say(f"leaving out affluence: {exc}")
        return None
    return model


def _similar_interval(
    city: City, cut: date, known: pd.DataFrame, week: pd.DataFrame
) -> dict[str, np.ndarray[Any, Any]]:
    errors = reference_models.calibrate_similar_days(known[held_out(city, cut, known)])
    return _columns(
        reference_models.SIMILAR_DAYS, reference_models.forecast_similar_days(week, errors)
    )


def _columns(name: str, made: pd.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    return {
        name: made["predicted_count"].to_numpy(),
        f"{name}:lower": made["lower"].to_numpy(),
        f"{name}:upper": made["upper"].to_numpy(),
    }
