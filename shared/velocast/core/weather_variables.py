"""The weather variables of an hour and their names in Open-Meteo."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """One column of the weather table.

    api: its name in Open-Meteo; unit: the unit that responses must state; least, most: physically possible values.
    after_the_hour: the API stamps the value with the end of the hour (rain is the sum of the preceding hour).
    """

    api: str
    unit: str
    least: float
    most: float
    after_the_hour: bool = False


VARIABLES = {
    "temperature_c": Variable("temperature_2m", "°C", -90, 60),
    "precipitation_mm": Variable("precipitation", "mm", 0, 500, after_the_hour=True),
    "wind_kmh": Variable("wind_speed_10m", "km/h", 0, 450),
    "humidity_pct": Variable("relative_humidity_2m", "%", 0, 100),
    "cloud_pct": Variable("cloud_cover", "%", 0, 100),
}
VALUES = tuple(VARIABLES)
SOURCES = ("forecast", "archived_forecast", "observed", "perturbed")
