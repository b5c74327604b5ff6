"""Open-Meteo's forecast and previous-runs APIs, replayed from a file of observed weather at the simulated time.

The forecasts have realistic errors (velocast_cli.backtesting.weather_perturbation) and are marked with
`"source": "perturbed"`. There is one model run a day, at midnight UTC. Unknown requests are answered with 400, as by
the real API. POST /weather/faults takes the fields of `WeatherFaults`, injects these faults from then on, and answers
how many `times` were left of those before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from velocast.core.weather_variables import VARIABLES
from velocast_cli.backtesting.weather_perturbation import HORIZON_HOURS, perturbed
from velocast_cli.weather_file import read_weather_file

SEED = 20
LONGEST_FORECAST_DAYS = HORIZON_HOURS // 24
LONGEST_PAST_DAYS = 92
RUNS_KEPT = 1000
_COLUMN = {variable.api: column for column, variable in VARIABLES.items()}
_NAME = re.compile(r"(?P<api>\w+?)(_previous_day(?P<day>[1-7]))?")

FaultKind = Literal[
    "truncated", "html", "unavailable", "too_many_requests", "missing_hours", "fahrenheit", "nulls"
]


@dataclass
class WeatherFaults:
    """Faults to inject: the next `times` responses suffer `kind`, later ones are normal (-1: until cleared)."""

    kind: FaultKind | None = None
    times: int = -1
    apis: tuple[str, ...] = ("forecast", "previous-runs")

    def strike(self, api: str) -> FaultKind | None:
        """Return the fault that this response suffers, and count it."""
        if not self.kind or not self.times or api not in self.apis:
            return None
        self.times -= 1
        return self.kind


class InvalidWeatherRequest(ValueError):
    """A request that Open-Meteo answers with 400."""


class WeatherReplay:
    """The observations at one place, replayed at the simulated time.

    path: .parquet or .csv with time and Open-Meteo's names (`velocast.core.weather_variables`), every hour once.
    clock_now: returns the simulated time, aware. Raises ValueError when a column is missing.
    """

    def __init__(self, path: Path, clock_now: Callable[[], datetime]) -> None:
        self.hours = read_weather_file(path).set_index("valid_at")
        self.clock_now = clock_now
        self.faults = WeatherFaults()
        self.asked: list[str] = []
        self._run = lru_cache(RUNS_KEPT)(self._make_run)

    def today(self) -> date:
        """Return the simulated date (UTC)."""
        return self.clock_now().astimezone(UTC).date()

    def value_of(self, name: str, days: list[date]) -> list[float | None]:
        """Return 24 values a day as the API returns them for a name like temperature_2m_previous_day2.

        previous_dayN comes from the run N days before each hour. For a run in the future, N = 0 gives the newest run
        and other N give None. Raises InvalidWeatherRequest for an unknown name.
        """
        found = _NAME.fullmatch(name)
        if not found or found["api"] not in _COLUMN:
            raise InvalidWeatherRequest(
                f"Data corrupted at path ''. Cannot initialize from invalid String {name}."
            )
        variable = VARIABLES[_COLUMN[found["api"]]]
        before = int(found["day"] or 0)
        # rain is given at the end of its hour: the first value of a day belongs to the hour before
        first = days[0] - timedelta(days=1) if variable.after_the_hour else days[0]
        parts = [self._day(day, before, _COLUMN[found["api"]]) for day in _days(first, days[-1])]
        values = np.concatenate(parts)
        if variable.after_the_hour:
            values = values[23:-1]
        return [None if np.isnan(v) else round(float(v), 2) for v in values]

    def _day(self, day: date, before: int, column: str) -> np.ndarray[Any, Any]:
        run = day - timedelta(days=before)
        if run > self.today():
            if before:
                return np.full(24, np.nan)
            run = self.today()
        forecast = self._run(run)
        start = (day - run).days * 24
        return forecast[column].to_numpy()[start : start + 24]

    def _make_run(self, run: date) -> pd.DataFrame:
        issued_at = datetime.combine(run, datetime.min.time(), tzinfo=UTC)
        hours = pd.date_range(issued_at, periods=HORIZON_HOURS, freq="h", unit="us")
        seen = self.hours.reindex(hours).rename_axis("valid_at").reset_index()
        return perturbed(seen, issued_at=issued_at, seed=SEED)


def weather_routes(replay: WeatherReplay | None) -> list[BaseRoute]:
    """Return the routes of the weather APIs, mounted under /weather; none without a file."""
    if replay is None:
        return []
    api = _Api(replay)

    async def set_faults(request: Request) -> Response:
        before, replay.faults = replay.faults, WeatherFaults(**await request.json())
        return JSONResponse({"times": before.times})

    path = "/v1/forecast"
    return [
        Mount(
            "/weather",
            routes=[
                Route(f"/forecast{path}", api.forecast),
                Route(f"/previous-runs{path}", api.previous_runs),
                Route("/faults", set_faults, methods=["POST"]),
            ],
        )
    ]


class _Api:
    def __init__(self, replay: WeatherReplay) -> None:
        self.replay = replay

    # Plain functions: Starlette runs them in threads, so a year of the archive does not block other requests.
    def forecast(self, request: Request) -> Response:
        return self._answer(request, "forecast")

    def previous_runs(self, request: Request) -> Response:
        return self._answer(request, "previous-runs")

    def _answer(self, request: Request, api: str) -> Response:
        self.replay.asked.append(f"{api}?{request.url.query}")
        fault = self.replay.faults.strike(api)
        try:
            return _failure(fault) or self._weather(request.query_params, fault)
        except InvalidWeatherRequest as exc:
            return JSONResponse({"error": True, "reason": str(exc)}, 400)

    def _weather(self, query: QueryParams, fault: FaultKind | None) -> Response:
        place = {name: _number(query, name) for name in ("latitude", "longitude")}
        if query.get("timezone", "GMT") not in ("GMT", "UTC"):
            raise InvalidWeatherRequest("Invalid timezone")
        days = self._days(query)
        names = query.get("hourly", "").split(",")
        hourly: dict[str, list[Any]] = {"time": _times(days)}
        hourly |= {name: self.replay.value_of(name, days) for name in names}
        units = {"time": "iso8601"} | {name: _unit(name) for name in names}
        _spoil(fault, hourly, units)
        body = {
            **place,
            "generationtime_ms": 0.1,
            "utc_offset_seconds": 0,
            "timezone": "GMT",
            "timezone_abbreviation": "GMT",
            "elevation": 38.0,
            "source": "perturbed",
            "hourly_units": units,
            "hourly": hourly,
        }
        answer = JSONResponse(body)
        if fault == "truncated":
            half = bytes(answer.body)[: len(answer.body) // 2]
            return Response(half, media_type="application/json; charset=utf-8")
        return answer

    def _days(self, query: QueryParams) -> list[date]:
        today = self.replay.today()
        last = today + timedelta(days=LONGEST_FORECAST_DAYS - 1)
        if "start_date" not in query:
            past = _whole(query, "past_days", 0, LONGEST_PAST_DAYS)
            ahead = _whole(query, "forecast_days", 7, LONGEST_FORECAST_DAYS)
            return _days(today - timedelta(days=past), today + timedelta(days=ahead - 1))
        if {"past_days", "forecast_days"} & set(query):
            raise InvalidWeatherRequest(
                "Parameter 'past_days' is mutually exclusive with 'start_date' and 'end_date'"
            )
        try:
            first, end = (date.fromisoformat(query[name]) for name in ("start_date", "end_date"))
        except (KeyError, ValueError) as exc:
            raise InvalidWeatherRequest(f"Invalid date format: {exc}") from exc
        if end > last:
            raise InvalidWeatherRequest(
                f"Parameter 'end_date' is out of allowed range from 2016-01-01 to {last}"
            )
        if end < first:
            raise InvalidWeatherRequest("End-date must be larger or equals than start-date")
        return _days(first, end)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _times(days: list[date]) -> list[str]:
    return [f"{day}T{hour:02}:00" for day in days for hour in range(24)]


def _unit(name: str) -> str:
    return VARIABLES[_COLUMN[re.sub(r"_previous_day\d$", "", name)]].unit


def _number(query: QueryParams, name: str) -> float:
    try:
        return float(query[name])
    except (KeyError, ValueError) as exc:
        raise InvalidWeatherRequest(f"Parameter '{name}' must be a number") from exc


def _whole(query: QueryParams, name: str, usual: int, most: int) -> int:
    text = query.get(name, str(usual))
    if not text.isdigit() or int(text) > most:
        raise InvalidWeatherRequest(f"{name} is invalid. Allowed range 0 to {most}. Given {text}.")
    return int(text)


def _failure(fault: FaultKind | None) -> Response | None:
    if fault == "html":
        return HTMLResponse("<!DOCTYPE html><html><body><h1>Bad gateway</h1></body></html>")
    if fault == "unavailable":
        return HTMLResponse("<html><body>503 Service Temporarily Unavailable</body></html>", 503)
    if fault == "too_many_requests":
        reason = "Daily API request limit exceeded. Please try again tomorrow."
        return JSONResponse({"error": True, "reason": reason}, 429)
    return None


def _spoil(fault: FaultKind | None, hourly: dict[str, list[Any]], units: dict[str, str]) -> None:
    if fault == "missing_hours":
        for values in hourly.values():
            del values[5:8]
    if fault == "fahrenheit":
        for name in hourly:
            if name.startswith("temperature_2m"):
                units[name] = "°F"
    if fault == "nulls":
        for name in set(hourly) - {"time"}:
            hourly[name] = [None] * len(hourly[name])
