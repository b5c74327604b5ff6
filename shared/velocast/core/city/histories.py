"""Whose counts make up a counter's history: a counter that continues others, and sums of counters.

The counts stay stored under the ids that the city publishes. What is described here says under which counter an hour
is read: `Histories.terms` is the one definition, which SQL (`sql/counter_histories.sql`) and pandas
(`velocast.model.histories`) both apply.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from velocast.core.city.reading import Strict
from velocast.core.datetimes import start_of_local_day
from velocast.core.errors import SettingsError

BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
END = datetime(2200, 1, 1, tzinfo=UTC)


class ListedContinuation(Strict):
    """A counter that continues others from a day on: it was replaced, moved a little, renamed, or merged of several."""

    counter: str = Field(description="Id of the counter, or sum, that goes on counting.")
    continues: str | tuple[str, ...] = Field(
        description="Id of the counter whose history it continues, not of a sum; several ids: the sum of their counts."
    )
    since: date = Field(description="First day, of the city's clock, that the new counter counts.")
    why: str | None = Field(None, description="Why, in a few words.")

    @field_validator("continues")
    @classmethod
    def _names_some(cls, named: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not named:
            raise ValueError("names no counter; give the id of the counter that came before")
        return named


class VirtualSum(Strict):
    """A counter that nobody installed: the sum of others, in the hours in which all of them are counted."""

    id: str = Field(description="Its id, which no counter of the city has.")
    name: str
    counters: tuple[str, ...] = Field(min_length=2, description="Ids of the counters added up.")


class ListedSite(Strict):
    """Counters that are directions or lanes of one place, where the city's ids and names do not say so."""

    id: str
    name: str | None = None
    counters: tuple[str, ...] = Field(min_length=2, description="Ids of its counters.")


@dataclass(frozen=True)
class Continuation:
    """`counter_id` has the history of `continues`, added up, before `since` (aware), and its own from there on."""

    counter_id: str
    continues: tuple[str, ...]
    since: datetime
    why: str | None = None


@dataclass(frozen=True)
class Term:
    """Counts of `part_id` in [since, until) are read as counts of `counter_id`.

    parts: how many counters are added up in these hours; an hour in which one of them is missing has no count.
    """

    counter_id: str
    part_id: str
    since: datetime
    until: datetime
    parts: int


@dataclass(frozen=True)
class Histories:
    """terms: whose counts are read under another id. affected: ids that are read by `terms` only.

    continued: by a counter's id, what it continues, newest first. ended: by the id of a counter that is continued, the
    counter that continues it and since when. sums: by id, name and parts.
    """

    terms: tuple[Term, ...] = ()
    affected: frozenset[str] = frozenset()
    continued: Mapping[str, tuple[Continuation, ...]] = field(default_factory=dict)
    ended: Mapping[str, Continuation] = field(default_factory=dict)
    sums: Mapping[str, VirtualSum] = field(default_factory=dict)

    def newest(self, counter_id: str) -> str:
        """Return the id under which a counter's hours are read now: that of the last one that continues it."""
        while counter_id in self.ended:
            counter_id = self.ended[counter_id].counter_id
        return counter_id

    def __bool__(self) -> bool:
        return bool(self.terms)


def listed_continuations(
    listed: Iterable[ListedContinuation], zone: ZoneInfo
) -> list[Continuation]:
    """Return the continuations of a city's file; a day begins at midnight of `zone`."""
    return [
        Continuation(
            each.counter,
            (each.continues,) if isinstance(each.continues, str) else each.continues,
            start_of_local_day(each.since, zone),
            each.why,
        )
        for each in listed
    ]


def histories_of(
    continuations: Sequence[Continuation],
    sums: Sequence[VirtualSum] = (),
    *,
    with_sums: bool = True,
) -> Histories:
    """Return whose counts make up each history; a continuation of a continuation leads back to the first counter.

    with_sums: False where all counters are added up, or learned from: without sums, and the counters that a sum
    continues stay what they are. Raises SettingsError where an hour would be counted twice under one id or beside it: a
    counter that continues itself or a sum, that is continued twice, that has two continuations, or that a sum names
    twice.
    """
    by_sum = {each.id: each for each in sums}
    if len(by_sum) < len(sums):
        raise SettingsError("sums: two have the same id; give each its own")
    _check_no_sum_is_continued(continuations, by_sum)
    if not with_sums:
        continuations = [each for each in continuations if each.counter_id not in by_sum]
    by_counter = _once(continuations)
    ended = _ended(continuations)
    histories = _Resolver(by_counter, by_sum)
    shown = by_sum if with_sums else {}
    for counter_id in (*by_counter, *by_sum):
        histories.of(counter_id)  # what no history is made of must not lead back to itself either
    made = {counter_id for counter_id in (*by_counter, *shown) if counter_id not in ended}
    terms = [
        Term(counter_id, part, segment.since, segment.until, len(segment.parts))
        for counter_id in sorted(made)
        for segment in histories.of(counter_id)
        for part in segment.parts
    ]
    return Histories(
        terms=tuple(terms),
        affected=frozenset((*by_counter, *shown, *ended)),
        continued={counter_id: histories.chain(counter_id) for counter_id in sorted(made)},
        ended=ended,
        sums={key: each for key, each in shown.items() if key not in ended},
    )


def _check_no_sum_is_continued(
    continuations: Sequence[Continuation], by_sum: Mapping[str, VirtualSum]
) -> None:
    """Raise SettingsError where a sum is continued: its counters would go on counting beside what continues them."""
    for each in continuations:
        for part in each.continues:
            if part in by_sum:
                counters = ", ".join(by_sum[part].counters)
                raise SettingsError(
                    f"continuations: {each.counter_id} continues {part}, which is a sum; list its counters instead, in "
                    f"the city's file: continues: [{counters}]"
                )


def _once(continuations: Sequence[Continuation]) -> dict[str, Continuation]:
    by_counter: dict[str, Continuation] = {}
    for each in continuations:
        if each.counter_id in by_counter:
            raise SettingsError(
                f"continuations: {each.counter_id} is given twice; list all that it continues in one of them"
            )
        by_counter[each.counter_id] = each
    return by_counter


def _ended(continuations: Sequence[Continuation]) -> dict[str, Continuation]:
    ended: dict[str, Continuation] = {}
    for each in continuations:
        for part in each.continues:
            if part in ended:
                raise SettingsError(
                    f"continuations: {part} is continued by {ended[part].counter_id} and by {each.counter_id}; where a "
                    "counter was split, define a sum of the new counters, and let the sum continue it"
                )
            ended[part] = each
    return ended


@dataclass(frozen=True)
class _Segment:
    since: datetime
    until: datetime
    parts: tuple[str, ...]


class _Resolver:
    """Resolves ids to the published counters behind them."""

    def __init__(
        self, by_counter: Mapping[str, Continuation], by_sum: Mapping[str, VirtualSum]
    ) -> None:
        self._by_counter, self._by_sum = by_counter, by_sum

    def of(self, counter_id: str, path: tuple[str, ...] = ()) -> list[_Segment]:
        """Return the segments of an id's history, by time, without overlap."""
        if counter_id in path:
            raise SettingsError(
                f"continuations: {' -> '.join((*path, counter_id))} leads back to itself; take one of them out"
            )
        path = (*path, counter_id)
        made_of = self._by_sum.get(counter_id)
        own = (
            [_Segment(BEGINNING, END, (counter_id,))]
            if made_of is None
            else self._added(made_of.counters, path)
        )
        continuation = self._by_counter.get(counter_id)
        if continuation is None:
            return own
        before = self._added(continuation.continues, path)
        since = continuation.since
        return [*_within(before, BEGINNING, since), *_within(own, since, END)]

    def _added(self, counter_ids: Sequence[str], path: tuple[str, ...]) -> list[_Segment]:
        """Return the segments of a sum: in each, the published counters of all its parts."""
        histories = [self.of(counter_id, path) for counter_id in counter_ids]
        bounds = sorted(
            {at for segments in histories for s in segments for at in (s.since, s.until)}
        )
        added = []
        for since, until in pairwise(bounds):
            inside = [_within(segments, since, until) for segments in histories]
            parts = [part for segments in inside for segment in segments for part in segment.parts]
            if len(set(parts)) < len(parts):
                raise SettingsError(
                    f"{path[-1]}: the sum of {', '.join(counter_ids)} counts {_repeated(parts)} twice; name each "
                    "counter once, and of counters that continue each other only the last one"
                )
            added.append(_Segment(since, until, tuple(sorted(parts))))
        return added

    def chain(self, counter_id: str) -> tuple[Continuation, ...]:
        """Return what an id continues, the newest continuation first."""
        found: list[Continuation] = []
        waiting = [counter_id]
        while waiting:
            each = self._by_counter.get(waiting.pop(0))
            if each is not None:
                found.append(each)
                waiting += each.continues
        return tuple(sorted(found, key=lambda each: each.since, reverse=True))


def _within(segments: Iterable[_Segment], since: datetime, until: datetime) -> list[_Segment]:
    cut = (_Segment(max(s.since, since), min(s.until, until), s.parts) for s in segments)
    return [each for each in cut if each.since < each.until]


def _repeated(parts: Sequence[str]) -> str:
    return next(part for part in parts if parts.count(part) > 1)
