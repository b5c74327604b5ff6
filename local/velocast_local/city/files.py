"""The files that a stack replays: the counts of its city and the observed weather."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

from velocast_local.stack.state import StackState


class CityFiles(NamedTuple):
    """Absolute paths of one city's files; weather is None when it has no weather."""

    counts: Path
    weather: Path | None


def synthetic_files(home: Path) -> CityFiles:
    """Return the paths of a stack's synthetic city."""
    return CityFiles(home / "demoville.parquet", home / "demoville-weather.parquet")


def make_synthetic(
    home: Path,
    *,
    counters: int = 50,
    days: int,
    seed: int = 7,
    until: date | None = None,
    faultless_days: int = 0,
) -> CityFiles:
    """Generate a synthetic city with weather in the folder of a stack; the arguments are those of `simulate_city`."""
    from velocast_local.simulation.city import DEFAULT_UNTIL, simulate_city
    from velocast_local.simulation.files import write_city

    files = synthetic_files(home)
    home.mkdir(parents=True, exist_ok=True)
    counts, weather_rows = simulate_city(
        counters,
        days=days,
        seed=seed,
        until=until or DEFAULT_UNTIL,
        faultless_days=faultless_days,
    )
    if files.weather:
        write_city(weather_rows, files.weather)
    write_city(counts, files.counts)
    return files


def choose_files(
    last: StackState | None,
    replay: Path | None,
    weather: Path | None,
    synthetic: Callable[[], CityFiles],
) -> CityFiles:
    """Return the requested files, else those of the last start, else those of a synthetic city.

    New counts without a weather file get no weather, because the last weather belongs to another city. Raises
    FileNotFoundError when a file of the last start no longer exists.
    """
    counts = replay or (last.replay if last else None)
    if counts is None:
        made = synthetic()
        return CityFiles(made.counts, weather.resolve() if weather else made.weather)
    if replay is None and weather is None and last is not None:
        weather = last.weather
    if not counts.is_file():
        raise FileNotFoundError(
            f"the file of counts {counts} no longer exists; choose one with --replay"
        )
    if weather is not None and not weather.is_file():
        raise FileNotFoundError(
            f"the weather file {weather} no longer exists; choose one with --weather"
        )
    return CityFiles(counts.resolve(), weather.resolve() if weather else None)
