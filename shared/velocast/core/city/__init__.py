"""A city: its description as a file, checked when it is read."""

from velocast.core.city.description import City
from velocast.core.city.loading import load_city

__all__ = ["City", "load_city"]
