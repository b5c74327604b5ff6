"""Features from BigQuery, computed alike for training, forecasting and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.sql_templates import Empty
from velocast.core.city import City
from velocast.core.datetimes import HORIZON_DAYS, HOUR, start_of_local_day
from velocast.core.errors import EventError
from velocast.core.schemas import COUNTERS
from velocast.model.arrays import Floats
from velocast.model.features.calendar_features import (
    calendar_columns,
    holiday_dates,
    school_columns,
    school_free_days,
)
from velocast.model.features.definition import EVENT
from velocast.model.features.event_features import event_column
from velocast.model.features.preprocessing import similar_days_mean

HISTORY_DAYS = 56
WEATHER_HISTORY_DAYS = 28
LARGEST_LEAD_DAYS = 7
# BigQuery's summation order is not deterministic, so the last bits of a mean differ between runs. That is enough to
# grow another tree from the same counts. The rounding error is far smaller than the differences between counts.
DECIMALS = 4


def read_features(
    warehouse: Warehouse,
    city: City,
    *,
    first_origin: date,
    last_origin: date,
    actual_until: datetime,
    lead_days: int = HORIZON_DAYS,
    one_lead: bool = False,
    keep_one_in: int = 1,
    with_busy: bool = True,
    counts_table: str | None = None,
    weather_table: str | None = None,
    weather: pd.DataFrame | None = None,
    counter_ids: Sequence[str] = (),
) -> pd.DataFrame:
    """Return the hours to forecast from each origin, with what was known at the origin.

    first_origin, last_origin: local days, both included. actual_until: end of the counts to read (UTC, excluded).
    lead_days: 1 to 7 local days from each origin. one_lead: for training, return each target with a count once, for one
    lead day chosen by hash. keep_one_in: keep one in this many targets, chosen by hash. with_busy: whether
    `busy_threshold` is computed; without, it is NaN, and the rows of a year take a third less time. counts_table,
    weather_table: dataset.table to read instead of the system's own. weather: result of `read_weather_features`, if
    already read. counter_ids: empty for all counters.
    Returns one row per (origin_at, counter_id, target_at), sorted by them, with `bike_count` (the count, NaN where
    unknown), the columns of `features.definition.FEATURES` (weather NaN where unknown), `lag_168h`, `busy_threshold`,
    `history_hours`, `local_date` and `day_type`. Raises EventError for an invalid range, WarehouseError.
    Source: `bike_traffic_raw.counts`, sql/features.sql; `bike_traffic_raw.weather`, sql/weather_features.sql; for
    events, `bike_traffic_raw.counters`.
    """
    _check_range(first_origin, last_origin, lead_days)
    if weather is None:
        weather = read_weather_features(
            warehouse,
            city,
            first_origin=first_origin,
            last_origin=last_origin,
            lead_days=lead_days,
            weather_table=weather_table,
        )
    zone = city.zone
    parameters = _query_parameters(city, first_origin, last_origin, lead_days)
    first_day = first_origin - timedelta(days=HISTORY_DAYS)
    frame = warehouse.query_large(
        "features",
        tables={"counts": counts_table} if counts_table else None,
        one_lead=one_lead,
        keep_one_in=keep_one_in,
        with_busy=with_busy,
        counter_ids=list(counter_ids) or Empty("STRING"),
        scan_from=start_of_local_day(first_day, zone),
        scan_until=min(parameters["last_target"] + HOUR, actual_until),
        **parameters,
    )
    frame = _sorted_and_rounded(frame)
    known = frame[["origin_at", "target_at"]].merge(weather, how="left")
    known = known.drop(columns=["origin_at", "target_at"]).round(DECIMALS)
    holidays = _holidays(city, first_origin, last_origin, lead_days)
    columns = [
        calendar_columns(frame, zone, holidays),
        school_columns(frame, zone, school_free_days(city.school_holidays)),
    ]
    event = {EVENT: _events(warehouse, city, frame)}
    return pd.concat([frame, known, *columns], axis="columns").assign(**event)


def _sorted_and_rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by origin, counter and target, with rounded numbers.

    Each column is copied once, because copies of the whole frame take most of a training's memory.
    """
    keys = ["origin_at", "counter_id", "target_at"]
    order = frame[keys].sort_values(keys).index.to_numpy()
    columns = {name: frame[name].array[order] for name in frame.columns}
    for name, values in columns.items():
        if values.dtype == "float64":
            columns[name] = np.asarray(values).round(DECIMALS)
    return pd.DataFrame(columns, copy=False)


def read_similar_days(
    warehouse: Warehouse,
    city: City,
    *,
    first_origin: date,
    last_origin: date,
    actual_until: datetime,
    lead_days: int,
    keep_one_in: int = 1,
) -> pd.DataFrame:
    """Return what similar days would have forecast from each origin, bikes per hour: the column `similar_days`.

    The arguments are those of `read_features`, as is the definition; one row per counter_id, origin_at and target_at.
    Raises as `read_features`. Source: `bike_traffic_raw.counts`, sql/similar_days.sql.
    """
    _check_range(first_origin, last_origin, lead_days)
    parameters = _query_parameters(city, first_origin, last_origin, lead_days)
    frame = warehouse.query_large(
        "similar_days",
        one_lead=False,
        keep_one_in=keep_one_in,
        with_busy=False,
        counter_ids=Empty("STRING"),
        scan_from=start_of_local_day(first_origin - timedelta(days=HISTORY_DAYS), city.zone),
        scan_until=min(parameters["last_target"] + HOUR, actual_until),
        **parameters,
    )
    frame["similar_days"] = similar_days_mean(frame).round(DECIMALS)
    return frame[["counter_id", "origin_at", "target_at", "similar_days"]]


def read_weather_features(
    warehouse: Warehouse,
    city: City,
    *,
    first_origin: date,
    last_origin: date,
    lead_days: int = HORIZON_DAYS,
    weather_table: str | None = None,
) -> pd.DataFrame:
    """Return the weather known at each origin, one row per (origin_at, target_at) with any known value.

    The arguments are those of `read_features`; the result is the same for all counters. Raises WarehouseError. Source:
    `bike_traffic_raw.weather`, sql/weather_features.sql.
    """
    scan_from = first_origin - timedelta(days=WEATHER_HISTORY_DAYS)
    return warehouse.query_large(
        "weather_features",
        tables={"weather": weather_table} if weather_table else None,
        scan_from=start_of_local_day(scan_from, city.zone),
        **_query_parameters(city, first_origin, last_origin, lead_days),
    )


def _events(warehouse: Warehouse, city: City, frame: pd.DataFrame) -> Floats:
    """Return the feature EVENT of each row; names and places of counters are read where an event asks for them."""
    events = [event for event in city.events if event.kind == "event"]
    counters = pd.DataFrame({"counter_id": frame["counter_id"].drop_duplicates()})
    known = set(counters["counter_id"])
    if any(event.area is not None or not known.issuperset(event.counters) for event in events):
        columns = ["counter_id", "counter_name", "latitude", "longitude"]
        described = warehouse.read(COUNTERS, columns=columns).to_pandas()
        counters = counters.merge(described, how="left", on="counter_id")
    return event_column(frame, events, counters, city.zone)


def _query_parameters(
    city: City, first_origin: date, last_origin: date, lead_days: int
) -> dict[str, Any]:
    """Return the parameters of both queries."""
    end = start_of_local_day(last_origin + timedelta(days=lead_days), city.zone)
    return {
        "first_origin": first_origin,
        "last_origin": last_origin,
        "lead_days": lead_days,
        "zone": city.time_zone,
        "holidays": _holidays(city, first_origin, last_origin, lead_days) or Empty("DATE"),
        "last_target": end - HOUR,
    }


def _holidays(city: City, first_origin: date, last_origin: date, lead_days: int) -> list[date]:
    return holiday_dates(
        city.holidays,
        first_origin - timedelta(days=HISTORY_DAYS + 1),
        last_origin + timedelta(days=lead_days + 1),
    )


def _check_range(first_origin: date, last_origin: date, lead_days: int) -> None:
    if last_origin < first_origin:
        raise EventError(
            f"origins from {first_origin} to {last_origin}: the last is before the first"
        )
    if not 1 <= lead_days <= LARGEST_LEAD_DAYS:
        raise EventError(
            f"{lead_days} lead days requested, 1 to {LARGEST_LEAD_DAYS} are possible: the weekly lags reach no further"
        )
