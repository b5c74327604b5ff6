"""Reading of counts: from tables as a city publishes them to hours as they are stored, the same for every use."""

from velocast.adapters.city_sources.reading.counters import listed_counters, read_counters
from velocast.adapters.city_sources.reading.harvest import Harvest, read_counts, read_files

__all__ = ["Harvest", "listed_counters", "read_counters", "read_counts", "read_files"]
