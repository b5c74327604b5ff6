"""Eco-Counter's API 1.0 (https://developers.eco-counter.com/), which needs a subscription and its token.

- `site` lists the sites of the token: `userType` 1 is pedestrians, 2 bicycles; `channels` are a site's directions,
  each a site of its own; `interval` is 15 or 60 minutes.
- `data/site/{id}` gives records from `begin` to before `end`, which are times of the site's clock; a record's `date`
  has its offset. With `complete=true` a step without a count is there with null.
- Fair use is up to 100 requests a minute and 5,000 a day: a day of one site is one request, and so are 100 days.

The API tells no number of records. An answer is taken as complete when its JSON is, for every site that is listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from velocast.adapters.city_sources.transport import RawTable, TimeRange
from velocast.adapters.city_sources.transports.portal import (
    WIDER,
    Portal,
    column_table,
    without_offset,
)
from velocast.adapters.http_answer import HttpAnswer
from velocast.core.city import City
from velocast.core.city.sources import EcoCounter
from velocast.core.errors import CityRefused

CHUNK = timedelta(days=100)
STEPS = {15: "15m", 60: "hour"}


class EcoCounterTransport(Portal):
    """The sites of one subscription. token: what Eco-Counter's API manager gave; it is in no message."""

    setting = "base_url and sites"

    def __init__(
        self, city: City, source: EcoCounter, token: str | None = None, **timing: Any
    ) -> None:
        super().__init__(city, **timing)
        if not token:
            raise CityRefused(
                f"{city.name}: Eco-Counter's API needs a token; put it into the secret velocast-city-token"
            )
        if city.counts.step_minutes not in STEPS:
            raise CityRefused(
                f"{city.name}: Eco-Counter counts every 15 or 60 minutes, not every {city.counts.step_minutes}; "
                "correct step_minutes"
            )
        self._source = source
        self._url = source.base_url.rstrip("/")
        self._client.headers["Authorization"] = f"Bearer {token}"

    def tables(
        self,
        hours: TimeRange | None,
        columns: tuple[str, ...] | None,  # noqa: ARG002 - all come, whatever is needed
    ) -> Iterator[RawTable]:
        """Give the counts of a range site by site, or the sites without one. As `Transport.tables`."""
        sites = self._sites()
        if hours is None:
            yield column_table([_described(each) for each in sites], f"{self._url}/site")
            return
        for site in sites:
            for rows in self._counts(site, hours):
                yield column_table(rows, f"{self._url}/data/site/{site['id']}")

    def describe_too_many(self, answer: HttpAnswer) -> str:
        """Return the message for a 429."""
        return answer.unexpected("at most 100 requests a minute and 5,000 a day")

    def _sites(self) -> list[dict[str, Any]]:
        needs = "a list of sites with their identifiers"
        found = self.get_json(f"{self._url}/site", {}, needs=needs, kind=list)
        if not all(isinstance(each, dict) and "id" in each for each in found):
            raise CityRefused(f"{self._url}/site: {found!r:.200}, needs {needs}")
        listed = [
            each for each in found if not self._source.sites or each["id"] in self._source.sites
        ]
        lacking = set(self._source.sites) - {each["id"] for each in listed}
        if lacking or not listed:
            raise CityRefused(
                f"{self._url}/site: the token cannot see {sorted(lacking) or 'any site'}; correct sites"
            )
        if not self._source.channels:
            return listed
        return [
            {**site, **channel, "site": site}
            for site in listed
            for channel in site.get("channels") or [{}]
        ]

    def _counts(self, site: dict[str, Any], hours: TimeRange) -> Iterator[list[dict[str, Any]]]:
        url, described = f"{self._url}/data/site/{site['id']}", _described(site)
        step = STEPS[self.city.counts.step_minutes]
        for begin, end in self._chunks(site, hours):
            params = {
                "begin": without_offset(begin),
                "end": without_offset(end),
                "step": step,
                "complete": "true",
            }
            found = self.get_json(url, params, needs="a list of counts", kind=list)
            if not all(isinstance(each, dict) and "date" in each for each in found):
                raise CityRefused(f"{url}: {found!r:.200}, needs counts with their dates")
            if found:
                yield [{**described, **each} for each in found]

    def _chunks(
        self, site: dict[str, Any], hours: TimeRange
    ) -> Iterator[tuple[datetime, datetime]]:
        """Cut a range, wider by two hours on the site's clock, into pieces of at most 100 days.

        They begin at midnight, since a time in the hour that is repeated in autumn could mean either.
        """
        zone = self.city.zone
        end = hours.until.astimezone(zone).replace(tzinfo=None) + WIDER
        since = (
            hours.since.astimezone(zone).replace(tzinfo=None) if hours.since else _first_data(site)
        )
        begin = (since - WIDER).replace(hour=0, minute=0, second=0, microsecond=0)
        while begin < end:
            yield begin, min(begin + CHUNK, end)
            begin += CHUNK


def _first_data(site: dict[str, Any]) -> datetime:
    """Return when a site's counts begin."""
    told = str(site.get("firstData") or site.get("installationDate") or "")
    try:
        return datetime.fromisoformat(told).replace(tzinfo=None)
    except ValueError as exc:
        raise CityRefused(
            f"Eco-Counter: the site {site['id']} has {told!r} as firstData, needs a date; fetch with since"
        ) from exc


def _described(site: dict[str, Any]) -> dict[str, Any]:
    """Return what the API says about a site, or about a channel and its site, as columns."""
    whole = site.get("site", site)
    return {
        "id": site["id"],
        "name": site.get("name"),
        "site_id": whole.get("id"),
        "site_name": whole.get("name"),
        "user_type": site.get("userType"),
        "installed_on": whole.get("installationDate"),
        "latitude": whole.get("latitude"),
        "longitude": whole.get("longitude"),
    }
