"""The city that a command works on: the one that `--city` names, or nobody's where a file comes without one."""

from __future__ import annotations

from collections.abc import Iterable

from velocast.adapters.gcs import read_address
from velocast.core.city import City, load_city
from velocast.core.city.loading import packaged_cities

CITY_HELP = "City: the name of a packaged one, the path of a city's file, or a gs:// address."
UNNAMED = "Unnamed city"
FORMAT = (
    "demoville"  # describes the records of Paris's API, which a file without a city is taken for
)

Position = tuple[float, float]  # latitude and longitude, degrees (WGS 84)


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
    return f"no --city: the counts are nobody's; {known}"


def _city_around(positions: list[Position]) -> City | None:
    if not positions:
        return None
    for name in packaged_cities():
        box = load_city(name).bounding_box
        if name != FORMAT and box is not None and all(box.contains(*at) for at in positions):
            return load_city(name)
    return None
