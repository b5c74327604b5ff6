"""The rows a challenger learns from and is judged on, always computed from frozen counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from velocast.ground.settings import JobSettings
from velocast.ground.time import HORIZON_DAYS, SCORED_LEAD_DAYS, start_of_local_day
from velocast.usecases import feature_frames
from velocast.usecases.runtime import Run
from velocast.usecases.training_windows import DAY, Window

WARM_UP_DAYS = 7
TEST_MODE_COUNTERS = 5
TEST_MODE_ROWS = 1000


@dataclass(frozen=True)
class Source:
    """Where rows come from: the run, frozen tables of counts and weather, and which counters (none named: all)."""

    run: Run[JobSettings]
    table: str
    counter_ids: tuple[str, ...] = ()
    test_mode: bool = False
    weather_table: str | None = None

    def read(
        self, first_origin: date, days: Window, *, lead_days: int, one_lead: bool
    ) -> pd.DataFrame:
        """Return the rows with an actual whose target lies in `days`, from the origins `first_origin` on."""
        city = self.run.settings.city
        first, until = days.bounds(city.zone)
        frame = feature_frames.read(
            self.run.warehouse,
            city,
            first_origin=first_origin,
            last_origin=days.until - DAY,
            actual_until=until,
            lead_days=lead_days,
            one_lead=one_lead,
            counts_table=self.table,
            weather_table=self.weather_table,
            counter_ids=self.counter_ids,
        )
        inside = (frame["target_at"] >= first) & (frame["target_at"] < until)
        return frame[inside & frame["bike_count"].notna()].reset_index(drop=True)


def learning_frames(
    source: Source, learnable: Sequence[Window], calibrate_from: date
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (rows to fit on, rows to calibrate the intervals on), each target once with a lead day drawn by hash.

    The first days known are left out: what is known at their origins resembles no day to come.
    """
    earliest = learnable[0].first + timedelta(days=min(WARM_UP_DAYS, learnable[0].days // 4))
    parts = [
        source.read(
            max(earliest, days.first - (HORIZON_DAYS - 1) * DAY),
            days,
            lead_days=HORIZON_DAYS,
            one_lead=True,
        )
        for days in learnable
    ]
    rows = _thinned(source, pd.concat(parts, ignore_index=True))
    cut = start_of_local_day(calibrate_from, source.run.settings.city.zone)
    held_out = rows["target_at"] >= cut
    return rows[~held_out].reset_index(drop=True), rows[held_out].reset_index(drop=True)


def calibration_frame(
    source: Source, learnable: Sequence[Window], calibrate_from: date
) -> pd.DataFrame:
    """Return the rows that `learning_frames` holds out of the fit, without reading the others."""
    last = learnable[-1]
    days = Window(first=max(calibrate_from, last.first), until=last.until)
    return source.read(days.first, days, lead_days=HORIZON_DAYS, one_lead=True)


def scoring_frame(source: Source, days: Window) -> pd.DataFrame:
    """Return the rows to score on: origins on each of `days`, lead days 0 to 2, targets within `days`."""
    frame = source.read(days.first, days, lead_days=SCORED_LEAD_DAYS, one_lead=False)
    return _thinned(source, frame)


def _thinned(source: Source, rows: pd.DataFrame) -> pd.DataFrame:
    if not source.test_mode or len(rows) <= TEST_MODE_ROWS:
        return rows
    return rows.iloc[:: -(-len(rows) // TEST_MODE_ROWS)].reset_index(drop=True)
