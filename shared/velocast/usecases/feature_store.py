"""Features from BigQuery, the same for training, forecasting and judging."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.sql_templates import Empty
from velocast.core.city import City
from velocast.core.datetimes import HORIZON_DAYS, HOUR, start_of_local_day
from velocast.core.errors import EventError
from velocast.model.features.calendar_features import calendar_columns, holiday_dates

HISTORY_DAYS = 35
WEATHER_HISTORY_DAYS = 28
LARGEST_LEAD_DAYS = 7
# A warehouse adds up in any order, so the last bits of a mean differ from run to run: enough to bin rows otherwise and
# to grow another tree of the same counts. What is left after rounding differs far less than counts do.
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
    counts_table: str | None = None,
    weather_table: str | None = None,
    weather: pd.DataFrame | None = None,
    counter_ids: Sequence[str] = (),
) -> pd.DataFrame:
    """Return what was known at each origin beside the hours to forecast from there.

    first_origin, last_origin: local days, both included. actual_until: no count at or after it is read at all (UTC,
    excluded). lead_days: 1 to 7 local days from each origin. one_lead: for training, each target that has an actual
    once, with one lead day drawn by hash; keep_one_in: of so many targets one, drawn alike. counts_table,
    weather_table: dataset.table, in place of the system's own. weather: of `read_weather_features`, where it was read for other
    counters already. counter_ids: empty for all. Returns one row per
    (origin_at, counter_id, target_at), sorted so; `bike_count` is the actual or NaN, the columns of
    `model.features.FEATURES` (weather NaN where none was known), `lag_168h`, `busy_threshold`, `history_hours`,
    `local_date`, `day_type` beside it. Raises EventError for a range that cannot be, WarehouseError. Source:
    `bike_traffic_raw.counts`, sql/features.sql; `bike_traffic_raw.weather`, sql/weather_features.sql.
    """
    _check(first_origin, last_origin, lead_days)
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
    asked = _asked(city, first_origin, last_origin, lead_days)
    first_day = first_origin - timedelta(days=HISTORY_DAYS)
    frame = warehouse.query_large(
        "features",
        tables={"counts": counts_table} if counts_table else None,
        one_lead=one_lead,
        keep_one_in=keep_one_in,
        counter_ids=list(counter_ids) or Empty("STRING"),
        scan_from=start_of_local_day(first_day, zone),
        scan_until=min(asked["last_target"] + HOUR, actual_until),
        **asked,
    )
    frame = frame.sort_values(["origin_at", "counter_id", "target_at"], ignore_index=True)
    frame = frame.merge(weather, how="left", on=["origin_at", "target_at"])
    floats = frame.select_dtypes("float64").columns
    frame[floats] = frame[floats].round(DECIMALS)
    holidays = _holidays(city, first_origin, last_origin, lead_days)
    return pd.concat([frame, calendar_columns(frame, zone, holidays)], axis="columns")


def read_weather_features(
    warehouse: Warehouse,
    city: City,
    *,
    first_origin: date,
    last_origin: date,
    lead_days: int = HORIZON_DAYS,
    weather_table: str | None = None,
) -> pd.DataFrame:
    """Return what was known of the weather at each origin, one row per (origin_at, target_at) of which something was.

    Arguments as for `read`; the same for all counters. Raises WarehouseError. Source: `bike_traffic_raw.weather`,
    sql/weather_features.sql.
    """
    scan_from = first_origin - timedelta(days=WEATHER_HISTORY_DAYS)
    return warehouse.query_large(
        "weather_features",
        tables={"weather": weather_table} if weather_table else None,
        scan_from=start_of_local_day(scan_from, city.zone),
        **_asked(city, first_origin, last_origin, lead_days),
    )


def _asked(city: City, first_origin: date, last_origin: date, lead_days: int) -> dict[str, Any]:
    """Return the parameters that both statements take."""
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


def _check(first_origin: date, last_origin: date, lead_days: int) -> None:
    if last_origin < first_origin:
        raise EventError(
            f"origins from {first_origin} to {last_origin}: the last lies before the first"
        )
    if not 1 <= lead_days <= LARGEST_LEAD_DAYS:
        raise EventError(
            f"{lead_days} lead days asked, 1 to {LARGEST_LEAD_DAYS} can be had: the week lags reach no further"
        )
