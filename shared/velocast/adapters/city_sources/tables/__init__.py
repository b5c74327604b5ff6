"""Files as tables: what a city publishes or a person has, unpacked, decoded and cut into rows, not yet understood."""

from velocast.adapters.city_sources.tables.looking import look_at_file
from velocast.adapters.city_sources.tables.reading import read_tables

__all__ = ["look_at_file", "read_tables"]
