"""The plan of a backtest, its result, and the split of its rows at each retraining (cut)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from velocast.core import kinds
from velocast.core.city import City
from velocast.core.datetimes import start_of_local_day
from velocast.core.errors import TooLittleHistory
from velocast.core.kinds import ForecastKind, Kind
from velocast.model.learning import forecaster
from velocast.model.learning.models import SEED
from velocast.usecases.training.datasets.windows import CALIBRATION_DAYS, DAY
from velocast_cli.backtesting.outside.forecasts import OutsideForecasts
from velocast_cli.backtesting.references import DEFAULT_REFERENCES, ReferenceName
from velocast_cli.backtesting.resources import ResourceUse

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


@dataclass(frozen=True)
class BacktestPlan:
    """What to test: the first day with counts, the first and last origin (included), the kinds, and the tables.

    counts_table, weather_table, counters_table: dataset.table. Without weather_table the models get no weather; without
    counters_table there are no positions, so cold starts are not tested. keep_one_in: train on one hour in so many.
    references: the reference models to score. retrain_days: days from one training to the next.
    """

    known_from: date
    first_origin: date
    last_origin: date
    kinds: tuple[Kind, ...]
    counts_table: str
    weather_table: str | None = None
    keep_one_in: int = 1
    counters_table: str | None = None
    references: tuple[ReferenceName, ...] = DEFAULT_REFERENCES
    retrain_days: int = RETRAIN_DAYS

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
        references: tuple[ReferenceName, ...] = DEFAULT_REFERENCES,
        retrain_days: int = RETRAIN_DAYS,
    ) -> BacktestPlan:
        """Test the last `weeks` weeks whose lead days 0 to 2 end before `known_until`, the first day without counts.

        Raises TooLittleHistory when fewer than MIN_LEARNING_DAYS days are left for training.
        """
        last = known_until - 3 * DAY
        first = last - (weeks * 7 - 1) * DAY
        if (first - known_from).days < MIN_LEARNING_DAYS:
            raise TooLittleHistory(
                f"backtest of {weeks} weeks until {known_until}: counts start on {known_from}, which leaves "
                f"{max(0, (first - known_from).days)} days for training; {MIN_LEARNING_DAYS} are needed, so ask for "
                "fewer weeks"
            )
        return BacktestPlan(
            known_from,
            first,
            last,
            kinds,
            counts_table,
            weather_table,
            keep_one_in,
            counters_table,
            references,
            retrain_days,
        )

    @property
    def forecasters(self) -> list[ForecastKind]:
        """The kinds that forecast counts (all but the classifier of busy hours)."""
        return [kind for kind in self.kinds if kind != kinds.AFFLUENCE]

    def cuts(self) -> list[date]:
        """The days on which all models are retrained."""
        days = (self.last_origin - self.first_origin).days + 1
        return [self.first_origin + n * DAY for n in range(0, days, self.retrain_days)]


@dataclass
class BusyHourForecasts:
    """The classifier's forecasts of hours that have a threshold, and the resources of its last and largest fit.

    parts: counter_id, origin_at, target_at, lead_day, bike_count, busy_threshold; busy_probability and busy from the
    classifier; usual: whether the mean of similar days is above the threshold. thresholds: the probability from which
    each trained classifier calls an hour busy.
    """

    parts: list[pd.DataFrame] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    fit: ResourceUse | None = None


@dataclass
class Spent:
    """What all of a model's fits and all of its forecasts took in the whole backtest, features not included."""

    fits: int = 0
    fit: ResourceUse = field(default_factory=ResourceUse)
    forecast: ResourceUse = field(default_factory=ResourceUse)

    def add_fit(self, used: ResourceUse) -> None:
        """Add one fit."""
        self.fits += 1
        self.fit.add(used)


@dataclass
class BacktestResult:
    """Forecasts of all models on the same rows, and the resources of training.

    rows: KEPT, then for each model its forecast under its name, and its interval and quantiles under `<name>:lower`,
    `<name>:q25` and so on. fits: the last and largest fit of each model. learning_rows: the rows available to the last
    fit.
    new_counters: like rows, for counters whose history was hidden (cold_start); empty when none could be hidden.
    spent: of each model that computes something beside the features. features_spent: reading those of all trainings
    (once, as a fit) and those of all forecasts. usable: the counts that models may learn from (COUNTED).
    outside: what outside forecasters forecast. city: its name. put_aside: records that were refused when the files were
    read, by reason.
    """

    rows: pd.DataFrame
    fits: dict[str, ResourceUse] = field(default_factory=dict)
    features: dict[str, ResourceUse] = field(default_factory=dict)
    spent: defaultdict[str, Spent] = field(default_factory=lambda: defaultdict(Spent))
    features_spent: Spent = field(default_factory=Spent)
    usable: pd.DataFrame = field(default_factory=pd.DataFrame)
    outside: list[OutsideForecasts] = field(default_factory=list)
    learning_rows: int = 0
    busy_hours: BusyHourForecasts = field(default_factory=BusyHourForecasts)
    weather_share: float = 0.0
    new_counters: pd.DataFrame = field(default_factory=pd.DataFrame)
    new_counters_cost: ResourceUse | None = None
    city: str = ""
    put_aside: dict[str, int] = field(default_factory=dict)


def known_before(city: City, cut: date, learning: pd.DataFrame) -> pd.DataFrame:
    """Return the training rows whose hours were counted before the cut."""
    return learning[learning["target_at"] < start_of_local_day(cut, city.zone)]


def fit_before_cut(
    city: City, cut: date, kind: ForecastKind, known: pd.DataFrame
) -> forecaster.TrainedModel:
    """Train like the train job: calibrate intervals on the last four weeks, then train on them too."""
    late = held_out(city, cut, known)
    return forecaster.fit_forecaster(kind, known[~late], known[late], seed=SEED)


def held_out(city: City, cut: date, known: pd.DataFrame) -> pd.Series[bool]:
    """Return a mask of the rows in the four weeks before the cut."""
    return known["target_at"] >= start_of_local_day(cut - CALIBRATION_DAYS * DAY, city.zone)
