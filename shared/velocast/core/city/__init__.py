"""A city: its description as a file, checked when it is read."""

from velocast.core.city.description import City, WeatherConfig
from velocast.core.city.loading import ReadObject, load_city

__all__ = ["City", "ReadObject", "WeatherConfig", "load_city"]
