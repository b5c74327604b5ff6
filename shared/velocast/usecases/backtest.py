"""A rolling backtest: an origin at the start of every local day, weekly retraining on everything known by then.

The features are those of training and forecasting (feature_frames); every model is scored on the very same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Protocol

import numpy as np
import pandas as pd

from velocast.ground.city import City
from velocast.ground.errors import TooLittleHistory
from velocast.ground.time import HORIZON_DAYS, start_of_local_day
from velocast.model import day_level, estimators, similar_days, yardsticks
from velocast.model.learners import Kind
from velocast.outside.warehouse import Warehouse
from velocast.usecases import feature_frames
from velocast.usecases.training_frames import WARM_UP_DAYS

SEED = 20210503
RETRAIN_DAYS = 7
CALIBRATION_DAYS = 28
LEARNING_BLOCK_DAYS = 90
TESTING_BLOCK_DAYS = 28
MIN_LEARNING_DAYS = 42
DAY = timedelta(days=1)
KEPT = (
    "counter_id",
    "origin_at",
    "target_at",
    "lead_day",
    "local_hour",
    "local_date",
    "bike_count",
)


class Cost(Protocol):
    """What a block of work took, known when it has ended."""

    seconds: float
    peak_mb: float


Watch = Callable[[], AbstractContextManager[Cost]]


@dataclass(frozen=True)
class Plan:
    """What to test: the first day counted, the origins (both included), the kinds, and where counts and weather are.

    counts_table, weather_table: dataset.table; without the latter nothing is known of the weather. keep_one_in: of so
    many hours one is learned from, where a history has more than a model takes.
    """

    known_from: date
    first_origin: date
    last_origin: date
    kinds: tuple[Kind, ...]
    counts_table: str
    weather_table: str | None = None
    keep_one_in: int = 1

    @staticmethod
    def of(
        known_from: date,
        known_until: date,
        *,
        weeks: int,
        kinds: tuple[Kind, ...],
        counts_table: str,
        weather_table: str | None,
        keep_one_in: int = 1,
    ) -> Plan:
        """Test the last `weeks` whose lead days 0 to 2 end before `known_until`, the first day without counts.

        Raises TooLittleHistory when less than six weeks are left to learn from.
        """
        last = known_until - 3 * DAY
        first = last - (weeks * 7 - 1) * DAY
        if (first - known_from).days < MIN_LEARNING_DAYS:
            raise TooLittleHistory(
                f"backtest of {weeks} weeks up to {known_until}: counts from {known_from} on leave "
                f"{(first - known_from).days} days to learn from, {MIN_LEARNING_DAYS} are needed; ask for fewer weeks"
            )
        return Plan(known_from, first, last, kinds, counts_table, weather_table, keep_one_in)

    def cuts(self) -> list[date]:
        """The days on which everything is trained again."""
        days = (self.last_origin - self.first_origin).days + 1
        return [self.first_origin + n * DAY for n in range(0, days, RETRAIN_DAYS)]


@dataclass
class Backtest:
    """Forecasts of every model on the same rows, and what training took.

    rows: KEPT, then for each model its forecast under its name, its interval under `<name>:lower` and `<name>:upper`.
    fits: the last and largest fit of each model. learning_rows: those that the last fit chose from.
    """

    rows: pd.DataFrame
    fits: dict[str, Cost] = field(default_factory=dict)
    features: dict[str, Cost] = field(default_factory=dict)
    learning_rows: int = 0
    weather_share: float = 0.0


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
        known, week = _known(city, cut, learning), _week(city, cut, plan, testing)
        tested = week["origin_at"] >= start_of_local_day(cut, city.zone)
        made = week.loc[tested, list(KEPT)].assign(**yardsticks.naive(week[tested]))
        made[yardsticks.PREDECESSOR] = old.predict(week[tested])
        for kind in plan.kinds:
            with watch() as fits[kind]:
                model = _fitted(city, cut, kind, known)
            made = made.assign(**_columns(kind, model.predict(week)[tested]))
        made = made.assign(**_similar_interval(city, cut, known, week[tested]))
        parts.append(made)
    return pd.concat(parts, ignore_index=True)


def _known(city: City, cut: date, learning: pd.DataFrame) -> pd.DataFrame:
    return learning[learning["target_at"] < start_of_local_day(cut, city.zone)]


def _week(city: City, cut: date, plan: Plan, testing: pd.DataFrame) -> pd.DataFrame:
    """Return the week's origins and the few before them; of the counts only those that were known enter."""
    first = start_of_local_day(cut - day_level.DAYS * DAY, city.zone)
    last = min(cut + (RETRAIN_DAYS - 1) * DAY, plan.last_origin)
    until = start_of_local_day(last + DAY, city.zone)
    return testing[(testing["origin_at"] >= first) & (testing["origin_at"] < until)]


def _fitted(city: City, cut: date, kind: Kind, known: pd.DataFrame) -> estimators.TrainedModel:
    """Train as the train job does: the last four weeks tell how far it misses, then they are learned from too."""
    held_out = _held_out(city, cut, known)
    return estimators.fit(kind, known[~held_out], known[held_out], seed=SEED)


def _held_out(city: City, cut: date, known: pd.DataFrame) -> pd.Series[bool]:
    return known["target_at"] >= start_of_local_day(cut - CALIBRATION_DAYS * DAY, city.zone)


def _similar_interval(
    city: City, cut: date, known: pd.DataFrame, week: pd.DataFrame
) -> dict[str, np.ndarray[Any, Any]]:
    errors = similar_days.calibrate(known[_held_out(city, cut, known)])
    return _columns(yardsticks.SIMILAR_DAYS, similar_days.forecast(week, errors))


def _columns(name: str, made: pd.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    return {
        name: made["predicted_count"].to_numpy(),
        f"{name}:lower": made["lower"].to_numpy(),
        f"{name}:upper": made["upper"].to_numpy(),
    }
