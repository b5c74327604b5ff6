"""A city: its description as a file, checked when it is read."""

from velocast.core.city.description import City, WeatherConfig
from velocast.core.city.events import PlannedEvent
from velocast.core.city.loading import ReadObject, load_city
from velocast.core.city.messages import DISCORD, Messages, Severity

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
