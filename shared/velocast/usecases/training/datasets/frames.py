"""The feature rows that a challenger learns from and is scored on, always computed from frozen counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from velocast.core.datetimes import HORIZON_DAYS, SCORED_LEAD_DAYS
from velocast.core.kinds import AFFLUENCE, Kind
from velocast.core.settings import JobSettings
from velocast.usecases import feature_store
from velocast.usecases.context import Run
from velocast.usecases.training.datasets.frozen_calendar import FrozenCalendar
from velocast.usecases.training.datasets.windows import DAY, DayRange

WARM_UP_DAYS = 7
TEST_MODE_COUNTERS = 5
TEST_MODE_ROWS = 1000
TEST_MODE_HELD_OUT = 200  # of them
# However large the city and long its history, about this many rows are read at most. They are drawn by hash, the same
# share of every counter and every season. A fit learns little from more (`regressors.hyperparameters`: max_rows), and a
# score changes little: on Münster's 654 days of test, similar days have an R2 of 0.9228 on a third of the rows and of
# 0.9231 on all of them, which take twice the time and memory (1.8 GB).
MOST_FITTED, MOST_HELD_OUT, MOST_SCORED = 200_000, 100_000, 400_000


@dataclass(frozen=True)
class FeatureSource:
    """Where rows come from: the run, frozen tables of counts and weather, and the counters (none named: all).

    rows_a_day: the hours counted on an average day, by all counters; from it follows how many rows a range of days has.
    calendar: None for that of the city's file.
    """

    run: Run[JobSettings]
    table: str
    rows_a_day: float = 0.0
    counter_ids: tuple[str, ...] = ()
    test_mode: bool = False
    weather_table: str | None = None
    calendar: FrozenCalendar | None = None

    def read(
        self,
        first_origin: date,
        days: DayRange,
        *,
        lead_days: int,
        one_lead: bool,
        keep_one_in: int = 1,
        with_busy: bool = True,
    ) -> pd.DataFrame:
        """Return the rows with an actual whose target lies in `days`, from the origins `first_origin` on.

        keep_one_in: n reads one target in n, drawn by hash. with_busy: whether `busy_threshold` is read.
        """
        city = self.run.settings.city
        if self.calendar is not None:
            city = self.calendar.of_city(city)
        first, until = days.bounds(city.zone)
        frame = feature_store.read_features(
            self.run.warehouse,
            city,
            first_origin=first_origin,
            last_origin=days.until - DAY,
            actual_until=until,
            lead_days=lead_days,
            one_lead=one_lead,
            keep_one_in=keep_one_in,
            with_busy=with_busy,
            counts_table=self.table,
            weather_table=self.weather_table,
            counter_ids=self.counter_ids,
        )
        kept = (frame["target_at"] >= first) & (frame["target_at"] < until)
        kept &= frame["bike_count"].notna()
        # a year's rows take 90 MB, so they are copied only if necessary
        return frame if kept.all() else frame[kept].reset_index(drop=True)

    def keep_one_in(self, windows: Sequence[DayRange], most: int, *, leads: int = 1) -> int:
        """Return n such that keeping one hour in n leaves about `most` rows, with each hour read at `leads` leads."""
        rows = self.rows_a_day * sum(days.days for days in windows) * leads
        return max(1, math.ceil(rows / most))


def learning_frames(
    source: FeatureSource, learnable: Sequence[DayRange], calibrate_from: date, *, kind: Kind
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (rows to fit on, rows to calibrate the intervals on), each target once with a lead day drawn by hash.

    The first days are left out: their origins have less history than any later forecast will have. kind: of the model;
    only what is fitted to busy hours gets `busy_threshold`.
    """
    busy = kind == AFFLUENCE
    late = DayRange(first=calibrate_from, until=max(days.until for days in learnable))
    fitted = [part for days in learnable for part in days.without(late)]
    rows = _learned(source, fitted, _earliest(learnable), MOST_FITTED, busy)
    return (
        _thinned(source, rows, TEST_MODE_ROWS - TEST_MODE_HELD_OUT),
        calibration_frame(source, learnable, calibrate_from, with_busy=busy),
    )


def calibration_frame(
    source: FeatureSource,
    learnable: Sequence[DayRange],
    calibrate_from: date,
    *,
    with_busy: bool = False,
) -> pd.DataFrame:
    """Return the rows that `learning_frames` holds out of the fit, without reading the others."""
    late = [DayRange(first=max(days.first, calibrate_from), until=days.until) for days in learnable]
    held_out = [days for days in late if days.days]
    rows = _learned(source, held_out, _earliest(learnable), MOST_HELD_OUT, with_busy)
    return _thinned(source, rows, TEST_MODE_HELD_OUT)


def _earliest(learnable: Sequence[DayRange]) -> date:
    return learnable[0].first + timedelta(days=min(WARM_UP_DAYS, learnable[0].days // 4))


def _learned(
    source: FeatureSource, windows: Sequence[DayRange], earliest: date, most: int, with_busy: bool
) -> pd.DataFrame:
    parts = [
        source.read(
            max(earliest, days.first - (HORIZON_DAYS - 1) * DAY),
            days,
            lead_days=HORIZON_DAYS,
            one_lead=True,
            keep_one_in=source.keep_one_in(windows, most),
            with_busy=with_busy,
        )
        for days in windows
    ]
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def scoring_frame(source: FeatureSource, days: DayRange) -> pd.DataFrame:
    """Return the rows to score on: origins on each of `days`, lead days 0 to 2, targets within `days`."""
    frame = source.read(
        days.first,
        days,
        lead_days=SCORED_LEAD_DAYS,
        one_lead=False,
        keep_one_in=source.keep_one_in([days], MOST_SCORED, leads=SCORED_LEAD_DAYS),
    )
    return _thinned(source, frame, TEST_MODE_ROWS)


def _thinned(source: FeatureSource, rows: pd.DataFrame, most: int) -> pd.DataFrame:
    if not source.test_mode or len(rows) <= most:
        return rows
    return rows.iloc[:: -(-len(rows) // most)].reset_index(drop=True)
