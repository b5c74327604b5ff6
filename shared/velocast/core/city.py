"""The configuration of a city, read from `velocast/cities/<name>.yaml`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from velocast.core.errors import SettingsError


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FieldNames(_Strict):
    """The names of the fields in the city's records."""

    counter_id: str
    counter_name: str
    site_id: str
    site_name: str
    counted_at: str
    bike_count: str
    installed_on: str
    position: str


class BoundingBox(_Strict):
    """The area in which a counter of the city can be, in degrees (WGS 84)."""

    south: float
    west: float
    north: float
    east: float

    def contains(self, latitude: float, longitude: float) -> bool:
        """Return whether a position is inside the box, edges included."""
        return self.south <= latitude <= self.north and self.west <= longitude <= self.east


class WeatherConfig(_Strict):
    """The source of the city's weather, read for one point (degrees, WGS 84)."""

    adapter: Literal["open_meteo"]
    latitude: float
    longitude: float
    forecast_base_url: str
    previous_runs_base_url: str
    licence: str
    licence_url: str
    attribution: str
    attribution_url: str


class City(_Strict):
    """One city: where its counts are published, how to read them, and its time zone and holidays."""

    name: str
    adapter: Literal["opendatasoft_long"]
    base_url: str
    fallback_base_urls: tuple[str, ...] = ()
    counts_dataset: str
    counters_dataset: str
    fields: FieldNames
    position_encoding: Literal["lon_lat_object"]
    time_zone: str
    holidays: str
    bounding_box: BoundingBox
    largest_credible_count: int
    kept_months: int | None = None  # how far back the city's data set reaches; None: not known
    licence: str
    licence_url: str
    attribution: str
    attribution_url: str
    weather: WeatherConfig | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The city's time zone."""
        return ZoneInfo(self.time_zone)


@cache  # one run calls this about a dozen times
def load_city(
    name: str, *, base_url: str | None = None, weather_base_url: str | None = None
) -> City:
    """Read a city's configuration.

    base_url: replaces the address of the counts and its fallbacks; weather_base_url: replaces the addresses of the
    weather. With a base_url and no weather_base_url the city has no weather, because the hours of a replay are not the
    hours of the real weather API. Raises SettingsError when the city does not exist or its file has a wrong or unknown
    key.
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
        values |= {"base_url": base_url, "fallback_base_urls": ()}
        values["weather"] = values.get("weather") if weather_base_url else None
    if weather_base_url and values.get("weather"):
        values["weather"] |= {
            "forecast_base_url": f"{weather_base_url}/forecast",
            "previous_runs_base_url": f"{weather_base_url}/previous-runs",
        }
    try:
        return City(**values)
    except ValidationError as exc:
        raise SettingsError(f"cities/{name}.yaml: {exc}") from exc
