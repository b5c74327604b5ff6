"""The configuration of a city, read from `velocast/cities/<name>.yaml`."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

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

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, ZoneInfoNotFoundError) as exc:
            raise ValueError(
                f"{name!r} is no time zone{_nearest(name, available_timezones())}; give an IANA name like Europe/Paris"
            ) from exc
        return name

    @field_validator("holidays")
    @classmethod
    def _known_holidays(cls, name: str) -> str:
        try:
            holidays = import_module("holidays")
        except ModuleNotFoundError:
            return name  # the functions that use no holidays do not install the package

        code, _, subdivision = name.partition("-")
        known = holidays.list_supported_countries(include_aliases=False)
        if code not in known:
            raise ValueError(
                f"{name!r} is no holiday calendar{_nearest(code, known)}; give an ISO 3166 code like FR or DE-BE"
            )
        if subdivision:
            try:
                holidays.country_holidays(code, subdiv=subdivision)
            except NotImplementedError as exc:
                named = [f"{code}-{part}" for part in known[code]]
                raise ValueError(
                    f"{name!r}: {code} has no subdivision {subdivision}{_nearest(name, named)}; "
                    f"choose from {', '.join(named) or 'none'}"
                ) from exc
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The city's time zone."""
        return ZoneInfo(self.time_zone)


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return a question that names the known name nearest to a wrong one, or nothing where none is near."""
    by_case = {each.casefold(): each for each in known}
    found = get_close_matches(name.casefold(), by_case, n=1)
    return f" (did you mean {by_case[found[0]]}?)" if found else ""


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
