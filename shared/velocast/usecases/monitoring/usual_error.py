"""The usual error of a city: that of its published forecasts in the same weeks a year earlier."""

from __future__ import annotations

from datetime import datetime, timedelta

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.city import City
from velocast.core.datetimes import SCORED_LEAD_DAYS, local_date, start_of_local_day
from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown

YEAR = timedelta(days=364)  # whole weeks, so that the same weekdays are compared
AROUND = timedelta(days=14)  # a single week a year ago may have had a storm or a strike
LEAST_DAYS = 14


def usual_wape(
    warehouse: Warehouse, city: City, thresholds: Thresholds, *, as_of: datetime, counters: int
) -> float | Unknown:
    """Return the WAPE of the forecasts in force around the same weeks a year earlier, whatever model made them.

    The period is the validated days 364 days earlier, with two weeks before and after them; lead days 0 to 2, usable
    counts. counters: number of counters with recent counts. Unknown with forecasts of fewer than 14 of these days,
    fewer than `min_pairs` pairs or less than `min_counter_share` of the counters. Raises WarehouseError.
    """
    until = local_date(as_of, city.zone) - YEAR
    first = until - timedelta(days=thresholds.validation_days)
    found = warehouse.query(
        "monitor_usual_error",
        first_hour=start_of_local_day(first - AROUND, city.zone),
        until=start_of_local_day(until + AROUND, city.zone),
        lead_days=SCORED_LEAD_DAYS,
        keep_one_in=1,  # of the counters: BigQuery adds them up
        as_of=as_of,
        zone=city.time_zone,
    ).iloc[0]
    pairs, days = int(found["pairs"]), int(found["days"])
    if days < LEAST_DAYS or pairs < thresholds.min_pairs:
        return Unknown(
            reason=f"a year earlier {pairs} forecasts of {days} days have a count; {thresholds.min_pairs} of "
            f"{LEAST_DAYS} days are needed"
        )
    if counters and int(found["counters"]) / counters < thresholds.min_counter_share:
        return Unknown(
            reason=f"a year earlier {int(found['counters'])} of {counters} counters had forecasts, "
            f"{thresholds.min_counter_share:.0%} are needed"
        )
    bikes = float(found["bikes"])
    if not bikes > 0:
        return Unknown(reason="a year earlier no bikes were counted in these weeks")
    return float(found["errors"]) / bikes
