"""What a backtest is asked to do, and how it parts a known past: what was known at a cut, what follows it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

import pandas as pd

from velocast.core import kinds
from velocast.core.city import City
from velocast.core.datetimes import start_of_local_day
from velocast.core.errors import TooLittleHistory
from velocast.core.kinds import ForecastKind, Kind
from velocast.model.learning import forecaster
from velocast.model.learning.models import SEED
from velocast.usecases.training.datasets.windows import CALIBRATION_DAYS, DAY

RETRAIN_DAYS = 7
MIN_LEARNING_DAYS = 42
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

    counts_table, weather_table, counters_table: dataset.table; without the second nothing is known of the weather,
    without the last nobody knows where a new counter would stand. keep_one_in: of so many hours one is learned from,
    where a history has more than a model takes.
    """

    known_from: date
    first_origin: date
    last_origin: date
    kinds: tuple[Kind, ...]
    counts_table: str
    weather_table: str | None = None
    keep_one_in: int = 1
    counters_table: str | None = None

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
        counters_table: str | None = None,
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
        return Plan(
            known_from, first, last, kinds, counts_table, weather_table, keep_one_in, counters_table
        )

    @property
    def forecasters(self) -> list[ForecastKind]:
        """The kinds that forecast counts."""
        return [kind for kind in self.kinds if kind != kinds.AFFLUENCE]

    def cuts(self) -> list[date]:
        """The days on which everything is trained again."""
        days = (self.last_origin - self.first_origin).days + 1
        return [self.first_origin + n * DAY for n in range(0, days, RETRAIN_DAYS)]


@dataclass
class BusyHours:
    """What was said of each hour that has a threshold, and what the last and largest fit took.

    parts: counter_id, origin_at, target_at, lead_day, bike_count, busy_threshold, busy_probability and busy of the
    classifier, usual: whether the mean of similar days is above the threshold. thresholds: the probability from which
    each training chose to call an hour busy.
    """

    parts: list[pd.DataFrame] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    fit: Cost | None = None


@dataclass
class Backtest:
    """Forecasts of every model on the same rows, and what training took.

    rows: KEPT, then for each model its forecast under its name, its interval under `<name>:lower` and `<name>:upper`.
    fits: the last and largest fit of each model. learning_rows: those that the last fit chose from. new_counters: like
    rows, what counters would have got whose history was hidden (backtest_new_counters); empty where none could be.
    busy_hours: what the classifier said.
    """

    rows: pd.DataFrame
    fits: dict[str, Cost] = field(default_factory=dict)
    features: dict[str, Cost] = field(default_factory=dict)
    learning_rows: int = 0
    busy_hours: BusyHours = field(default_factory=BusyHours)
    weather_share: float = 0.0
    new_counters: pd.DataFrame = field(default_factory=pd.DataFrame)
    new_counters_cost: Cost | None = None


def known_at(city: City, cut: date, learning: pd.DataFrame) -> pd.DataFrame:
    """Return the rows to learn from whose hours were counted before the cut."""
    return learning[learning["target_at"] < start_of_local_day(cut, city.zone)]


def fitted(
    city: City, cut: date, kind: ForecastKind, known: pd.DataFrame
) -> forecaster.TrainedModel:
    """Train as the train job does: the last four weeks tell how far it misses, then they are learned from too."""
    late = held_out(city, cut, known)
    return forecaster.fit_forecaster(kind, known[~late], known[late], seed=SEED)


def held_out(city: City, cut: date, known: pd.DataFrame) -> pd.Series[bool]:
    """Mark the rows of the four weeks before the cut."""
    return known["target_at"] >= start_of_local_day(cut - CALIBRATION_DAYS * DAY, city.zone)
