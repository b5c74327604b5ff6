"""Parses Open-Meteo's answers: checks hours, units and values, and moves rain to the hour in which it fell.

Answers look like {"utc_offset_seconds": 0, "hourly_units": {name: unit}, "hourly": {"time": [...], name: [...]}}, with
UTC times like 2025-03-01T00:00. A server whose values are not forecasts says in `source` what they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from velocast.adapters.http_answer import HttpAnswer
from velocast.core.datetimes import HOUR
from velocast.core.errors import WeatherRefused, WeatherTruncated
from velocast.core.weather_variables import SOURCES, VARIABLES, Variable


@dataclass(frozen=True)
class Answer:
    """Consecutive hours of weather.

    values: API name to one value per hour; None where the API has no value or an impossible one. implausible: the
    number of impossible values. source: what the server says its values are; None if it says nothing.
    """

    hours: tuple[datetime, ...]
    values: Mapping[str, list[float | None]]
    implausible: int
    source: str | None


def read_answer(answer: HttpAnswer, wanted: Mapping[str, Variable]) -> Answer:
    """Check an answer with status 200 and return its content.

    wanted: API name to variable. Raises WeatherTruncated if the JSON is incomplete or hours are missing, WeatherRefused
    if the answer is not JSON or not weather, has another unit or time zone, or reports an error.
    """
    body = _json(answer)
    if body.get("error") or body.get("utc_offset_seconds") != 0:
        raise WeatherRefused(answer.unexpected("weather in UTC"))
    source = body.get("source")
    if source is not None and source not in SOURCES:
        raise WeatherRefused(answer.unexpected(f"a source of {SOURCES}, got {source!r}"))
    units, hourly = body.get("hourly_units"), body.get("hourly")
    if not isinstance(units, dict) or not isinstance(hourly, dict):
        raise WeatherRefused(answer.unexpected("hourly and hourly_units"))
    hours = _hours(answer, hourly.get("time"))
    values: dict[str, list[float | None]] = {}
    implausible = 0
    for name, variable in wanted.items():
        if units.get(name) != variable.unit:
            raise WeatherRefused(
                f"{answer.place}: {name} is in {units.get(name)!r}, needs {variable.unit!r}"
            )
        values[name], wrong = _values(answer, name, hourly.get(name), variable, len(hours))
        implausible += wrong
    return Answer(hours, values, implausible, source)


def by_hour(answer: Answer, suffix: str = "") -> dict[str, list[float | None]]:
    """Return for each column one value per hour, without the answer's last hour, which has no rain yet.

    suffix: appended to the API's names of the variables.
    """
    columns = {}
    for column, variable in VARIABLES.items():
        values = answer.values[variable.api + suffix]
        columns[column] = values[1:] if variable.after_the_hour else values[:-1]
    return columns


def _json(answer: HttpAnswer) -> dict[str, Any]:
    text = answer.text.lstrip()
    if text.startswith("<") or "html" in answer.headers.get("content-type", ""):
        raise WeatherRefused(answer.unexpected("JSON"))
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise WeatherTruncated(
            f"{answer.place}: the answer is not complete JSON ({exc}); ask again"
        ) from exc
    if not isinstance(body, dict):
        raise WeatherRefused(answer.unexpected("a JSON object"))
    return body


def _hours(answer: HttpAnswer, times: Any) -> tuple[datetime, ...]:
    if not isinstance(times, list) or len(times) < 2:
        raise WeatherTruncated(f"{answer.place}: no hours in the answer; ask again")
    try:
        hours = tuple(_hour(time) for time in times)
    except (TypeError, ValueError) as exc:
        raise WeatherRefused(
            f"{answer.place}: hourly.time {times[0]!r} ... is not like 2025-03-01T00:00: {exc}"
        ) from exc
    for hour, following in pairwise(hours):
        if following - hour != HOUR:
            raise WeatherTruncated(
                f"{answer.place}: {following:%Y-%m-%d %H:%MZ} follows {hour:%Y-%m-%d %H:%MZ}, "
                "hours are missing; ask again"
            )
    return hours


def _hour(time: str) -> datetime:
    hour = datetime.fromisoformat(time)
    if hour.tzinfo is not None:
        raise ValueError(f"{time!r} has an offset")
    return hour.replace(tzinfo=UTC)


def _values(
    answer: HttpAnswer, name: str, found: Any, variable: Variable, hours: int
) -> tuple[list[float | None], int]:
    if not isinstance(found, list) or len(found) != hours:
        have = f"{len(found)} values" if isinstance(found, list) else type(found).__name__
        raise WeatherTruncated(f"{answer.place}: {name} has {have}, needs {hours}; ask again")
    values: list[float | None] = []
    implausible = 0
    for value in found:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise WeatherRefused(f"{answer.place}: {name} has {value!r}, needs numbers")
        possible = value is None or variable.least <= value <= variable.most
        implausible += not possible
        values.append(float(value) if value is not None and possible else None)
    return values, implausible
