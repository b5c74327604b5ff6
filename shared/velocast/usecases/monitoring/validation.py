"""Recent accuracy of the serving model: its published forecasts compared with the counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pandas as pd

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.city import City
from velocast.core.datetimes import SCORED_LEAD_DAYS, local_date, start_of_local_day
from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.evaluation.validation import Validation, validate
from velocast.usecases import feature_store
from velocast.usecases.model_loading import LoadedChampion
from velocast.usecases.monitoring import usual_error

WEEK = timedelta(days=7)
# At most the rows of this many counters are read: in a larger city, one hour or one counter in several.
MOST_COUNTERS = 1000


def keep_one_in(counters: int) -> int:
    """Return n such that one row in n of a city with this many counters makes at most the rows of MOST_COUNTERS."""
    return max(1, -(-counters // MOST_COUNTERS))


@dataclass(frozen=True)
class ChampionValidation:
    """The result and the rows behind it: one row per forecast and its count, over `skill_days`."""

    version: int
    result: Validation | Unknown
    pairs: pd.DataFrame


def validate_champion(
    warehouse: Warehouse,
    city: City,
    thresholds: Thresholds,
    *,
    serving: LoadedChampion,
    as_of: datetime,
    counters: int,
) -> ChampionValidation:
    """Score the serving model's forecasts of the local days that ended before `as_of`.

    counters: number of counters with counts in the last `skill_days`. Scores cover `validation_days`, skills cover
    `skill_days`; Unknown when too few forecasts can be compared. Of a city with more than MOST_COUNTERS counters, one
    hour in several is scored, drawn by hash. Raises WarehouseError.
    """
    today = local_date(as_of, city.zone)
    one_in = keep_one_in(counters)
    pairs = read_pairs(
        warehouse,
        city,
        serving=serving,
        first_day=today - timedelta(days=thresholds.skill_days),
        until_day=today,
        one_in=one_in,
    )
    pairs = _with_similar_days(warehouse, city, pairs, until_day=today, one_in=one_in)
    week_ago = start_of_local_day(today - timedelta(days=thresholds.validation_days), city.zone)
    week = pairs[pairs["target_at"] >= week_ago]
    usual = usual_error.usual_wape(warehouse, city, thresholds, as_of=as_of, counters=counters)
    result = validate(week, pairs, counters=counters, thresholds=thresholds, usual_wape=usual)
    return ChampionValidation(serving.version, result, pairs)


def read_pairs(
    warehouse: Warehouse,
    city: City,
    *,
    serving: LoadedChampion,
    first_day: date,
    until_day: date,
    one_in: int = 1,
) -> pd.DataFrame:
    """Return one version's forecasts of the local days first_day <= day < until_day with the usable counts.

    Columns: counter_id, target_at, origin_at, lead_day (0 to 2), predicted_count, lower, upper, bike_count, lag_168h
    (bikes per hour), sorted by origin, counter and hour. Days that the model was trained on are left out, because a
    backfill with it would not be a fair test. one_in: n keeps one hour in n, drawn by hash. Sources:
    `bike_traffic_predictions.forecasts`, `bike_traffic_raw.counts`. Raises WarehouseError.
    """
    first_hour = start_of_local_day(first_day, city.zone)
    pairs = warehouse.query_large(
        "validation_pairs",
        version=serving.version,
        first_hour=first_hour,
        first_lag=first_hour - WEEK,
        until=start_of_local_day(until_day, city.zone),
        learned_until=serving.learned_until or first_hour,
        lead_days=SCORED_LEAD_DAYS,
        keep_one_in=one_in,
    )
    # A fixed order, so that the same rows give exactly the same scores; the warehouse's order varies.
    return pairs.sort_values(["origin_at", "counter_id", "target_at"], ignore_index=True)


def _with_similar_days(
    warehouse: Warehouse, city: City, pairs: pd.DataFrame, *, until_day: date, one_in: int
) -> pd.DataFrame:
    """Add what similar days would have forecast from the same origins: the column `similar_days`, bikes per hour."""
    if pairs.empty:
        return pairs.assign(similar_days=pd.Series(dtype="float64"))
    origins = (pairs["origin_at"].min(), pairs["origin_at"].max())
    first, last = (local_date(origin.to_pydatetime(), city.zone) for origin in origins)
    similar = feature_store.read_similar_days(
        warehouse,
        city,
        first_origin=first,
        last_origin=last,
        actual_until=start_of_local_day(until_day, city.zone),
        lead_days=SCORED_LEAD_DAYS,
        keep_one_in=one_in,
    )
    return pairs.merge(similar, how="left", on=["counter_id", "origin_at", "target_at"])
