"""Weather behind the replayed API; tests control its file, its faults and its clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from gcp_emulators.core.http_server import HttpServer
from velocast.core.city import WeatherConfig, load_city
from velocast_local.city.open_meteo_replay import WeatherReplay, weather_routes
from velocast_local.city.replayed_city import replayed_city

FIRST = datetime(2025, 2, 20, tzinfo=UTC)


def small_weather(first: datetime = FIRST, days: int = 40) -> pd.DataFrame:
    """Return mild days with Open-Meteo's column names and a shower every sixth hour."""
    n = np.arange(24 * days)
    return pd.DataFrame(
        {
            "time": pd.date_range(first, periods=24 * days, freq="h", unit="ms"),
            "temperature_2m": 10 + 5 * np.sin(n / 24 * 2 * np.pi),
            "relative_humidity_2m": 70.0 + n % 20,
            "wind_speed_10m": 12.0 + n % 5,
            "cloud_cover": np.where(n % 6 == 0, 100.0, 40.0),
            "precipitation": np.where(n % 6 == 0, 1.2, 0.0),
        }
    )


def weather_at(url: str) -> WeatherConfig:
    """Return the configuration of weather that is replayed at an address."""
    config = replayed_city(load_city("paris"), url.removesuffix("/weather"), weather=True).weather
    assert config is not None
    return config


class ReplayedWeather:
    """The address of the API, and `now`, which tests set."""

    def __init__(self, path: Path, frame: pd.DataFrame, now: datetime) -> None:
        self.now = now
        self.base_url = ""
        frame.to_parquet(path, index=False)
        self.replay = WeatherReplay(path, lambda: self.now)

    @property
    def config(self) -> WeatherConfig:
        """The configuration of the weather with the address of this server."""
        return weather_at(self.base_url)


@contextmanager
def serving_weather(weather: ReplayedWeather) -> Iterator[ReplayedWeather]:
    """Serve the weather while the block runs."""
    with HttpServer(weather_routes(weather.replay)) as server:
        weather.base_url = f"{server.url}/weather"
        yield weather
