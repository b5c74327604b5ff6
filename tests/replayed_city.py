"""A small city behind the replayed API; tests control its file, its faults and its clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from gcp_emulators.core.http_server import HttpServer
from velocast.adapters.http_source import Limits
from velocast.core.city import City, load_city
from velocast_local.city.opendatasoft_replay import Faults, Replay, city_routes
from velocast_local.city.replayed_city import replayed_city, write_description
from velocast_local.city.replayed_counts import CityFile

FIRST = datetime(2025, 3, 1, tzinfo=UTC)
COUNTERS = ("100-101", "100-102", "200-201")


def small_frame(
    first: datetime = FIRST, days: int = 20, counters: tuple[str, ...] = COUNTERS
) -> pd.DataFrame:
    """Return three counters for some days of UTC hours; counter number n counts 10 n + the hour."""
    hours = pd.date_range(first, periods=24 * days, freq="h", unit="ms")
    rows = [
        pd.DataFrame(
            {
                "id_compteur": counter,
                "nom_compteur": f"{n} rue des Essais N-S",
                "id": counter.split("-")[0],
                "name": f"{n} rue des Essais",
                "sum_counts": (10 * n + hours.hour).astype("int32"),
                "date": hours,
                "installation_date": "2020-05-04",
                "counter": f"Z2H{n}",
                "longitude": round(2.3 + n / 100, 2),
                "latitude": 48.85,
            }
        )
        for n, counter in enumerate(counters, start=1)
    ]
    return pd.concat(rows, ignore_index=True)


def demoville_at(url: str, *, weather_url: str | None = None) -> City:
    """Return Demoville, published by the server at `url`, with its weather where there is one."""
    city = replayed_city(load_city("demoville"), url, weather=weather_url is not None)
    if city.weather is None:
        return city
    addresses = {
        "forecast_base_url": f"{weather_url}/forecast",
        "previous_runs_base_url": f"{weather_url}/previous-runs",
    }
    return city.model_copy(update={"weather": city.weather.model_copy(update=addresses)})


def without_pauses(limits: Limits) -> Limits:
    """Return limits with which a source is asked again at once."""
    return replace(limits, first_pause_seconds=0.0, jitter_seconds=0.0)


class ReplayedCity:
    """The file of the city, the address of its API, and `now`, which tests set."""

    def __init__(self, path: Path, frame: pd.DataFrame, now: datetime) -> None:
        self.path = path
        self.now = now
        self.url = ""
        frame.to_parquet(path, index=False)
        self.replay = Replay(path, lambda: self.now)

    def publish(self, frame: pd.DataFrame) -> None:
        """Replace the contents of the city's file and clear its faults."""
        frame.to_parquet(self.path, index=False)
        self.replay.file = CityFile(self.path)
        self.replay.faults = Faults()

    @property
    def faults(self) -> Faults:
        """The faults that are simulated."""
        return self.replay.faults

    @property
    def base_url(self) -> str:
        """The address of the city's API."""
        return f"{self.url}/city"

    @property
    def city(self) -> City:
        """The city's description with the address of this server."""
        return demoville_at(self.url)

    def described(self, *, weather_url: str | None = None) -> str:
        """Write the city's description to a file and return its path, as VELOCAST_CITY takes it.

        weather_url: where the weather is replayed; None for a city without weather.
        """
        city = demoville_at(self.url, weather_url=weather_url)
        file = self.path.with_name("city-with-weather.yaml" if weather_url else "city.yaml")
        write_description(city, file)
        return str(file)

    def next_day(self, days: int = 1) -> None:
        """Move the clock."""
        self.now += timedelta(days=days)


@contextmanager
def serving(city: ReplayedCity) -> Iterator[ReplayedCity]:
    """Serve the city while the block runs."""
    with HttpServer(city_routes(city.replay)) as server:
        city.url = server.url
        yield city
