"""What a transport is: it brings what a city publishes as tables of raw rows, and knows nothing of their meaning.

A transport is one module of `transports/`; its settings are in `velocast.core.city.sources`. The reading of the rows
(`reading/`) is the same for all of them, and for files that a person gives to the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, TypeVar, runtime_checkable

from velocast.adapters.city_sources.records import Reject
from velocast.core.city.reading import FileFormat

if TYPE_CHECKING:
    import pandas as pd

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class TimeRange:
    """Hours from `since` (None: from the first one) up to but not including `until`; both aware."""

    since: datetime | None
    until: datetime

    def __str__(self) -> str:
        since = "the first" if self.since is None else literal(self.since)
        return f"{since}..{literal(self.until)}"


@dataclass(frozen=True)
class RawTable:
    """A piece of what a city published, not yet understood.

    rows: columns as the city calls them; values are texts, or what JSON, Parquet and XLSX hold (numbers, booleans,
    datetimes, objects), None where nothing is. place: the address or path, for messages and for counters that are named
    only there. texts: the rows as they were sent, one for each, for rejects; None: the row as JSON is as good.
    unreadable: what was sent among the rows and is no row at all. file: how its numbers are written, as found in the
    file that it is from; None: as the city's file says.
    """

    rows: pd.DataFrame
    place: str
    texts: list[bytes] | None = None
    unreadable: tuple[Reject, ...] = ()
    file: FileFormat | None = None


class Transport(Protocol):
    """One source of records, for one thread; leave it by `with`, which closes its connections."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def ask(self, question: Callable[[], AnswerT]) -> AnswerT:
        """Return what `question` returns; it is asked again, with growing pauses, after a retryable error."""
        ...

    def tables(
        self, hours: TimeRange | None, columns: tuple[str, ...] | None
    ) -> Iterator[RawTable]:
        """Give the records of a time range in pieces; at its end, either none is missing or an error is raised.

        hours: None for a list without a time, such as that of counters. More hours than asked for may come. columns:
        those that are needed, None for all; more may come. Raises CityUnreachable (no answer, 429, 5xx), CityTruncated
        (fewer records than the source itself counts), CityRefused (any other answer).
        """
        ...


class DayTotals(NamedTuple):
    """What a source counts of a day itself. total: the sum of its counts, where it can tell."""

    rows: int
    total: float | None


@runtime_checkable
class DayTotalling(Protocol):
    """A transport whose source can be asked for the totals of days, in a few requests for any number of days."""

    def day_totals(self, hours: TimeRange, column: str | None) -> dict[date, DayTotals] | None:
        """Return the totals of each day with records; None for a source that cannot be asked for them.

        column: what to add up; None: only rows are counted. Days follow the times as the source has them. Errors
        as for `Transport.tables`.
        """
        ...


def literal(moment: datetime) -> str:
    """Return a moment in UTC as portals write it, without an offset."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
