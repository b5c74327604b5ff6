"""fetch's weather: today's forecast, and from the archive what was missed or is asked for.

Counts never wait for it: when the weather API fails, that is logged, told and written into the audit row, and forecasts
are made without. A day whose forecast was missed is read from the archive by the next run, all of the history by the
first that has weather to store. What no later run would find is named with the event that asks for it.
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
)  # a run a day: the last forecast is then older than the one before
REMEMBERED = timedelta(days=400)  # what is older is backfilled by hand only
ARCHIVE_BEGINS = datetime(2024, 1, 1, tzinfo=UTC)  # years before it cost requests and give nulls


@dataclass(frozen=True)
class Range:
    """Hours of weather to store. since: None when the archive need not be asked; explicit: somebody gave a range."""

    since: datetime | None
    until: datetime
    explicit: bool = False


@dataclass
class _Read:
    """What came: the rows of both APIs, what went wrong, and whether the archive owes what it was needed for."""

    parts: list[Weather] = field(default_factory=list)
    errors: list[WeatherError] = field(default_factory=list)
    archive_owes: bool = False

    @property
    def worth_storing(self) -> bool:
        """Whether to store it. What can be had by asking again is waited for, so that the next run finds the gap."""
        return not any(error.retryable for error in self.errors)


def update(run: Run[FetchSettings], hours: Range) -> dict[str, Any]:
    """Store the weather and return what the audit row says of it; never raises WeatherError.

    Comes after the counts are stored: while there is no weather, the archive is read from the oldest of them on. Raises
    WarehouseError.
    """
    config = run.settings.city.weather
    if config is None:
        return {"status": "not configured"}
    newest = _newest_issue(run)
    since = hours.since if hours.explicit else _missed_since(run, newest)
    wanted = Range(since, hours.until, hours.explicit)
    found = _read(run, config, wanted)
    again = _to_publish(wanted, found)
    rows = _together(found) if found.worth_storing else Weather.nothing().rows
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
    return _moment(run, "ingest_weather_newest", first_hour=run.as_of - REMEMBERED)


def _missed_since(run: Run[FetchSettings], newest: datetime | None) -> datetime | None:
    """Return from when on the archive has to fill in: None when the last run's forecast is there."""
    if newest is None:
        # The oldest stored, not fetched: after a first run without weather, a run fetches days of the history only.
        # A replay may stand before the archive begins; its own goes back as far as its file.
        first_hour = min(ARCHIVE_BEGINS, run.as_of - REMEMBERED)
        return _moment(run, "ingest_oldest", first_hour=first_hour)
    return newest if run.as_of - newest > MISSED_AFTER else None


def _moment(run: Run[FetchSettings], sql: str, *, first_hour: datetime) -> datetime | None:
    """Return the one moment that a query gives, None for null."""
    import pandas as pd

    moment: Any = run.warehouse.query(sql, first_hour=first_hour, as_of=run.as_of).iloc[0, 0]
    return None if pd.isna(moment) else moment.to_pydatetime()


def _read(run: Run[FetchSettings], config: WeatherConfig, hours: Range) -> _Read:
    read = _Read()
    with WeatherSource(config) as source:
        if not hours.explicit or hours.until >= run.as_of:
            hours = _read_forecast(run, source, hours, read)
        if hours.since is None or hours.since >= hours.until:
            return read
        read.archive_owes = True
        if not read.worth_storing:
            return read
        try:
            read.parts.append(source.read_archive(hours.since, hours.until, as_of=run.as_of))
            read.archive_owes = False
        except WeatherError as exc:
            read.errors.append(exc)
    return read


def _read_forecast(
    run: Run[FetchSettings], source: WeatherSource, hours: Range, read: _Read
) -> Range:
    """Read today's forecast; return the hours to ask the archive for, those to come included for a past day."""
    try:
        forecast = source.read_forecast(run.as_of)
    except WeatherError as exc:
        read.errors.append(exc)
        return hours
    if forecast is not None:
        read.parts.append(forecast)
        return hours
    since = hours.since or run.as_of - timedelta(days=1)
    return Range(since, run.as_of + timedelta(days=FORECAST_DAYS), hours.explicit)


def _together(read: _Read) -> pa.Table:
    """Return all rows, one a key: of two, today's forecast, which comes first."""
    import pyarrow as pa

    rows = pa.concat_tables([Weather.nothing().rows, *(part.rows for part in read.parts)])
    keys = rows.select(list(KEY)).to_pandas()
    return rows.filter(pa.array(~keys.duplicated()))


def _to_publish(hours: Range, read: _Read) -> FetchRequest | None:
    """Return the event that asks for hours which a later run may not see to be missing; None: there are none.

    They are those of a given range, and those before a forecast that is stored, for it ends the gap.
    """
    stored = read.worth_storing and bool(read.parts)
    if hours.since is None or not read.archive_owes or not (hours.explicit or stored):
        return None
    return FetchRequest(since=rfc3339(hours.since), until=rfc3339(hours.until))


def _as_event(request: FetchRequest) -> str:
    return request.model_dump_json(exclude_none=True)


def _report(
    run: Run[FetchSettings], newest: datetime | None, read: _Read, again: FetchRequest | None
) -> None:
    """Log and tell what is missing: once a day, and once for each range that has to be published again."""
    reason = "; ".join(str(error) for error in read.errors)
    event_id = f"fetch:weather_missing:{run.as_of:%Y-%m-%d}"
    if again:
        reason += f"; a later run may not see this gap: publish {_as_event(again)} to velocast-fetch again"
        event_id += f":{again.since}/{again.until}"
    log("WARNING", f"weather is missing: {reason}", code=read.errors[0].code)
    run.tell(
        WeatherMissing(
            event_id=event_id,
            occurred_at=rfc3339(run.as_of),
            newest_issued_at=newest and rfc3339(newest),
            reason=reason,
        )
    )
