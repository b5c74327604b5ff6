"""A city: its description as a file, checked when it is read."""

from velocast.core.city.description import DISCORD, City, Messages, Severity, WeatherConfig
from velocast.core.city.events import PlannedEvent
from velocast.core.city.loading import ReadObject, load_city

__all__ = [
    "DISCORD",
    "City",
    "Messages",
    "PlannedEvent",
    "ReadObject",
    "Severity",
    "WeatherConfig",
    "load_city",
]
