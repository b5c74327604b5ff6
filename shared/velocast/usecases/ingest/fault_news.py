"""What people are told of faults: one message when a fault is found, one when it is over.

The audit row of each ingestion names the recent faults; the next one compares them with its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.notices import CounterFault, CountersWorkAgain
from velocast.core.settings import FetchSettings
from velocast.usecases.audit import read_known_faults
from velocast.usecases.context import Run
from velocast.usecases.ingest.notices import publish_faulty_counters, read_links

if TYPE_CHECKING:
    from velocast.model.faults.episodes import Episode
    from velocast.model.known_hours import KnownHours

RECENT = timedelta(days=14)  # what ended earlier, found in a backfill, is no news
SAME = timedelta(days=3)  # a fault that is interrupted for less than this is still one
MOST = 500  # faults that an audit row names at most
# a spike is over before it can be told; the largest are suspect counts, which have their own message
LASTING = ("dead", "stuck", "halved", "doubled", "level_shift", "swapped", "clock_shift", "sparse")


@dataclass(frozen=True)
class FaultNews:
    """recent: as in the audit row. begun, over: what people are told of, one line each, counters by name.

    begun_faults, over_faults: the same lines in parts.
    """

    recent: list[dict[str, Any]]
    begun: list[str]
    over: list[str]
    begun_faults: tuple[CounterFault, ...] = ()
    over_faults: tuple[CounterFault, ...] = ()


def compare_faults(
    run: Run[FetchSettings], episodes: list[Episode], known: Sequence[KnownHours] = ()
) -> FaultNews:
    """Return which recent episodes the last ingestion did not know, and which are over. Raises WarehouseError.

    known: hours that events and closures explain; because of them an episode may no longer be one.
    """
    before = read_known_faults(run.warehouse, as_of=run.as_of)
    recent = [each for each in episodes if each.until > run.as_of - RECENT][:MOST]
    begun = [
        each
        for each in recent
        if each.kind in LASTING and not any(_same(each, old) for old in before)
    ]
    over = []
    for old in before:
        now = [each for each in recent if _same(each, old)]
        if old["open"] and old["kind"] in LASTING and not any(each.open for each in now):
            over.append(_explained(old, known) or _told(old, now[-1].until if now else None))
    rows = [_as_row(each) for each in recent]
    if not begun and not over:
        return FaultNews(rows, [], [])
    named = read_links(run)
    return FaultNews(
        rows,
        [f"{named(each.counter_id)}: {_said(each)}" for each in begun],
        [f"{named(fault.counter)}: {ended}" for ended, fault in over],
        tuple(
            CounterFault(
                counter=named(each.counter_id), kind=each.kind, since=f"{each.since:%Y-%m-%d}"
            )
            for each in begun
        ),
        tuple(fault.model_copy(update={"counter": named(fault.counter)}) for _, fault in over),
    )


def publish_fault_news(run: Run[FetchSettings], news: FaultNews) -> None:
    """Publish the notices of faults that began and that are over; without any, publish nothing."""
    publish_faulty_counters(
        run,
        "faults",
        news.begun,
        news.begun_faults,
        "unlike their usual days, their neighbours and the city; excluded until they count as usual. `velocast counts "
        "accept COUNTER FROM UNTIL` keeps what is right",
    )
    if news.over:
        names = hashlib.sha256("\n".join(news.over).encode()).hexdigest()[:12]
        run.publish_notice(
            CountersWorkAgain(
                event_id=f"fetch:over:{run.as_of:%Y-%m-%d}:{names}",
                occurred_at=rfc3339(run.as_of),
                counters=tuple(news.over),
                faults=news.over_faults,
            )
        )


def _same(episode: Episode, old: dict[str, Any]) -> bool:
    if (episode.counter_id, episode.kind) != (old["counter_id"], old["kind"]):
        return False
    since, until = (parse_instant(old[name]) for name in ("since", "until"))
    return episode.since <= until + SAME and since <= episode.until + SAME


def _as_row(episode: Episode) -> dict[str, Any]:
    times = {name: rfc3339(getattr(episode, name)) for name in ("since", "until", "found_at")}
    return {**vars(episode), **times}


def _said(episode: Episode) -> str:
    kind = episode.kind.replace("_", " ")
    return f"{kind} since {episode.since:%Y-%m-%d} ({episode.evidence})"


def _explained(old: dict[str, Any], known: Sequence[KnownHours]) -> tuple[str, CounterFault] | None:
    """Return why an episode was no fault: an event or a closure of its counter at its end; None without one."""
    end = parse_instant(old["until"])
    for hours in known:
        if hours.counter_id == old["counter_id"] and hours.since < end <= (hours.until or end):
            fault = _ended(old).model_copy(update={"over": "explained", "what": hours.what})
            return f"{_words(old)} since {fault.since} is explained: {hours.what}", fault
    return None


def _told(old: dict[str, Any], until: datetime | None) -> tuple[str, CounterFault]:
    fault = _ended(old)
    if until is None:
        return f"not {_words(old)} after all since {fault.since}", fault
    ended = fault.model_copy(update={"over": "ended", "until": f"{until:%Y-%m-%d}"})
    return f"{_words(old)} from {fault.since} until {ended.until}", ended


def _ended(old: dict[str, Any]) -> CounterFault:
    return CounterFault(
        counter=old["counter_id"], kind=old["kind"], since=str(old["since"])[:10], over="none"
    )


def _words(old: dict[str, Any]) -> str:
    return str(old["kind"]).replace("_", " ")
