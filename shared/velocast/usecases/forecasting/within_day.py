"""Forecasts within the day: the rest of a day forecast again, with the counts of the day that are known by then.

Off for a city whose file lists no hours (`within_day`). What is known decides: in a city whose counts come a day later,
no hour of the day is ever known, so the forecasts from midnight stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

import pandas as pd

from velocast.core import schemas
from velocast.core.city import City, Histories
from velocast.core.datetimes import HOUR, local_date, origin_of, rfc3339, start_of_hour
from velocast.model.learning.within_day import LEARNED_DAYS, DayUpdate, learn_day_update
from velocast.usecases.context import ForecastRun
from velocast.usecases.forecasting.snapshot.publication import Published
from velocast.usecases.histories.known import counts_known_then, read_histories
from velocast.usecases.known_counts import Known

LEAST_SHARE = 0.5  # of the counters: an hour is known when at least so many have a count
MOST_COUNTERS = 500  # learned from; in a larger city a sample of them, drawn by hash
DAY = timedelta(days=1)


@dataclass(frozen=True)
class KnownDay:
    """The hours of a day that were known at `as_of`: `hours` of them, from `midnight` until `origin_at`.

    counts: counter_id, lead_hours (from midnight) and bike_count of the usable counts of these hours. sums: ids of the
    sums of counters.
    """

    midnight: datetime
    origin_at: datetime
    hours: int
    counts: pd.DataFrame
    sums: frozenset[str]


def read_known_day(run: ForecastRun, histories: Histories) -> KnownDay | None:
    """Read the hours of the run's day that were known at `run.as_of`; None before the first hour of `within_day`.

    The last known hour is the newest one with counts of at least LEAST_SHARE of the counters that counted the day
    before. Raises WarehouseError.
    """
    city = run.settings.city
    if not city.within_day:
        return None
    midnight, end = origin_of(run.as_of, city.zone), start_of_hour(run.as_of, city.zone)
    known = Known(run.as_of, midnight - DAY, end)
    with counts_known_then(run.warehouse, known, histories, only_known=True) as tables:
        counts = run.warehouse.read(
            tables["counts"],
            columns=["counter_id", "counted_at", "bike_count"],
            where=f"counted_at >= '{rfc3339(known.since)}' AND counted_at < '{rfc3339(end)}' AND quality IS NULL",
        ).to_pandas()
    hours = (pd.to_datetime(counts["counted_at"], utc=True) - midnight) // HOUR
    counts = counts.assign(lead_hours=hours.astype("int64"))
    counting = counts.loc[counts["lead_hours"] < 0, "counter_id"].nunique()
    today = counts[counts["lead_hours"] >= 0]
    counted = today.groupby("lead_hours")["counter_id"].nunique()
    known_hours = counted.index[counted >= max(1.0, LEAST_SHARE * counting)]
    if counting == 0 or known_hours.empty:
        return None
    last = int(known_hours.max()) + 1
    found = KnownDay(
        midnight,
        midnight + last * HOUR,
        last,
        today[today["lead_hours"] < last],
        frozenset(histories.sums),
    )
    return None if _due_at(city, found) is None else found


def describe_nothing_new(run: ForecastRun, published: Published) -> str | None:
    """Return why the day is not to be forecast again; None when it is. Raises WarehouseError.

    published: the snapshot. If the event that made it comes again, the day is forecast again, since the first run may
    have stopped before its end.
    """
    city = run.settings.city
    if not city.within_day:
        return "the city's file lists no hours within the day"
    histories = read_histories(run.warehouse, city, as_of=run.as_of)
    known = read_known_day(run, histories)
    if known is None:
        return f"the day's counts until {min(city.within_day)}:00 are not known yet"
    due_at = _due_at(city, known)
    if published.origin_at is None or published.published_at == run.as_of or due_at is None:
        return None
    if published.origin_at >= due_at:
        return f"nothing new is known: the forecasts are from {rfc3339(published.origin_at)}"
    past = Known(run.as_of, known.midnight - LEARNED_DAYS * DAY, run.as_of)
    with counts_known_then(run.warehouse, past, histories, only_known=False) as tables:
        update = learn_update(run, known, tables)
    if update is None:
        return "the day's counts do not improve the forecast of its rest"
    return None


def _due_at(city: City, known: KnownDay) -> datetime | None:
    """Return the latest hour of `within_day` until which the day is known; None before the first."""
    day = local_date(known.midnight, city.zone)
    listed = [datetime.combine(day, time(hour), tzinfo=city.zone) for hour in city.within_day]
    return max((at for at in listed if at <= known.origin_at), default=None)


def learn_update(run: ForecastRun, known: KnownDay, tables: dict[str, str]) -> DayUpdate | None:
    """Learn the correction from the stored forecasts of the days before; None with too few days, or if it does not pay.

    tables: `counts` (dataset.table) to read instead of the stored ones. Raises WarehouseError. Sources:
    `bike_traffic_predictions.forecasts`, `bike_traffic_raw.counts`, sql/within_day_pairs.sql.
    """
    counters = known.counts["counter_id"].nunique()
    past = run.warehouse.query_large(
        "within_day_pairs",
        tables={"counts": tables.get("counts", schemas.COUNTS)},
        first_hour=known.midnight - LEARNED_DAYS * DAY,
        until=known.midnight,
        as_of=run.as_of,
        keep_one_in=max(1, -(-counters // MOST_COUNTERS)),
    )
    past = past[~past["counter_id"].isin(known.sums)]
    past = past.sort_values(["origin_at", "counter_id", "lead_hours"], ignore_index=True)
    return learn_day_update(past, known.hours)


@dataclass(frozen=True)
class UpdatedForecasts:
    """Forecasts with the rest of the day corrected; can be iterated again, block by block.

    blocks: the forecasts from midnight. rest: the corrected rows of the day's hours after the known ones.
    """

    blocks: Iterable[pd.DataFrame]
    rest: pd.DataFrame
    known: KnownDay

    def __iter__(self) -> Iterator[pd.DataFrame]:
        for block in self.blocks:
            kept = block[(block["lead_day"] > 0) | (block["lead_hours"] < self.known.hours)]
            own = self.rest[self.rest["counter_id"].isin(block["counter_id"].unique())]
            both = pd.concat([kept, own], ignore_index=True)
            yield both.sort_values(["counter_id", "target_at"], ignore_index=True)

    @property
    def rest_of_day(self) -> pd.DataFrame:
        """The rest of the day as forecasts from `known.origin_at`."""
        hours = self.known.hours
        return self.rest.assign(lead_hours=self.rest["lead_hours"] - hours, hours_known=hours)


def update_forecasts(
    forecasts: Iterable[pd.DataFrame], known: KnownDay, update: DayUpdate
) -> UpdatedForecasts:
    """Return forecasts from midnight with the rest of the day corrected. forecasts: blocks of `make_forecast_rows`."""
    days = [block[block["lead_day"] == 0] for block in forecasts]
    day = pd.concat(days, ignore_index=True)
    counted = known.counts[["counter_id", "lead_hours", "bike_count"]]
    frame = day.merge(counted, how="left", on=["counter_id", "lead_hours"], validate="1:1")
    rest = update.apply(frame.assign(origin_at=known.midnight), sums=known.sums)[day.columns]
    return UpdatedForecasts(forecasts, rest, known)
