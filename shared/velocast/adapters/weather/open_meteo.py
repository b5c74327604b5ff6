"""A city's weather from Open-Meteo: forecasts of the coming days, and its archive of past forecasts.

The archive (the "previous runs" API) has for each hour what was forecast for it N days before. A value of "day N"
comes from a run at least 24 N hours before the end of its hour, and that moment is its issued_at. The archive begins
in January 2024 and has gaps, which are null.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from velocast.adapters.http_source import HttpSource, Limits, SourceErrors
from velocast.adapters.weather.open_meteo_answers import Answer, by_hour, read_answer
from velocast.core.city import WeatherConfig
from velocast.core.datetimes import HORIZON_DAYS, HOUR
from velocast.core.errors import WeatherRefused, WeatherTruncated, WeatherUnreachable
from velocast.core.schemas import WEATHER, arrow
from velocast.core.weather_variables import VARIABLES, Variable

if TYPE_CHECKING:
    import pyarrow as pa

# Answers are about 1 MB. What `fetch` has for the city and the weather together: city_sources/transports/portal.py.
LIMITS = Limits(answer_seconds=60.0, total_seconds=120.0)
# Two runs may be missed, and there is still weather for every day that the next one forecasts.
FORECAST_DAYS = HORIZON_DAYS + 3
PAST_DAYS = 1
# 0 is the newest run before the hour, 5 is for the last lead day.
ARCHIVED_DAYS = range(HORIZON_DAYS + 1)
CHUNK_DAYS = 180  # days of the archive in one request, whose cost grows with days and variables


@dataclass(frozen=True)
class Weather:
    """Forecast weather.

    rows: Arrow columns valid_at, issued_at, VALUES and source, without duplicates. implausible: the number of values
    that were impossible and left out.
    """

    rows: pa.Table
    implausible: int = 0

    @classmethod
    def nothing(cls) -> Weather:
        """Return no weather at all."""
        return cls(arrow(WEATHER).empty_table())


class WeatherSource(HttpSource):
    """Reads one city's weather."""

    errors = SourceErrors(WeatherUnreachable, WeatherTruncated, WeatherRefused)
    needs = "weather"
    setting = "weather"
    purpose = "one forecast a day"

    def __init__(
        self,
        config: WeatherConfig,
        *,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("Open-Meteo", limits or LIMITS, sleep=sleep, clock=clock)
        self.config = config

    def read_forecast(self, as_of: datetime) -> Weather | None:
        """Read the forecast issued at `as_of`, for hours from PAST_DAYS before its day on.

        None if the API's day (UTC) is not that of `as_of`: what it forecasts now was not known then, so the archive
        has to be read instead. Raises WeatherUnreachable, WeatherTruncated or WeatherRefused; the first two only after
        two retries.
        """
        days = {"forecast_days": str(FORECAST_DAYS), "past_days": str(PAST_DAYS)}
        wanted = _names("")
        answer = self._ask(self.config.forecast_base_url, wanted, days, FORECAST_DAYS + PAST_DAYS)
        if answer.hours[0].date() + timedelta(days=PAST_DAYS) != as_of.date():
            return None
        values = by_hour(answer)
        hours = answer.hours[:-1]
        rows = _rows(hours, [as_of] * len(hours), values, answer.source or "forecast")
        return Weather(rows, answer.implausible)

    def read_archive(self, since: datetime, until: datetime, *, as_of: datetime) -> Weather:
        """Read what was forecast 0 to 5 days before each hour of a half-open range, as far as known at `as_of`.

        Hours that the archive does not have are left out. Errors as for `read_forecast`.
        """
        parts = [
            self._read_chunk(first, last, as_of)
            for first, last in _chunks(since.astimezone(UTC), until.astimezone(UTC))
        ]
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = pa.concat_tables([arrow(WEATHER).empty_table(), *(part.rows for part in parts)])
        inside = pc.and_(
            pc.greater_equal(rows["valid_at"], _scalar(since)),
            pc.less(rows["valid_at"], _scalar(until)),
        )
        return Weather(rows.filter(inside), sum(part.implausible for part in parts))

    def _read_chunk(self, first: date, last: date, as_of: datetime) -> Weather:
        import pyarrow as pa
        import pyarrow.compute as pc

        # the rain of a day's last hour is stored under the next midnight
        end = last + timedelta(days=1)
        wanted = {n: v for day in ARCHIVED_DAYS for n, v in _names(_suffix(day)).items()}
        dates = {"start_date": first.isoformat(), "end_date": end.isoformat()}
        answer = self._ask(
            self.config.previous_runs_base_url, wanted, dates, (end - first).days + 1
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
        """Read `days` whole days of the wanted variables, with retries. when: the query's own parameters."""
        return self.ask(lambda: self._ask_once(base_url, wanted, when, days))

    def _ask_once(
        self, base_url: str, wanted: dict[str, Variable], when: dict[str, str], days: int
    ) -> Answer:
        place = {
            "latitude": f"{self.config.latitude}",
            "longitude": f"{self.config.longitude}",
            "timezone": "GMT",
        }
        url = f"{base_url.rstrip('/')}/v1/forecast"
        with self.opened([url], place | {"hourly": ",".join(wanted)} | when) as response:
            answer = read_answer(self.read(response), wanted)
        asked = when.get("start_date", f"{answer.hours[0]:%Y-%m-%d}")
        if len(answer.hours) != 24 * days or f"{answer.hours[0]:%Y-%m-%d %H}" != f"{asked} 00":
            raise WeatherTruncated(
                f"{url}: {len(answer.hours)} hours from {answer.hours[0]:%Y-%m-%d %H:%MZ}, needs "
                f"{24 * days} ({', '.join(f'{k}={v}' for k, v in when.items())}); ask again"
            )
        return answer


def _suffix(day: int) -> str:
    return f"_previous_day{day}" if day else ""


def _names(suffix: str) -> dict[str, Variable]:
    return {variable.api + suffix: variable for variable in VARIABLES.values()}


def _chunks(since: datetime, until: datetime) -> Iterator[tuple[date, date]]:
    """Split a range into pieces of whole UTC days; yield the first and last day of each."""
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
    """Return one row per hour; hours without any value are left out."""
    import pyarrow as pa

    known = [any(v is not None for v in row) for row in zip(*values.values(), strict=True)]
    columns: dict[str, Any] = {"valid_at": hours, "issued_at": issued, **values}
    columns["source"] = [source] * len(hours)
    return pa.table(columns, schema=arrow(WEATHER)).filter(pa.array(known, pa.bool_()))


def _scalar(moment: datetime) -> Any:
    import pyarrow as pa

    return pa.scalar(moment, pa.timestamp("us", tz="UTC"))
