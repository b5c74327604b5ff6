"""Rolling-origin evaluation: an origin at the start of every local day, weekly retraining on all counts known by then.

The features are those of training and forecasting (feature_store); all models are scored on the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
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
from velocast_cli.backtesting import frames, reference_forest
from velocast_cli.backtesting.apart import busy_hours, cold_start
from velocast_cli.backtesting.interval_scores import LEVELS
from velocast_cli.backtesting.plan import (
    KEPT,
    BacktestPlan,
    BacktestResult,
    BusyHourForecasts,
    fit_before_cut,
    held_out,
    known_before,
)
from velocast_cli.backtesting.references import PREDECESSOR
from velocast_cli.backtesting.resources import measure_resources


def backtest_rolling_origins(
    warehouse: Warehouse, city: City, plan: BacktestPlan, say: Callable[[str], None]
) -> BacktestResult:
    """Return the forecasts of all models. say: called with each step.

    The classifier of busy hours is left out when it has too few hours to train on or none to be scored on.
    Raises WarehouseError, TooLittleHistory.
    """
    result = BacktestResult(pd.DataFrame())
    with measure_resources() as result.features["learning"]:
        learning = frames.learning_frame(warehouse, city, plan)
    result.features_spent.add_fit(result.features["learning"])
    say(f"{len(learning):,} hours for training")
    result.learning_rows = len(learning)
    result.rows = _forecasts(warehouse, city, plan, learning, result, say)
    result.weather_share = float(result.rows.pop("weather").mean())
    if plan.counters_table is None:
        return result
    say("testing cold starts: forecasting counters whose history is hidden")
    with measure_resources() as result.new_counters_cost:
        result.new_counters = cold_start.backtest_cold_start(warehouse, city, plan, learning)
    return result


def _counted(warehouse: Warehouse, city: City, plan: BacktestPlan) -> pd.DataFrame:
    """Return every usable count before the first origin, on which the reference forest is fitted."""
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
    plan: BacktestPlan,
    learning: pd.DataFrame,
    result: BacktestResult,
    say: Callable[[str], None],
) -> pd.DataFrame:
    """Return `BacktestResult.rows` with `weather`: whether it was known. One week at a time, to save memory."""
    parts: list[pd.DataFrame] = []
    classifies = kinds.AFFLUENCE in plan.kinds
    for cut in plan.cuts():
        say(f"week of {cut}")
        known = known_before(city, cut, learning)
        models = {}
        for kind in plan.forecasters:
            with measure_resources() as result.fits[kind]:
                models[kind] = fit_before_cut(city, cut, kind, known)
            result.spent[kind].add_fit(result.fits[kind])
        classifier = _classifier(known, result, say) if classifies else None
        classifies = classifier is not None
        with measure_resources() as result.features["a week"]:
            week = frames.week_frame(warehouse, city, plan, cut)
        result.features_spent.forecast.add(result.features["a week"])
        tested = week["origin_at"] >= start_of_local_day(cut, city.zone)
        made = week.loc[tested, list(KEPT)].assign(**_naive(plan, week[tested]))
        for kind, model in models.items():
            with measure_resources() as took:
                made = made.assign(**_columns(kind, model.predict(week)[tested]))
            result.spent[kind].forecast.add(took)
        if reference_models.SIMILAR_DAYS in plan.references:
            late = held_out(city, cut, known)
            made = made.assign(**_similar_days(known[late], week[tested], result))
        made = made.assign(weather=week.loc[tested, "temperature"].notna())
        parts.append(made)
        if classifier is not None:
            busy_hours.add_forecasts(result.busy_hours, classifier, week[tested])
        del week, known  # free the memory for the next fit
    if classifies and not any(len(part) for part in result.busy_hours.parts):
        say("leaving out affluence: no tested hour has a threshold for busy")
        result.busy_hours = BusyHourForecasts()
    rows = pd.concat(parts, ignore_index=True)
    if PREDECESSOR not in plan.references:
        return rows
    # last, because its large trees would stay in memory while the others are fitted
    say("fitting the reference forest")
    counted = _counted(warehouse, city, plan)
    with measure_resources() as result.fits[PREDECESSOR]:
        old = reference_forest.ReferenceForest.fit(counted, seed=SEED)
    result.spent[PREDECESSOR].add_fit(result.fits[PREDECESSOR])
    with measure_resources() as took:
        forecasts = old.predict(rows)
    result.spent[PREDECESSOR].forecast.add(took)
    return rows.assign(**{PREDECESSOR: forecasts})


def _naive(plan: BacktestPlan, frame: pd.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    """Return the forecasts of the reference models that need no fit."""
    made = reference_models.naive_forecasts(frame)
    return {name: values for name, values in made.items() if name in plan.references}


def _classifier(
    known: pd.DataFrame, result: BacktestResult, say: Callable[[str], None]
) -> BusyModel | None:
    """Return the classifier of busy hours; None when it has too few hours to train on."""
    try:
        with measure_resources() as result.busy_hours.fit:
            model = busy_hours.fit_classifier(known)
    except TooLittleHistory as exc:  # counts of a quiet city can be forecast all the same
        say(f"leaving out affluence: {exc}")
        return None
    return model


def _similar_days(
    late: pd.DataFrame, week: pd.DataFrame, result: BacktestResult
) -> dict[str, np.ndarray[Any, Any]]:
    """Return the forecasts and intervals of similar days. late: the rows from whose errors the intervals come."""
    spent = result.spent[reference_models.SIMILAR_DAYS]
    with measure_resources() as took:
        errors = reference_models.calibrate_similar_days(late)
    spent.add_fit(took)
    with measure_resources() as took:
        made = reference_models.forecast_similar_days(week, errors)
    spent.forecast.add(took)
    return _columns(reference_models.SIMILAR_DAYS, made)


def _columns(name: str, made: pd.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    bounds = {f"{name}:{level}": made[level].to_numpy() for level in LEVELS}
    return {name: made["predicted_count"].to_numpy(), **bounds}
