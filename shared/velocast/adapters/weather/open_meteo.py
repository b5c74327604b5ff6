"""The city's weather from Open-Meteo: forecasts of the coming days, and its archive of forecasts of days past.

The archive (the API of previous runs) gives for each hour what was forecast for it N days before; a value of "day N"
comes from a run at least 24 N hours older than the end of its hour, and that is its issued_at. It begins in January
2024 and has gaps, which come as null.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from velocast.adapters.weather.open_meteo_answers import (
    Answer,
    TooManyRequests,
    by_hour,
    failure,
    read_answer,
)
from velocast.core.city import WeatherConfig
from velocast.core.datetimes import HORIZON_DAYS, HOUR
from velocast.core.errors import WeatherError, WeatherTruncated, WeatherUnreachable
from velocast.core.telemetry import log
from velocast.core.weather_variables import VALUES, VARIABLES, Variable

if TYPE_CHECKING:
    import pyarrow as pa

USER_AGENT = "velocast (+https://github.com/velocast/velocast; one forecast a day)"
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
RETRY_SECONDS = (1.0, 4.0)  # pauses between the tries of one request
FORECAST_DAYS = (
    HORIZON_DAYS + 3
)  # a run may miss two days and still have weather for all it forecasts
PAST_DAYS = 1
ARCHIVED_DAYS = range(
    HORIZON_DAYS + 1
)  # 0 is the newest run before the hour, 5 serves the last lead day
CHUNK_DAYS = 180  # of the archive a request; its cost grows with days and variables

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Weather:
    """rows: valid_at, issued_at, VALUES and source, none twice; implausible: values left out, being impossible."""

    rows: pa.Table
    implausible: int = 0

    @classmethod
    def nothing(cls) -> Weather:
        """No weather at all."""
        return cls(_schema().empty_table())


class WeatherSource:
    """Reads one city's weather; leave it by `with`, which closes its connections. `pause` waits so many seconds."""

    def __init__(
        self, config: WeatherConfig, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.config = config
        self._client = httpx.Client(
            timeout=TIMEOUT, headers={"User-Agent": USER_AGENT}, follow_redirects=True
        )
        self._pause = pause

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read_forecast(self, as_of: datetime) -> Weather | None:
        """Read the forecast of the hours from PAST_DAYS before `as_of`'s day on, issued at `as_of`.

        None when the API stands on another day than `as_of` (UTC): what it forecasts now was not known then, and the
        archive has to be asked. Raises WeatherUnreachable, WeatherTruncated or WeatherRefused, the first two after
        two more tries.
        """
        days = {"forecast_days": str(FORECAST_DAYS), "past_days": str(PAST_DAYS)}
        wanted = _names("")
        answer = self._persistently(
            lambda: self._ask(
                self.config.forecast_base_url, wanted, days, FORECAST_DAYS + PAST_DAYS
            )
        )
        if answer.hours[0].date() + timedelta(days=PAST_DAYS) != as_of.date():
            return None
        values = by_hour(answer)
        hours = answer.hours[:-1]
        rows = _rows(hours, [as_of] * len(hours), values, answer.source or "forecast")
        return Weather(rows, answer.implausible)

    def read_archive(self, since: datetime, until: datetime, *, as_of: datetime) -> Weather:
        """Read what was forecast for each hour of a half-open range, 0 to 5 days before it and known at `as_of`.

        Hours the archive does not have are left out. Errors as `read_forecast`.
        """
        parts = [
            self._read_chunk(first, last, as_of)
            for first, last in _chunks(since.astimezone(UTC), until.astimezone(UTC))
        ]
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = pa.concat_tables([_schema().empty_table(), *(part.rows for part in parts)])
        inside = pc.and_(
            pc.greater_equal(rows["valid_at"], _scalar(since)),
            pc.less(rows["valid_at"], _scalar(until)),
        )
        return Weather(rows.filter(inside), sum(part.implausible for part in parts))

    def _read_chunk(self, first: date, last: date, as_of: datetime) -> Weather:
        import pyarrow as pa
        import pyarrow.compute as pc

        # rain of a day's last hour stands under the next midnight
        end = last + timedelta(days=1)
        wanted = {n: v for day in ARCHIVED_DAYS for n, v in _names(_suffix(day)).items()}
        dates = {"start_date": first.isoformat(), "end_date": end.isoformat()}
        answer = self._persistently(
            lambda: self._ask(
                self.config.previous_runs_base_url, wanted, dates, (end - first).days + 1
            )
        )
        source, hours = answer.source or "archived_forecast", answer.hours[:-1]
        tables = []
        for day in ARCHIVED_DAYS:
            issued = [hour + HOUR - timedelta(days=day) for hour in hours]
            tables.append(_rows(hours, issued, by_hour(answer, _suffix(day)), source))
        rows = pa.concat_tables(tables)
        midnight = datetime.combine(end, datetime.min.time(), tzinfo=UTC)
        known = pc.less_equal(rows["issued_at"], _scalar(as_of))
        asked = pc.less(rows["valid_at"], _scalar(midnight))
        return Weather(rows.filter(pc.and_(known, asked)), answer.implausible)

    def _ask(
        self, base_url: str, wanted: dict[str, Variable], when: dict[str, str], days: int
    ) -> Answer:
        place = {
            "latitude": f"{self.config.latitude}",
            "longitude": f"{self.config.longitude}",
            "timezone": "GMT",
        }
        url = f"{base_url.rstrip('/')}/v1/forecast"
        try:
            response = self._client.get(url, params=place | {"hourly": ",".join(wanted)} | when)
        except httpx.RemoteProtocolError as exc:
            raise WeatherTruncated(f"{url}: the answer broke off: {exc!r}") from exc
        except (httpx.TransportError, httpx.DecodingError, httpx.TooManyRedirects) as exc:
            raise WeatherUnreachable(
                f"{url}: no answer: {exc!r}; check weather in the file under cities/"
            ) from exc
        if response.status_code != httpx.codes.OK:
            raise failure(response)
        answer = read_answer(response, wanted)
        asked = when.get("start_date", f"{answer.hours[0]:%Y-%m-%d}")
        if len(answer.hours) != 24 * days or f"{answer.hours[0]:%Y-%m-%d %H}" != f"{asked} 00":
            raise WeatherTruncated(
                f"{url}: {len(answer.hours)} hours from {answer.hours[0]:%Y-%m-%d %H:%MZ}, needs "
                f"{24 * days} ({', '.join(f'{k}={v}' for k, v in when.items())}); ask again"
            )
        return answer

    def _persistently(self, ask: Callable[[], ResultT]) -> ResultT:
        for pause in RETRY_SECONDS:
            try:
                return ask()
            except TooManyRequests:
                raise
            except WeatherError as exc:
                if not exc.retryable:
                    raise
                log("WARNING", f"asking for weather again in {pause:g} s: {exc}", code=exc.code)
                self._pause(pause)
        return ask()


def _suffix(day: int) -> str:
    return f"_previous_day{day}" if day else ""


def _names(suffix: str) -> dict[str, Variable]:
    return {variable.api + suffix: variable for variable in VARIABLES.values()}


def _chunks(since: datetime, until: datetime) -> Iterator[tuple[date, date]]:
    """Cut a range into pieces of whole UTC days: first and last day of each."""
    first, last = since.date(), (until - timedelta(microseconds=1)).date()
    while first <= last:
        end = min(last, first + timedelta(days=CHUNK_DAYS - 1))
        yield first, end
        first = end + timedelta(days=1)


def _rows(
    hours: tuple[datetime, ...],
    issued: list[datetime],
    values: dict[str, list[float | None]],
    source: str,
) -> pa.Table:
    """Lay hours out as rows; one of which nothing is known is left out."""
    import pyarrow as pa

    known = [any(v is not None for v in row) for row in zip(*values.values(), strict=True)]
    columns: dict[str, Any] = {"valid_at": hours, "issued_at": issued, **values}
    columns["source"] = [source] * len(hours)
    return pa.table(columns, schema=_schema()).filter(pa.array(known, pa.bool_()))


def _schema() -> pa.Schema:
    import pyarrow as pa

    moment = pa.timestamp("us", tz="UTC")
    fields = [("valid_at", moment), ("issued_at", moment)]
    fields += [(name, pa.float64()) for name in VALUES]
    return pa.schema([*fields, ("source", pa.string())])


def _scalar(moment: datetime) -> Any:
    import pyarrow as pa

    return pa.scalar(moment, pa.timestamp("us", tz="UTC"))
