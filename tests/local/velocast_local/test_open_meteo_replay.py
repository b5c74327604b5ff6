"""The replayed weather API: what it answers, what it refuses, and files it cannot read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from tests.replayed_weather import ReplayedWeather, serving_weather, small_weather
from velocast_cli.weather_file import read_weather_file
from velocast_local.city.files import CityFiles, choose_files
from velocast_local.city.open_meteo_replay import weather_routes
from velocast_local.stack.state import StackState, read_state

pytestmark = pytest.mark.emulator

NOW = datetime(2025, 3, 10, 2, tzinfo=UTC)
PLACE = {"latitude": "48.85", "longitude": "2.35"}
FORECAST = "/forecast/v1/forecast"
ARCHIVE = "/previous-runs/v1/forecast"


@pytest.fixture
def weather(tmp_path: Path) -> ReplayedWeather:
    return ReplayedWeather(tmp_path / "weather.parquet", small_weather(), NOW)


@pytest.fixture
def api(weather: ReplayedWeather) -> Iterator[httpx.Client]:
    with serving_weather(weather), httpx.Client(base_url=weather.base_url) as client:
        yield client


def ask(api: httpx.Client, path: str = FORECAST, **query: str) -> dict[str, Any]:
    answer = api.get(path, params=PLACE | {"hourly": "temperature_2m"} | query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


class TestAnswers:
    def test_seven_days_from_today_unless_told_otherwise(self, api: httpx.Client) -> None:
        body = ask(api)
        assert body["hourly"]["time"][0] == "2025-03-10T00:00"
        assert len(body["hourly"]["time"]) == len(body["hourly"]["temperature_2m"]) == 168
        assert body["hourly_units"] == {"time": "iso8601", "temperature_2m": "°C"}
        assert (body["source"], body["utc_offset_seconds"]) == ("perturbed", 0)

    def test_a_forecast_stays_what_it_was_and_tomorrows_is_another(
        self, api: httpx.Client, weather: ReplayedWeather
    ) -> None:
        first = ask(api)["hourly"]["temperature_2m"]
        weather.now += timedelta(hours=9)
        assert ask(api)["hourly"]["temperature_2m"] == first
        weather.now += timedelta(days=1)
        assert ask(api)["hourly"]["temperature_2m"][:24] != first[24:48]

    def test_the_archive_repeats_what_was_forecast(
        self, api: httpx.Client, weather: ReplayedWeather
    ) -> None:
        forecast = ask(api)["hourly"]["temperature_2m"]
        weather.now += timedelta(days=5)
        body = ask(
            api,
            ARCHIVE,
            hourly="temperature_2m_previous_day2",
            start_date="2025-03-12",
            end_date="2025-03-12",
        )
        assert body["hourly"]["temperature_2m_previous_day2"] == forecast[48:72]

    def test_the_archive_has_no_forecast_of_a_day_that_has_not_come(
        self, api: httpx.Client
    ) -> None:
        body = ask(
            api,
            ARCHIVE,
            hourly="temperature_2m_previous_day1",
            start_date="2025-03-11",
            end_date="2025-03-12",
        )
        values = body["hourly"]["temperature_2m_previous_day1"]
        assert None not in values[:24]
        assert values[24:] == [None] * 24

    def test_errors_grow_from_day_to_day(self, api: httpx.Client, weather: ReplayedWeather) -> None:
        weather.now = datetime(2025, 3, 30, tzinfo=UTC)
        names = ",".join(f"temperature_2m_previous_day{n}" for n in (1, 5))
        body = ask(api, ARCHIVE, hourly=names, start_date="2025-02-26", end_date="2025-03-29")
        seen = small_weather().set_index("time")["temperature_2m"]
        near, far = (
            np.std(np.array(body["hourly"][name]) - seen["2025-02-26":"2025-03-29"].to_numpy())
            for name in names.split(",")
        )
        assert far > 1.2 * near > 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            ({"latitude": "north"}, "'latitude' must be a number"),
            ({"hourly": "snow"}, "invalid String snow"),
            ({"hourly": "temperature_2m_previous_day8"}, "invalid String"),
            ({"hourly": ""}, "invalid String"),
            ({"timezone": "Europe/Paris"}, "Invalid timezone"),
            ({"forecast_days": "17"}, "Allowed range 0 to 16"),
            ({"past_days": "-1"}, "Allowed range 0 to 92"),
            ({"start_date": "2025-03-10"}, "Invalid date"),
            ({"start_date": "2025-03-10", "end_date": "soon"}, "Invalid date"),
            ({"start_date": "2025-03-10", "end_date": "2025-03-09"}, "End-date must be"),
            ({"start_date": "2025-03-10", "end_date": "2025-03-26"}, "out of allowed range"),
            (
                {"start_date": "2025-03-10", "end_date": "2025-03-11", "past_days": "1"},
                "mutually exclusive",
            ),
        ],
    )
    def test_a_bad_question_is_a_400_with_its_reason(
        self, api: httpx.Client, query: dict[str, str], reason: str
    ) -> None:
        answer = api.get(FORECAST, params=PLACE | {"hourly": "temperature_2m"} | query)
        assert answer.status_code == 400
        assert answer.json()["error"] is True
        assert reason in answer.json()["reason"]

    def test_without_a_file_there_is_no_weather(self) -> None:
        assert weather_routes(None) == []


class TestFiles:
    def test_csv_is_read_as_parquet_is(self, tmp_path: Path) -> None:
        frame = small_weather(days=3)
        frame.to_csv(tmp_path / "w.csv", index=False)
        frame.to_parquet(tmp_path / "w.parquet", index=False)
        pd.testing.assert_frame_equal(
            read_weather_file(tmp_path / "w.csv"), read_weather_file(tmp_path / "w.parquet")
        )

    def test_a_file_of_something_else_is_named(self, tmp_path: Path) -> None:
        file = tmp_path / "counts.csv"
        file.write_text("a,b\n1,2\n")
        with pytest.raises(ValueError, match=r"counts\.csv: weather: no column \['cloud_cover'"):
            read_weather_file(file)
        with pytest.raises(ValueError, match=r"ends in '\.xlsx', expected \.parquet or \.csv"):
            read_weather_file(tmp_path / "weather.xlsx")


class TestChoice:
    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, Path]:
        made = {name: tmp_path / name for name in ("counts", "weather", "other", "rain")}
        for file in made.values():
            file.touch()
        return made

    def test_what_is_asked_then_the_last_then_a_synthetic_city(
        self, tmp_path: Path, files: dict[str, Path]
    ) -> None:
        counts, weather, other, rain = files.values()
        made = CityFiles(tmp_path / "demoville.parquet", tmp_path / "demoville-weather.parquet")
        last = StackState(tmp_path, tmp_path, "paris", counts, weather=weather)

        assert choose_files(None, None, None, lambda: made) == made
        assert choose_files(None, counts, weather, lambda: made) == (counts, weather)
        assert choose_files(last, None, None, lambda: made) == (counts, weather)
        assert choose_files(last, None, rain, lambda: made) == (counts, rain)
        assert choose_files(last, other, None, lambda: made) == (other, None)

    @pytest.mark.parametrize(
        ("gone", "message"),
        [
            ("counts", r"the file of counts .*counts no longer exists; choose one with --replay"),
            ("weather", r"the weather file .*weather no longer exists; choose one with --weather"),
        ],
    )
    def test_a_file_that_is_gone(
        self, tmp_path: Path, files: dict[str, Path], gone: str, message: str
    ) -> None:
        last = StackState(tmp_path, tmp_path, "paris", files["counts"], weather=files["weather"])
        files[gone].unlink()
        with pytest.raises(FileNotFoundError, match=message):
            choose_files(last, None, None, lambda: CityFiles(files["other"], None))

    @pytest.mark.parametrize("weather", [Path("/somewhere/weather.parquet"), None])
    def test_the_state_remembers_the_weather(self, tmp_path: Path, weather: Path | None) -> None:
        ports = {"http": 1, "mlflow": 2}
        state = StackState(tmp_path, tmp_path, "paris", tmp_path / "c", ports, weather=weather)
        state.write()
        assert read_state(tmp_path) == state


def test_faults_are_set_over_http_and_the_former_ones_counted(api: httpx.Client) -> None:
    set_faults = partial(api.post, "/faults")

    set_faults(json={"kind": "unavailable", "times": -1}).raise_for_status()
    assert api.get(FORECAST, params=PLACE).status_code == 503
    assert set_faults(json={}).json() == {"times": -2}
    ask(api)
