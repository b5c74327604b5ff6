"""The feature frames of a backtest: one for training, and one for each week's origins."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.city import City
from velocast.core.datetimes import HORIZON_DAYS, start_of_local_day
from velocast.core.kinds import AFFLUENCE
from velocast.model.learning import level_correction
from velocast.usecases import feature_store
from velocast.usecases.training.datasets.frames import WARM_UP_DAYS
from velocast.usecases.training.datasets.windows import DAY
from velocast_cli.backtesting.plan import BacktestPlan

LEARNING_BLOCK_DAYS = 90


def learning_frame(warehouse: Warehouse, city: City, plan: BacktestPlan) -> pd.DataFrame:
    """Return each hour counted before the last training once; a hash chooses its lead day. Raises WarehouseError."""
    last = plan.cuts()[-1]
    until = start_of_local_day(last, city.zone)
    first = plan.known_from + WARM_UP_DAYS * DAY
    parts = [
        feature_store.read_features(
            warehouse,
            city,
            first_origin=begin,
            last_origin=end,
            actual_until=until,
            one_lead=True,
            keep_one_in=plan.keep_one_in,
            with_busy=AFFLUENCE in plan.kinds,
            **_tables(plan),
        )
        for begin, end in _blocks(first, last - DAY, LEARNING_BLOCK_DAYS)
    ]
    return pd.concat(parts, ignore_index=True)


def week_frame(warehouse: Warehouse, city: City, plan: BacktestPlan, cut: date) -> pd.DataFrame:
    """Return the origins from one training to the next, and those of the days before that level correction needs.

    Counts after the plan's last horizon are not used as actuals. Raises WarehouseError.
    """
    return feature_store.read_features(
        warehouse,
        city,
        first_origin=cut - level_correction.DAYS * DAY,
        last_origin=min(cut + (plan.retrain_days - 1) * DAY, plan.last_origin),
        actual_until=start_of_local_day(plan.last_origin + HORIZON_DAYS * DAY, city.zone),
        **_tables(plan),
    )


def _tables(plan: BacktestPlan) -> dict[str, Any]:
    return {"counts_table": plan.counts_table, "weather_table": plan.weather_table}


def _blocks(first: date, last: date, days: int) -> Iterator[tuple[date, date]]:
    while first <= last:
        yield first, min(first + (days - 1) * DAY, last)
        first += days * DAY
