"""Reads the description of a city from its file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import ValidationError

from velocast.core.city.description import City
from velocast.core.errors import SettingsError


@cache  # one run calls this about a dozen times
def load_city(
    name: str, *, base_url: str | None = None, weather_base_url: str | None = None
) -> City:
    """Read a city's configuration.

    base_url: replaces the address of the counts and its fallbacks; weather_base_url: replaces the addresses of the
    weather. With a base_url and no weather_base_url the city has no weather, because the hours of a replay are not the
    hours of the real weather API. Raises SettingsError when the city does not exist or its file has a wrong or unknown
    key, time zone or holiday calendar.
    """
    folder = files("velocast").joinpath("cities")
    file = folder.joinpath(f"{name}.yaml")
    if not file.is_file():
        known = sorted(
            f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")
        )
        raise SettingsError(
            f"VELOCAST_CITY={name!r} is none of the cities {known}; choose one of them or add cities/{name}.yaml"
        )
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    if base_url:
        for part in ("counts", "counters"):
            if source := values.get(part, {}).get("source"):
                values[part]["source"] = source | {"base_url": base_url, "fallback_base_urls": ()}
        values["weather"] = values.get("weather") if weather_base_url else None
    if weather_base_url and values.get("weather"):
        values["weather"] |= {
            "forecast_base_url": f"{weather_base_url}/forecast",
            "previous_runs_base_url": f"{weather_base_url}/previous-runs",
        }
    return parse_city(values, f"cities/{name}.yaml")


def parse_city(values: dict[str, Any], place: str) -> City:
    """Return the city that a file describes. place: the file, for messages. Raises SettingsError."""
    try:
        return City(**values)
    except ValidationError as exc:
        raise SettingsError(f"{place}: {exc}") from exc
