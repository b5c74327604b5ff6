"""Find the faults of the counters in a city's hours."""

from __future__ import annotations

from datetime import datetime

from velocast.model.faults.city_faults import judge_city
from velocast.model.faults.episodes import Episode
from velocast_cli.counts.hours_files import CityHours


def find_episodes(found: CityHours, since: datetime | None = None) -> list[Episode]:
    """Return the episodes of all counters, or those that end after `since`. Raises SettingsError for its holidays."""
    city = found.city
    judged = judge_city(found.hours, found.counters, city.zone, country=city.holidays)
    return [each for each in judged.episodes if since is None or each.until > since]
