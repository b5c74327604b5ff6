"""Find the faults of the counters in a city's hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from velocast.model.faults.city_faults import judge_city
from velocast.model.faults.episodes import Episode
from velocast.model.known_hours import KnownHours, ended_hours, known_hours
from velocast_cli.counts.hours_files import CityHours


@dataclass(frozen=True)
class JudgedHours:
    """episodes: of all counters. known: the hours that the city's events and closures explain."""

    episodes: list[Episode]
    known: list[KnownHours]


def find_episodes(found: CityHours, since: datetime | None = None) -> JudgedHours:
    """Return what is to be said of the hours, or of those that end after `since`. Raises SettingsError for holidays."""
    city = found.city
    known = [*known_hours(city.events, found.counters, city.zone), *ended_hours(found.histories)]
    judged = judge_city(
        found.hours,
        found.counters,
        city.zone,
        country=city.holidays,
        known=known,
        sites=city.sites,
    )
    return JudgedHours(
        [each for each in judged.episodes if since is None or each.until > since],
        [each for each in judged.known if not (since and each.until and each.until <= since)],
    )
