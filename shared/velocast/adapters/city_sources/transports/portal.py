"""What transports that ask a portal over HTTP have in common: errors, limits, JSON answers, time ranges."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from velocast.adapters.city_sources.transport import DayTotals, RawTable, TimeRange
from velocast.adapters.http_answer import HttpAnswer
from velocast.adapters.http_source import HttpSource, Limits, SourceErrors
from velocast.core.city import City
from velocast.core.errors import CityRefused, CityTruncated, CityUnreachable

if TYPE_CHECKING:
    import pandas as pd

# The function `fetch` has 540 s: 330 s for the city, 120 s for the weather, and the rest for storing. A first run reads
# 13 months, about 130 MB for Paris, in one answer.
LIMITS = Limits(answer_seconds=270.0, total_seconds=330.0)
WIDER = timedelta(hours=2)  # more than any clock is ever set forward or back


class Portal(HttpSource):
    """One portal that answers in JSON."""

    errors = SourceErrors(CityUnreachable, CityTruncated, CityRefused)
    needs = "records"
    setting = "the source"
    purpose = "one fetch a day"

    def __init__(
        self,
        city: City,
        *,
        limits: Limits = LIMITS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(city.name, limits, sleep=sleep, clock=clock)
        self.city = city
        # Crawlers name themselves like this. Montréal's portal answers 403 to every name that does not begin so.
        agent = self._client.headers["User-Agent"]
        self._client.headers["User-Agent"] = f"Mozilla/5.0 (compatible; {agent})"

    def get(self, url: str, params: Mapping[str, str]) -> HttpAnswer:
        """Return one whole answer. Raises the errors of `HttpSource.opened`."""
        with self.opened([url], params) as response:
            return self.read(response)

    def get_json(self, url: str, params: Mapping[str, str], *, needs: str, kind: type) -> Any:
        """Return an answer's JSON, which is of `kind`. needs: what a good answer holds, for the message.

        Raises CityRefused when anything else came, an HTML page for instance.
        """
        answer = self.get(url, params)
        try:
            found = answer.json()
        except (ValueError, RecursionError) as exc:
            raise CityRefused(answer.unexpected(needs)) from exc
        if not isinstance(found, kind):
            raise CityRefused(answer.unexpected(needs))
        return found

    def check_complete(self, place: str, *, arrived: int, expected: int) -> None:
        """Raise CityTruncated when fewer records arrived than the portal counts itself."""
        if arrived < expected:
            raise CityTruncated(
                f"{self.name} {place}: {arrived} records arrived, the portal counts {expected}; fetch again"
            )


def column_table(records: list[dict[str, Any]], place: str) -> RawTable:
    """Return records as a table with the columns that any of them has, None where one lacks it."""
    import pandas as pd

    names = dict.fromkeys(name for record in records for name in record)
    columns = {
        name: pd.Series([record.get(name) for record in records], dtype=object) for name in names
    }
    rows: pd.DataFrame = pd.DataFrame(columns, dtype=object)
    return RawTable(rows, place)


def day_totals(groups: Iterable[Mapping[str, Any]]) -> dict[date, DayTotals]:
    """Add up groups with `day` (a date, or a time at its start), `found` and perhaps `total`, by their day.

    Raises ValueError, KeyError and TypeError for anything else. Rows without a time belong to no day.
    """
    added: dict[date, DayTotals] = {}
    for group in groups:
        if group["day"] is None:
            continue
        day = date.fromisoformat(group["day"][:10])
        rows, total = added.get(day, DayTotals(0, None))
        more = None if group.get("total") is None else float(group["total"])
        known = [each for each in (total, more) if each is not None]
        added[day] = DayTotals(rows + int(group["found"]), sum(known) if known else None)
    return added


def as_published(hours: TimeRange, city: City) -> tuple[datetime | None, datetime]:
    """Return a range in the times that the city publishes, without an offset, wide enough to lose nothing.

    Times of the city's clock are found through its zone. The range begins at the start of a day, since a record's time
    may be that of a whole day, and is two hours wider at both ends: hours repeat and are skipped when clocks change,
    and a record may be marked by its end.
    """
    zone = city.zone if city.counts.clock.times == "local" else UTC
    until = hours.until.astimezone(zone).replace(tzinfo=None) + WIDER
    if hours.since is None:
        return None, until
    since = hours.since.astimezone(zone).replace(tzinfo=None) - WIDER
    return since.replace(hour=0, minute=0, second=0, microsecond=0), until


def without_offset(moment: datetime) -> str:
    """Return a time without an offset as portals write it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def selected_fields(
    wanted: tuple[str, ...] | None, always: Iterable[str | None]
) -> list[str] | None:
    """Return the columns to ask for, each once, with those that the transport itself needs; None for all."""
    if wanted is None:
        return None
    return list(dict.fromkeys([*wanted, *(name for name in always if name is not None)]))
