"""The weather API as the library reads it, over HTTP: good answers of the replay, and every bad one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gcp_emulators.core.http_server import HttpServer, free_port
from tests.replayed_weather import (
    ReplayedWeather,
    serving_weather,
    small_weather,
    weather_at,
)
from velocast.adapters.weather import open_meteo
from velocast.adapters.weather.open_meteo import WeatherSource
from velocast.core.city import WeatherConfig
from velocast.core.errors import WeatherRefused, WeatherTruncated, WeatherUnreachable
from velocast.core.weather_variables import VALUES, VARIABLES
from velocast_cli.backtesting.weather_perturbation import observed, perturbed
from velocast_local.city.open_meteo_replay import SEED, WeatherFaults

NOW = datetime(2025, 3, 10, 2, tzinfo=UTC)
MIDNIGHT = datetime(2025, 3, 10, tzinfo=UTC)
DAY = timedelta(days=1)
EXACT = replace(open_meteo.LIMITS, jitter_seconds=0.0)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayedWeather]:
    path = tmp_path_factory.mktemp("weather") / "weather.parquet"
    with serving_weather(ReplayedWeather(path, small_weather(), NOW)) as weather:
        yield weather


@pytest.fixture
def weather(served: ReplayedWeather) -> ReplayedWeather:
    served.now = NOW
    served.replay.faults = WeatherFaults()
    served.replay.asked.clear()
    return served


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def source(weather: ReplayedWeather, pauses: list[float]) -> Iterator[WeatherSource]:
    with WeatherSource(weather.config, sleep=pauses.append, limits=EXACT) as opened:
        yield opened


def frame(rows: Any) -> pd.DataFrame:
    return rows.to_pandas().set_index("valid_at")


class TestForecast:
    def test_hours_from_yesterday_to_eight_days_ahead(self, source: WeatherSource) -> None:
        found = source.read_forecast(NOW)
        assert found is not None
        rows = frame(found.rows)
        # the last hour's rain would stand under the hour after it
        expected = pd.date_range(MIDNIGHT - DAY, periods=9 * 24 - 1, freq="h")
        assert list(rows.index) == list(expected)
        assert set(rows["issued_at"]) == {pd.Timestamp(NOW)}
        assert set(rows["source"]) == {"perturbed"}
        assert found.implausible == 0

    def test_values_are_those_of_todays_run_under_the_hour_they_describe(
        self, source: WeatherSource
    ) -> None:
        found = source.read_forecast(NOW)
        assert found is not None
        seen = observed(small_weather())
        run = perturbed(
            seen[seen["valid_at"].between(MIDNIGHT, MIDNIGHT + 7 * DAY)],
            issued_at=MIDNIGHT,
            seed=SEED,
        ).set_index("valid_at")
        rows = frame(found.rows).loc[run.index]
        np.testing.assert_allclose(rows[list(VALUES)], run[list(VALUES)], atol=0.006)
        assert (rows["precipitation_mm"] > 0).any()

    def test_asks_one_question_in_utc_for_the_citys_place(
        self, source: WeatherSource, weather: ReplayedWeather
    ) -> None:
        source.read_forecast(NOW)
        (asked,) = weather.replay.asked
        assert asked.startswith("forecast?latitude=48.8566&longitude=2.3522&timezone=GMT&hourly=")
        assert asked.endswith("&forecast_days=8&past_days=1")

    @pytest.mark.parametrize("days", [-1, 1, 30])
    def test_a_run_of_another_day_gets_no_forecast(
        self, source: WeatherSource, weather: ReplayedWeather, days: int
    ) -> None:
        weather.now = NOW + days * DAY
        assert source.read_forecast(NOW) is None

    def test_hours_that_nobody_knows_are_left_out(
        self, source: WeatherSource, weather: ReplayedWeather
    ) -> None:
        weather.now = datetime(2025, 3, 30, 2, tzinfo=UTC)  # the file ends on 31 March
        found = source.read_forecast(weather.now)
        assert found is not None
        rows = frame(found.rows)
        assert rows.index.max() == pd.Timestamp("2025-03-31 23:00Z")
        assert np.isnan(rows["precipitation_mm"].iloc[-1])


class TestArchive:
    def test_each_hour_as_it_was_known_before_it(self, source: WeatherSource) -> None:
        found = source.read_archive(MIDNIGHT - 3 * DAY, MIDNIGHT - DAY, as_of=NOW)
        rows = found.rows.to_pandas()
        assert len(rows) == 48 * 6
        assert not rows.duplicated(["valid_at", "issued_at"]).any()
        lead = rows["valid_at"] + pd.Timedelta(hours=1) - rows["issued_at"]
        assert sorted(lead.unique()) == [pd.Timedelta(days=n) for n in range(6)]
        assert set(rows["source"]) == {"perturbed"}

    def test_day_n_comes_from_the_run_of_n_days_before(self, source: WeatherSource) -> None:
        day = MIDNIGHT - 2 * DAY
        rows = source.read_archive(day, day + DAY, as_of=NOW).rows.to_pandas()
        seen = observed(small_weather())
        seen = seen[seen["valid_at"].between(day, day + 23 * timedelta(hours=1))]
        for n in (0, 1, 5):
            run = perturbed(seen, issued_at=day - n * DAY, seed=SEED)
            lead = rows["valid_at"] + pd.Timedelta(hours=1) - rows["issued_at"]
            found = rows[lead == n * DAY]
            np.testing.assert_allclose(found[list(VALUES)], run[list(VALUES)], atol=0.006)

    def test_nothing_that_was_not_known_as_of_the_run(self, source: WeatherSource) -> None:
        as_of = MIDNIGHT - 2 * DAY
        rows = source.read_archive(as_of, as_of + 4 * DAY, as_of=as_of).rows.to_pandas()
        assert rows["issued_at"].max() <= pd.Timestamp(as_of)
        assert rows["valid_at"].max() > pd.Timestamp(as_of + 3 * DAY)

    def test_hours_of_a_range_that_begins_and_ends_within_a_day(
        self, source: WeatherSource
    ) -> None:
        since, until = MIDNIGHT - timedelta(hours=30), MIDNIGHT - timedelta(hours=20)
        rows = source.read_archive(since, until, as_of=NOW).rows.to_pandas()
        assert sorted(rows["valid_at"].unique()) == list(
            pd.date_range(since, until, freq="h", inclusive="left")
        )

    def test_a_long_range_is_asked_in_pieces(
        self, source: WeatherSource, weather: ReplayedWeather, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = source.read_archive(MIDNIGHT - 9 * DAY, MIDNIGHT, as_of=NOW).rows
        monkeypatch.setattr(open_meteo, "CHUNK_DAYS", 4)
        weather.replay.asked.clear()
        parts = source.read_archive(MIDNIGHT - 9 * DAY, MIDNIGHT, as_of=NOW).rows
        spans = [a.partition("&start_date=")[2].split("&end_date=") for a in weather.replay.asked]
        assert spans == [
            ["2025-03-01", "2025-03-05"],
            ["2025-03-05", "2025-03-09"],
            ["2025-03-09", "2025-03-10"],
        ]
        key = ["valid_at", "issued_at"]
        pd.testing.assert_frame_equal(
            parts.to_pandas().sort_values(key, ignore_index=True),
            whole.to_pandas().sort_values(key, ignore_index=True),
        )

    def test_gaps_of_the_archive_are_left_out(
        self, source: WeatherSource, weather: ReplayedWeather
    ) -> None:
        weather.replay.faults.kind = "nulls"
        found = source.read_archive(MIDNIGHT - DAY, MIDNIGHT, as_of=NOW)
        assert found.rows.num_rows == 0


class TestTrouble:
    @pytest.mark.parametrize(
        ("kind", "error", "match", "tries"),
        [
            ("truncated", WeatherTruncated, "not complete JSON", 3),
            ("missing_hours", WeatherTruncated, "hours are missing", 3),
            ("unavailable", WeatherUnreachable, "503", 3),
            ("too_many_requests", WeatherUnreachable, "Daily API request limit exceeded", 1),
            ("html", WeatherRefused, "needs JSON: .*Bad gateway", 1),
            ("fahrenheit", WeatherRefused, "temperature_2m is in '°F', needs '°C'", 1),
        ],
    )
    def test_bad_answers(
        self,
        source: WeatherSource,
        weather: ReplayedWeather,
        pauses: list[float],
        kind: Any,
        error: type[Exception],
        match: str,
        tries: int,
    ) -> None:
        weather.replay.faults.kind = kind
        with pytest.raises(error, match=match) as raised:
            source.read_forecast(NOW)
        assert "latitude" not in str(raised.value)
        assert len(weather.replay.asked) == tries
        assert pauses == [1.0, 4.0][: tries - 1]
        with pytest.raises(error, match=match):
            source.read_archive(MIDNIGHT - DAY, MIDNIGHT, as_of=NOW)

    def test_a_passing_fault_heals(
        self, source: WeatherSource, weather: ReplayedWeather, pauses: list[float]
    ) -> None:
        weather.replay.faults.kind, weather.replay.faults.times = "truncated", 1
        assert source.read_forecast(NOW) is not None
        assert pauses == [1.0]

    def test_a_refused_question_gives_the_apis_reason(self, source: WeatherSource) -> None:
        with pytest.raises(WeatherRefused, match="'end_date' is out of allowed range"):
            source.read_archive(NOW, NOW + 30 * DAY, as_of=NOW)

    def test_nobody_answers(self, pauses: list[float]) -> None:
        config = weather_at(f"http://127.0.0.1:{free_port()}/weather")
        with (
            WeatherSource(config, sleep=pauses.append, limits=EXACT) as source,
            pytest.raises(WeatherUnreachable, match=r"no answer: .*check weather"),
        ):
            source.read_forecast(NOW)
        assert pauses == [1.0, 4.0]


def body(**changes: Any) -> dict[str, Any]:
    """A whole answer to the question for NOW, as Open-Meteo gives it, changed."""
    hours = pd.date_range(MIDNIGHT - DAY, periods=9 * 24, freq="h").strftime("%Y-%m-%dT%H:%M")
    hourly: dict[str, Any] = {"time": list(hours)}
    hourly |= {v.api: [float(n % 7) for n in range(9 * 24)] for v in VARIABLES.values()}
    units = {"time": "iso8601"} | {v.api: v.unit for v in VARIABLES.values()}
    whole = {"latitude": 48.86, "longitude": 2.36, "utc_offset_seconds": 0, "timezone": "GMT"}
    return whole | {"hourly_units": units, "hourly": hourly} | changes


@pytest.fixture(scope="module")
def answers() -> Iterator[tuple[dict[str, Any], WeatherConfig]]:
    """A server that answers whatever is put under "text"."""
    held: dict[str, Any] = {}

    def answer(_request: Request) -> Response:
        return Response(held["text"], media_type="application/json")

    with HttpServer([Route("/weather/forecast/v1/forecast", answer)]) as server:
        yield held, weather_at(f"{server.url}/weather")


def read(answers: tuple[dict[str, Any], WeatherConfig], text: str) -> open_meteo.Weather | None:
    answers[0]["text"] = text
    with WeatherSource(answers[1], sleep=lambda _: None) as source:
        return source.read_forecast(NOW)


class TestAnswers:
    def test_open_meteo_says_nothing_of_its_source(self, answers: Any) -> None:
        found = read(answers, json.dumps(body()))
        assert found is not None
        rows = found.rows.to_pandas()
        assert set(rows["source"]) == {"forecast"}
        assert rows["temperature_c"].iloc[:3].tolist() == [0.0, 1.0, 2.0]
        assert rows["precipitation_mm"].iloc[:3].tolist() == [1.0, 2.0, 3.0]

    def test_what_cannot_be_is_left_out_and_counted(self, answers: Any) -> None:
        answer = body()
        answer["hourly"]["temperature_2m"][0] = 3000
        answer["hourly"]["cloud_cover"][1] = -1
        answer["hourly"]["cloud_cover"][2] = float("nan")
        answer["hourly"]["wind_speed_10m"][3] = None
        found = read(answers, json.dumps(answer))
        assert found is not None
        rows = found.rows.to_pandas()
        assert found.implausible == 3
        assert rows["temperature_c"].isna().tolist()[:4] == [True, False, False, False]
        assert rows["cloud_pct"].isna().tolist()[:4] == [False, True, True, False]
        assert rows["wind_kmh"].isna().tolist()[:4] == [False, False, False, True]

    @pytest.mark.parametrize(
        ("answer", "error", "match"),
        [
            ("", WeatherTruncated, "not complete JSON"),
            ("[" * 100_000, WeatherTruncated, "not complete JSON"),
            ("[]", WeatherRefused, "needs a JSON object"),
            ('{"error": true, "reason": "Something went wrong."}', WeatherRefused, "went wrong"),
            (body(utc_offset_seconds=3600), WeatherRefused, "weather in UTC"),
            (body(source="a guess"), WeatherRefused, "got 'a guess'"),
            (body(hourly=None), WeatherRefused, "needs hourly"),
            (body(hourly_units={}), WeatherRefused, "temperature_2m is in None"),
            (body(hourly={}), WeatherTruncated, "no hours"),
            (body(hourly={"time": ["2025-03-09T00:00"]}), WeatherTruncated, "no hours"),
            (body(hourly={"time": ["today", "now"]}), WeatherRefused, "is not like 2025"),
            (body(hourly={"time": [1, 2]}), WeatherRefused, "is not like 2025"),
            (
                body(hourly={"time": ["2025-03-09T00:00+01:00", "2025-03-09T01:00+01:00"]}),
                WeatherRefused,
                "has an offset",
            ),
            (
                body(hourly={"time": ["2025-03-09T00:00", "2025-03-09T01:00"]}),
                WeatherTruncated,
                "has NoneType, needs 2",
            ),
        ],
    )
    def test_refused(self, answers: Any, answer: Any, error: Any, match: str) -> None:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        with pytest.raises(error, match=match):
            read(answers, text)

    @pytest.mark.parametrize("value", ["7", True, [1], {}])
    def test_values_that_are_no_numbers(self, answers: Any, value: Any) -> None:
        answer = body()
        answer["hourly"]["precipitation"][4] = value
        with pytest.raises(WeatherRefused, match="precipitation has"):
            read(answers, json.dumps(answer))

    def test_a_value_too_few(self, answers: Any) -> None:
        answer = body()
        answer["hourly"]["precipitation"].pop()
        with pytest.raises(WeatherTruncated, match="precipitation has 215 values, needs 216"):
            read(answers, json.dumps(answer))

    def test_fewer_days_than_asked(self, answers: Any) -> None:
        answer = body()
        answer["hourly"] = {name: values[:48] for name, values in answer["hourly"].items()}
        with pytest.raises(WeatherTruncated, match="48 hours from 2025-03-09 00:00Z, needs 216"):
            read(answers, json.dumps(answer))
