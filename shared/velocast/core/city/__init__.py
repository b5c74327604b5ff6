"""A city: its description as a file, checked when it is read."""

from velocast.core.city.description import City, WeatherConfig
from velocast.core.city.events import PlannedEvent
from velocast.core.city.histories import (
    Continuation,
    Histories,
    ListedSite,
    histories_of,
    listed_continuations,
)
from velocast.core.city.loading import ReadObject, load_city
from velocast.core.city.messages import DISCORD, Messages, Severity

__all__ = [
    "DISCORD",
    "City",
    "Continuation",
    "Histories",
    "ListedSite",
    "Messages",
    "PlannedEvent",
    "ReadObject",
    "Severity",
    "WeatherConfig",
    "histories_of",
    "listed_continuations",
    "load_city",
]
