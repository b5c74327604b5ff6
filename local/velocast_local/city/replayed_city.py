"""The city as the local stack publishes it: somebody's name, clock and licence, at the address of the replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from velocast.core.city import City, load_city
from velocast.core.city.loading import parse_city
from velocast_local.city.replayed_counts import QUALITY

SYNTHETIC_CITY = "demoville"
NOT_STATED = "not stated"
INCOMPLETE = "incomplete"


def replayed_city(city: City, url: str, *, weather: bool, marked: bool = False) -> City:
    """Return a city whose counts, counters and weather are read from the stack at `url`, whatever it publishes itself.

    weather: whether the stack replays weather; without, the city has none, because the hours of a replay are not the
    hours of the real weather API. marked: whether its counts have a column that says how good they are.
    """
    published = load_city(SYNTHETIC_CITY).model_dump(include={"counts", "counters"})
    for part in published.values():
        part["source"] |= {"base_url": f"{url}/city", "fallback_base_urls": ()}
    if marked:
        published["counts"]["layout"]["status"] = {"column": QUALITY, "incomplete": INCOMPLETE}
    head = city.model_dump(exclude={"counts", "counters", "weather"})
    found = _replayed_weather(city, f"{url}/weather") if weather else None
    return parse_city(head | published | {"weather": found}, f"the replay of {city.name}")


def write_description(city: City, file: Path) -> None:
    """Write a city's description as YAML."""
    values = city.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(values, allow_unicode=True, sort_keys=False)
    file.write_text(text, encoding="utf-8")


def _replayed_weather(city: City, url: str) -> dict[str, Any]:
    """Return where the weather is replayed. The replay has one place, so any point of the city will do."""
    addresses = {
        "forecast_base_url": f"{url}/forecast",
        "previous_runs_base_url": f"{url}/previous-runs",
    }
    if city.weather is not None:
        return city.weather.model_dump() | addresses
    box = city.bounding_box
    return addresses | {
        "adapter": "open_meteo",
        "latitude": (box.south + box.north) / 2 if box else 0.0,
        "longitude": (box.west + box.east) / 2 if box else 0.0,
        "licence": NOT_STATED,
        "licence_url": "",
        "attribution": "",
        "attribution_url": "",
    }
