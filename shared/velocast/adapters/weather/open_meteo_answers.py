"""An answer of Open-Meteo taken apart: hours, units and values checked, rain moved to the hour it fell in.

Answers look like {"utc_offset_seconds": 0, "hourly_units": {name: unit}, "hourly": {"time": [...], name: [...]}}, times
as 2025-03-01T00:00 in UTC. A server that serves something else than forecasts in this shape says what in `source`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import httpx

from velocast.core.datetimes import HOUR
from velocast.core.errors import WeatherError, WeatherRefused, WeatherTruncated, WeatherUnreachable
from velocast.core.weather_variables import SOURCES, VARIABLES, Variable

SHOWN = 200  # characters of an unexpected answer that an error quotes


class TooManyRequests(WeatherUnreachable):
    """429: limits are counted by minute, hour and day, so asking again at once cannot help."""


@dataclass(frozen=True)
class Answer:
    """Hours that follow each other.

    values: API name to one value an hour, None where the API has none or one that cannot be; implausible: how many
    could not be. source: what the server says its values are, None when it says nothing.
    """

    hours: tuple[datetime, ...]
    values: Mapping[str, list[float | None]]
    implausible: int
    source: str | None


def failure(answer: httpx.Response) -> WeatherError:
    """Return the error that an answer other than 200 stands for: 429 and 5xx are WeatherUnreachable, else refused."""
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return TooManyRequests(_unexpected(answer, "fewer requests"))
    if answer.is_server_error:
        return WeatherUnreachable(_unexpected(answer, "weather"))
    return WeatherRefused(_unexpected(answer, "weather"))


def read_answer(answer: httpx.Response, wanted: Mapping[str, Variable]) -> Answer:
    """Check a 200 and return what is in it.

    wanted: API name to the variable it is. Raises WeatherTruncated when the JSON breaks off or hours are missing,
    WeatherRefused when it is no JSON, no weather, in another unit or zone, or reports an error.
    """
    body = _json(answer)
    if body.get("error") or body.get("utc_offset_seconds") != 0:
        raise WeatherRefused(_unexpected(answer, "weather in UTC"))
    source = body.get("source")
    if source is not None and source not in SOURCES:
        raise WeatherRefused(_unexpected(answer, f"a source of {SOURCES}, got {source!r}"))
    units, hourly = body.get("hourly_units"), body.get("hourly")
    if not isinstance(units, dict) or not isinstance(hourly, dict):
        raise WeatherRefused(_unexpected(answer, "hourly and hourly_units"))
    hours = _hours(answer, hourly.get("time"))
    values: dict[str, list[float | None]] = {}
    implausible = 0
    for name, variable in wanted.items():
        if units.get(name) != variable.unit:
            raise WeatherRefused(
                f"{place(answer)}: {name} in {units.get(name)!r}, needs {variable.unit!r}"
            )
        values[name], wrong = _values(answer, name, hourly.get(name), variable, len(hours))
        implausible += wrong
    return Answer(hours, values, implausible, source)


def by_hour(answer: Answer, suffix: str = "") -> dict[str, list[float | None]]:
    """Return column to value for each hour of the answer but the last, which has no rain yet.

    suffix: what stands behind the API's names.
    """
    columns = {}
    for column, variable in VARIABLES.items():
        values = answer.values[variable.api + suffix]
        columns[column] = values[1:] if variable.after_the_hour else values[:-1]
    return columns


def place(answer: httpx.Response) -> str:
    """Return the address without the query: a key may be in it one day."""
    return str(answer.url.copy_with(query=None))


def _json(answer: httpx.Response) -> dict[str, Any]:
    text = answer.text.lstrip()
    if text.startswith("<") or "html" in answer.headers.get("content-type", ""):
        raise WeatherRefused(_unexpected(answer, "JSON"))
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise WeatherTruncated(
            f"{place(answer)}: the answer is no whole JSON ({exc}); ask again"
        ) from exc
    if not isinstance(body, dict):
        raise WeatherRefused(_unexpected(answer, "a JSON object"))
    return body


def _hours(answer: httpx.Response, times: Any) -> tuple[datetime, ...]:
    if not isinstance(times, list) or len(times) < 2:
        raise WeatherTruncated(f"{place(answer)}: no hours in the answer; ask again")
    try:
        hours = tuple(_hour(time) for time in times)
    except (TypeError, ValueError) as exc:
        raise WeatherRefused(
            f"{place(answer)}: hourly.time {times[0]!r} ... is not like 2025-03-01T00:00: {exc}"
        ) from exc
    for hour, following in pairwise(hours):
        if following - hour != HOUR:
            raise WeatherTruncated(
                f"{place(answer)}: {following:%Y-%m-%d %H:%MZ} follows {hour:%Y-%m-%d %H:%MZ}, "
                "hours are missing; ask again"
            )
    return hours


def _hour(time: str) -> datetime:
    hour = datetime.fromisoformat(time)
    if hour.tzinfo is not None:
        raise ValueError(f"{time!r} has an offset")
    return hour.replace(tzinfo=UTC)


def _values(
    answer: httpx.Response, name: str, found: Any, variable: Variable, hours: int
) -> tuple[list[float | None], int]:
    if not isinstance(found, list) or len(found) != hours:
        have = f"{len(found)} values" if isinstance(found, list) else type(found).__name__
        raise WeatherTruncated(f"{place(answer)}: {name} has {have}, needs {hours}; ask again")
    values: list[float | None] = []
    implausible = 0
    for value in found:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise WeatherRefused(f"{place(answer)}: {name} holds {value!r}, needs numbers")
        possible = value is None or variable.least <= value <= variable.most
        implausible += not possible
        values.append(float(value) if value is not None and possible else None)
    return values, implausible


def _unexpected(answer: httpx.Response, wanted: str) -> str:
    try:
        body = answer.json()
        text = str(body.get("reason") or answer.text)
    except (ValueError, AttributeError):
        text = answer.text
    kind = answer.headers.get("content-type", "no content type")
    return f"{place(answer)}: {answer.status_code} ({kind}), needs {wanted}: {text[:SHOWN]!r}"
