"""The city that a command works on: the one that `--city` names, or nobody's where a file comes without one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from velocast.adapters.gcs import read_address
from velocast.core.city import City, load_city
from velocast.core.city.loading import packaged_cities
from velocast.core.errors import CityRefused, VelocastError
from velocast.core.geo import Position
from velocast_cli.city_file import FileCounts, read_city_files

CITY_HELP = "City: the name of a packaged one, the path of a city's file, or a gs:// address."
UNNAMED = "Unnamed city"
FORMAT = "demoville"  # describes the records of Paris's API, which a file without a city is assumed to hold


def city_of(name: str) -> City:
    """Return the city that `--city` names. Raises SettingsError, and Google's errors for a gs:// address."""
    return load_city(name, read_object=read_address)


def unnamed_city(positions: Iterable[Position] = ()) -> City:
    """Return the description of counts that come without a city: it claims no name and no licence.

    positions: those of its counters. Where all of them lie in a packaged city, clock and holidays are that city's; else
    the clock is UTC and there are no holidays.
    """
    home = _city_around(list(positions))
    return City(
        name=UNNAMED,
        time_zone=home.time_zone if home else "UTC",
        holidays=home.holidays if home else None,
        bounding_box=home.bounding_box if home else None,
        counts=load_city(FORMAT).counts.model_copy(update={"source": None}),
    )


def describe_unnamed(city: City) -> str:
    """Return what to tell a person about a city made by `unnamed_city`."""
    if city.bounding_box is None:
        known = "the clock is UTC, and no holidays are known"
    else:
        known = f"from its counters' places, the clock is {city.time_zone} with the holidays of {city.holidays}"
    return f"no --city given; {known}"


def read_files_of(
    city: City | None, paths: Sequence[Path], say: Callable[[str], object]
) -> tuple[City, FileCounts]:
    """Read the counts of a city's files, and say what was put aside. city: None where the files come without one.

    Returns the city too: an unnamed one is made from the files. Raises ValueError and VelocastError for what cannot be
    read.
    """
    if city is not None:
        read = _read_in_either_format(city, paths, say)
    else:
        try:
            read = read_city_files(unnamed_city(), paths)
        except (VelocastError, ValueError) as exc:
            raise ValueError(
                f"{exc}. Without --city a file must have the columns of Paris's API; `velocast city new "
                f"{paths[0].name}` describes any other"
            ) from exc
        city = unnamed_city(read.positions())
        say(describe_unnamed(city))
    for place, why in read.left_out.items():
        say(f"left out: {place} ({why})")
    if aside := read.describe_put_aside():
        say(aside)
    return city, read


def _read_in_either_format(
    city: City, paths: Sequence[Path], say: Callable[[str], object]
) -> FileCounts:
    """Read files as their city describes them, else as hours that somebody brought into the format of Paris's API."""
    try:
        return read_city_files(city, paths)
    except CityRefused as exc:
        hours = city.model_copy(update={"counts": load_city(FORMAT).counts})
        try:
            read = read_city_files(hours, paths)
        except (VelocastError, ValueError):
            raise exc from None
    say(f"{paths[0].name}: in the format of Paris's API, not in that of {city.name}'s own counts")
    return read


def _city_around(positions: list[Position]) -> City | None:
    if not positions:
        return None
    for name in packaged_cities():
        box = load_city(name).bounding_box
        if name != FORMAT and box is not None and all(box.contains(*at) for at in positions):
            return load_city(name)
    return None
