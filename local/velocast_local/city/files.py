"""Which files a stack's city publishes: its counts, and the weather there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

from velocast_local.stack.state import StackState


class CityFiles(NamedTuple):
    """Files of one city, absolute; weather None for none."""

    counts: Path
    weather: Path | None


def synthetic_files(home: Path) -> CityFiles:
    """Return where the synthetic city of a stack lies."""
    return CityFiles(home / "demoville.parquet", home / "demoville-weather.parquet")


def make_synthetic(
    home: Path, *, counters: int = 50, days: int, seed: int = 7, until: date | None = None
) -> CityFiles:
    """Make a synthetic city with its weather in the folder of a stack."""
    from velocast_local.simulation.city import DEFAULT_UNTIL, simulate_city, write_city

    files = synthetic_files(home)
    home.mkdir(parents=True, exist_ok=True)
    counts, sky = simulate_city(counters, days=days, seed=seed, until=until or DEFAULT_UNTIL)
    if files.weather:
        write_city(sky, files.weather)
    write_city(counts, files.counts)
    return files


def choose_files(
    last: StackState | None,
    replay: Path | None,
    weather: Path | None,
    synthetic: Callable[[], CityFiles],
) -> CityFiles:
    """Return the files asked for, else those of the last start, else a synthetic city's.

    Other counts that come without weather have none: that of the last city did not fall on them. Raises
    FileNotFoundError when a file of the last start is gone.
    """
    counts = replay or (last.replay if last else None)
    if counts is None:
        made = synthetic()
        return CityFiles(made.counts, weather.resolve() if weather else made.weather)
    if replay is None and weather is None and last is not None:
        weather = last.weather
    if not counts.is_file():
        raise FileNotFoundError(f"the city's counts {counts} are gone; give a file by --replay")
    if weather is not None and not weather.is_file():
        raise FileNotFoundError(f"the city's weather {weather} is gone; give a file by --weather")
    return CityFiles(counts.resolve(), weather.resolve() if weather else None)
