"""The forecasters' side of the protocol (`velocast_cli/backtesting/outside/process.py`), and complete series.

It imports nothing of Velocast, because the forecasters run in environments without it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pandas as pd

WEEK = 168
HOUR = pd.Timedelta(hours=1)


@dataclass
class Asked:
    """What is asked at an origin.

    counts: counter_id, counted_at (UTC, no zone), bike_count; all counts known at the origin. origin: UTC, no zone.
    hours: how many to forecast. fit_seconds: how long `fitting` blocks took.
    """

    counts: pd.DataFrame
    origin: pd.Timestamp
    hours: int
    retrain: bool
    zone: str
    holidays: list[str]
    fit_seconds: float = field(default=0.0, init=False)

    @contextmanager
    def fitting(self) -> Iterator[None]:
        """Count the time of a block as training."""
        began = time.monotonic()
        yield
        self.fit_seconds += time.monotonic() - began

    @property
    def targets(self) -> pd.DatetimeIndex:
        """The hours to forecast (UTC, no zone)."""
        return pd.date_range(self.origin, periods=self.hours, freq="h")


def serve(forecast: Callable[[Asked], pd.DataFrame]) -> None:
    """Answer every line on standard input until it ends.

    forecast: returns counter_id, target_at (UTC, no zone), predicted_count, and lower and upper where it has them.
    Whatever libraries print goes to standard error.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    known: list[pd.DataFrame] = []
    for text in sys.stdin:
        line = json.loads(text)
        new = pd.read_parquet(line["counts"])
        known = [pd.concat([*known, new.assign(counted_at=new["counted_at"].dt.tz_convert(None))])]
        asked = Asked(
            known[0],
            pd.Timestamp(line["origin_at"]).tz_convert(None),
            line["hours"],
            line["retrain"],
            line["zone"],
            line["holidays"],
        )
        forecast(asked).to_parquet(line["forecasts"], index=False)
        answers.write(json.dumps({"fit_seconds": asked.fit_seconds}) + "\n")
        answers.flush()


def complete_series(asked: Asked, weeks: int | None = None) -> pd.DataFrame:
    """Return unique_id, ds, y without missing hours until the origin, and `counted`: whether y was counted.

    weeks: use the last so many weeks only. The libraries need complete series. Outages and merged clock-change hours
    are missing, so gaps may last for days, and linear interpolation would remove the daily pattern. A missing hour
    takes the value of a week earlier (a filled one if necessary), else the last value.
    """
    counts = asked.counts
    if weeks is not None:
        counts = counts[counts["counted_at"] >= asked.origin - weeks * WEEK * HOUR]
    wide = counts.pivot(index="counted_at", columns="counter_id", values="bike_count")
    wide = wide.reindex(pd.date_range(wide.index.min(), asked.origin - HOUR, freq="h"))
    filled = [wide.iloc[:WEEK].ffill()]
    for start in range(WEEK, len(wide), WEEK):
        block = wide.iloc[start : start + WEEK]
        earlier = filled[-1].iloc[: len(block)].set_axis(block.index)
        both = pd.concat([filled[-1].iloc[-1:], block.fillna(earlier)])
        filled.append(both.ffill().iloc[1:])
    series = pd.concat(filled).rename_axis(index="ds", columns="unique_id")
    counted = wide.notna().rename_axis(index="ds", columns="unique_id")
    rows = pd.DataFrame({"y": series.unstack(), "counted": counted.unstack()}).reset_index()
    return rows[rows["y"].notna()].reset_index(drop=True)


def as_forecasts(made: pd.DataFrame, model: str, level: int = 90) -> pd.DataFrame:
    """Return what Nixtla's libraries forecast in the protocol's columns; no count is below zero."""
    columns = {
        model: "predicted_count",
        f"{model}-lo-{level}": "lower",
        f"{model}-hi-{level}": "upper",
    }
    numbers = made.rename(columns=columns)[list(columns.values())].astype("float64")
    keys = made.rename(columns={"unique_id": "counter_id", "ds": "target_at"})
    return keys[["counter_id", "target_at"]].join(numbers.clip(lower=0))
