"""The columns that are tested for drift, computed from the counts, weather and forecasts of one period."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from velocast.core.datetimes import start_of_local_day

COLUMNS = (
    "bike_count",
    "relative_count",
    "night_share",
    "morning_share",
    "weekend_ratio",
    "temperature_c",
    "precipitation_mm",
    "absolute_error",
)
NIGHT = (22, 23, 0, 1, 2, 3, 4)
MORNING = (7, 8, 9)
HOURS_OF_A_DAY = 20  # days with fewer counted hours are left out
HOURS_OF_A_WEEK = 140
FEWEST_BIKES = 24  # days with fewer bikes have no meaningful daily profile
YEAR = timedelta(days=364)  # 52 weeks, so that weekdays match


@dataclass(frozen=True)
class Reference:
    """The period to compare with: first and last local day, both included, and its name in reports."""

    first: date
    last: date
    name: str

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return the period as UTC instants, the end excluded."""
        return start_of_local_day(self.first, zone), start_of_local_day(
            self.last + timedelta(days=1), zone
        )


def choose_reference(*, last_day: date, history_first: date, days: int) -> Reference:
    """Return the same weeks a year earlier if the history reaches that far, or else the days before.

    last_day: last local day of the current period, which has `days` days; history_first: first day with counts.
    """
    first = last_day - timedelta(days=days - 1)
    if history_first <= first - YEAR:
        return Reference(first - YEAR, last_day - YEAR, "the same weeks a year earlier")
    return Reference(
        first - timedelta(days=days), first - timedelta(days=1), f"the {days} days before"
    )


def drift_columns(
    counts: pd.DataFrame,
    *,
    zone: ZoneInfo,
    weather: pd.DataFrame | None = None,
    errors: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the columns of one period in one frame.

    counts: counter_id, counted_at (aware), bike_count, usable rows only. weather: temperature_c, precipitation_mm, one
    row per hour. errors: bike_count, predicted_count of the forecasts in force.
    Returns those of COLUMNS that can be computed. Columns differ in length, are padded with NaN at the end, and their
    rows do not correspond. Columns without values are omitted.
    """
    columns: dict[str, pd.Series[float]] = {}
    if len(counts):
        hours = _with_local_time(counts, zone)
        columns |= {
            "bike_count": hours["bike_count"],
            "relative_count": _relative_to_level(hours),
            "night_share": _share_of_day(hours, NIGHT),
            "morning_share": _share_of_day(hours, MORNING),
            "weekend_ratio": _weekend_ratio(hours),
        }
    if weather is not None:
        columns |= {name: weather[name] for name in ("temperature_c", "precipitation_mm")}
    if errors is not None:
        columns["absolute_error"] = (errors["predicted_count"] - errors["bike_count"]).abs()
    return _side_by_side(columns)


def _with_local_time(counts: pd.DataFrame, zone: ZoneInfo) -> pd.DataFrame:
    local = counts["counted_at"].dt.tz_convert(zone).dt.tz_localize(None)
    days = local.dt.normalize()
    return pd.DataFrame(
        {
            "counter_id": counts["counter_id"],
            "bike_count": counts["bike_count"].astype("float64"),
            "hour": local.dt.hour,
            "day": days,
            "week": days - pd.to_timedelta(days.dt.weekday, unit="D"),
            "weekend": days.dt.weekday >= 5,
        }
    )


def _relative_to_level(hours: pd.DataFrame) -> pd.Series[float]:
    level = hours.groupby("counter_id")["bike_count"].transform("mean")
    return (hours["bike_count"] / level)[level > 0]


def _share_of_day(hours: pd.DataFrame, part: tuple[int, ...]) -> pd.Series[float]:
    bikes = hours["bike_count"]
    days = pd.DataFrame({"all": bikes, "part": bikes.where(hours["hour"].isin(part), 0.0), "n": 1})
    sums = days.groupby([hours["counter_id"], hours["day"]]).sum()
    enough = (sums["n"] >= HOURS_OF_A_DAY) & (sums["all"] >= FEWEST_BIKES)
    return (sums["part"] / sums["all"])[enough]


def _weekend_ratio(hours: pd.DataFrame) -> pd.Series[float]:
    keys = [hours["counter_id"], hours["week"]]
    counted = hours.groupby(keys).size()
    by_part: Callable[[bool], pd.Series[float]] = lambda weekend: (  # noqa: E731
        hours["bike_count"].where(hours["weekend"] == weekend).groupby(keys).mean()
    )
    weekend, week = by_part(True), by_part(False)
    return (weekend / week)[(counted >= HOURS_OF_A_WEEK) & (week > 0)]


def _side_by_side(columns: dict[str, pd.Series[float]]) -> pd.DataFrame:
    known = {name: values.dropna().to_numpy(dtype="float64") for name, values in columns.items()}
    longest = max((len(values) for values in known.values()), default=0)
    return pd.DataFrame(
        {
            name: np.pad(known[name], (0, longest - len(known[name])), constant_values=np.nan)
            for name in COLUMNS
            if len(known.get(name, ()))
        }
    )
