"""fetch's weather: today's forecast, and from the archive the hours that were missed or requested.

Counts never wait for the weather. When the weather API fails, the failure is logged, published as a notice and written
to the audit row, and forecasts are made without weather. The next run reads a missed day from the archive. The first
run that stores weather reads the whole history. If no later run would find a gap, the notice gives the event that does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from velocast.adapters.weather.open_meteo import FORECAST_DAYS, Weather, WeatherSource
from velocast.core.city import WeatherConfig
from velocast.core.datetimes import rfc3339
from velocast.core.errors import WeatherError
from velocast.core.notices import WeatherMissing
from velocast.core.requests import FetchRequest
from velocast.core.schemas import WEATHER
from velocast.core.settings import FetchSettings
from velocast.core.telemetry import log
from velocast.usecases.context import Run

if TYPE_CHECKING:
    import pyarrow as pa

KEY = ("valid_at", "issued_at")
MISSED_AFTER = timedelta(
    hours=36
)  # fetch runs once a day: after 36 hours, a day's forecast is missing
LOOKBACK = timedelta(days=400)  # older gaps are only filled by a backfill
ARCHIVE_BEGINS = datetime(2024, 1, 1, tzinfo=UTC)  # earlier years cost requests and return nulls


@dataclass(frozen=True)
class WeatherRange:
    """Hours of weather to store. since: None when the archive is not needed. explicit: the request gave the range."""

    since: datetime | None
    until: datetime
    explicit: bool = False


@dataclass
class _Collected:
    """Rows of both APIs, errors, and whether hours needed from the archive are still missing."""

    parts: list[Weather] = field(default_factory=list)
    errors: list[WeatherError] = field(default_factory=list)
    archive_missing: bool = False

    @property
    def storable(self) -> bool:
        """Whether to store the rows. After a retryable error nothing is stored, so that the next run finds the gap."""
        return not any(error.retryable for error in self.errors)


def update_weather(run: Run[FetchSettings], hours: WeatherRange) -> dict[str, Any]:
    """Store the weather and return the details for the audit row; never raises WeatherError.

    Runs after the counts are stored: as long as no weather is stored, the archive is read from the oldest count on.
    Raises WarehouseError.
    """
    config = run.settings.city.weather
    if config is None:
        return {"status": "not configured"}
    newest = _newest_issue(run)
    since = hours.since if hours.explicit else _gap_start(run, newest)
    wanted = WeatherRange(since, hours.until, hours.explicit)
    found = _read(run, config, wanted)
    again = _backfill_request(wanted, found)
    rows = _combined(found) if found.storable else Weather.nothing().rows
    merged = run.warehouse.merge(WEATHER, rows, keys=KEY)
    if found.errors:
        _report(run, newest, found, again)
    return {
        "status": "incomplete" if found.errors else "stored",
        "archive_since": since and rfc3339(since),
        "fetched": rows.num_rows,
        "inserted": merged.inserted,
        "updated": merged.updated,
        "unchanged": merged.unchanged,
        "implausible": sum(part.implausible for part in found.parts),
        "sources": sorted(set(rows["source"].to_pylist())),
        "errors": [f"{error.code}: {error}" for error in found.errors],
        "publish_again": again and _as_event(again),
    }


def _newest_issue(run: Run[FetchSettings]) -> datetime | None:
    return _query_instant(run, "ingest_weather_newest", first_hour=run.as_of - LOOKBACK)


def _gap_start(run: Run[FetchSettings], newest: datetime | None) -> datetime | None:
    """Return the start of the hours to read from the archive; None when the last forecast is not overdue."""
    if newest is None:
        # The oldest stored count, not the oldest fetched now: after a first run without weather, later runs fetch only
        # a few days. A replayed day may be earlier than ARCHIVE_BEGINS; its archive goes back as far as its file.
        first_hour = min(ARCHIVE_BEGINS, run.as_of - LOOKBACK)
        return _query_instant(run, "ingest_oldest", first_hour=first_hour)
    return newest if run.as_of - newest > MISSED_AFTER else None


def _query_instant(run: Run[FetchSettings], sql: str, *, first_hour: datetime) -> datetime | None:
    """Return the single timestamp that a query gives, None for null."""
    import pandas as pd

    moment: Any = run.warehouse.query(sql, first_hour=first_hour, as_of=run.as_of).iloc[0, 0]
    return None if pd.isna(moment) else moment.to_pydatetime()


def _read(run: Run[FetchSettings], config: WeatherConfig, hours: WeatherRange) -> _Collected:
    read = _Collected()
    with WeatherSource(config) as source:
        if not hours.explicit or hours.until >= run.as_of:
            hours = _read_forecast(run, source, hours, read)
        if hours.since is None or hours.since >= hours.until:
            return read
        read.archive_missing = True
        if not read.storable:
            return read
        try:
            read.parts.append(source.read_archive(hours.since, hours.until, as_of=run.as_of))
            read.archive_missing = False
        except WeatherError as exc:
            read.errors.append(exc)
    return read


def _read_forecast(
    run: Run[FetchSettings], source: WeatherSource, hours: WeatherRange, read: _Collected
) -> WeatherRange:
    """Read today's forecast; return the hours to read from the archive, for a past day including its forecast hours."""
    try:
        forecast = source.read_forecast(run.as_of)
    except WeatherError as exc:
        read.errors.append(exc)
        return hours
    if forecast is not None:
        read.parts.append(forecast)
        return hours
    since = hours.since or run.as_of - timedelta(days=1)
    return WeatherRange(since, run.as_of + timedelta(days=FORECAST_DAYS), hours.explicit)


def _combined(read: _Collected) -> pa.Table:
    """Return all rows, one per key. Today's forecast comes first and wins over the archive."""
    import pyarrow as pa

    rows = pa.concat_tables([Weather.nothing().rows, *(part.rows for part in read.parts)])
    keys = rows.select(list(KEY)).to_pandas()
    return rows.filter(pa.array(~keys.duplicated()))


def _backfill_request(hours: WeatherRange, read: _Collected) -> FetchRequest | None:
    """Return the event that requests the hours whose absence a later run may not notice; None when there are none.

    These are the hours of an explicit range, and those before a forecast that was stored, because it ends the gap.
    """
    stored = read.storable and bool(read.parts)
    if hours.since is None or not read.archive_missing or not (hours.explicit or stored):
        return None
    return FetchRequest(since=rfc3339(hours.since), until=rfc3339(hours.until))


def _as_event(request: FetchRequest) -> str:
    return request.model_dump_json(exclude_none=True)


def _report(
    run: Run[FetchSettings], newest: datetime | None, read: _Collected, again: FetchRequest | None
) -> None:
    """Log the missing weather and publish a notice: one a day, and one for each range to request again."""
    reason = "; ".join(str(error) for error in read.errors)
    event_id = f"fetch:weather_missing:{run.as_of:%Y-%m-%d}"
    if again:
        reason += f"; a later run may not notice this gap: publish {_as_event(again)} to velocast-fetch again"
        event_id += f":{again.since}/{again.until}"
    log("WARNING", f"weather is missing: {reason}", code=read.errors[0].code)
    run.publish_notice(
        WeatherMissing(
            event_id=event_id,
            occurred_at=rfc3339(run.as_of),
            newest_issued_at=newest and rfc3339(newest),
            reason=reason,
        )
    )
