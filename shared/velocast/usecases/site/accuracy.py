"""How good the forecasts of the last days were, and which counters need a look: pure functions over a snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from velocast.core.datetimes import HOUR, rfc3339, start_of_local_day
from velocast.usecases.snapshot_format import CounterSnapshot, Snapshot

SILENT_AFTER = timedelta(hours=72)
LOOK_HOURS = 72
LEAST_LOOK_PAIRS = 24
LEAST_PAIRS = 24


class Pair(NamedTuple):
    """One hour that was forecast and counted: number of the hour in `recent`, bikes per hour."""

    hour: int
    counted: float
    predicted: float
    lower: float
    upper: float

    @property
    def inside(self) -> bool:
        """Whether the count lies in the 90 % interval, as the page shows it: rounded to whole bikes."""
        return round(self.lower) <= round(self.counted) <= round(self.upper)


def pairs(counter: CounterSnapshot) -> Iterator[Pair]:
    """Yield the recent hours of a counter that have both a usable count and a forecast made on the hour's day."""
    rows = zip(
        counter.recent,
        counter.past_predicted,
        counter.past_lower,
        counter.past_upper,
        strict=False,
    )
    for hour, (counted, predicted, lower, upper) in enumerate(rows):
        if None not in (counted, predicted, lower, upper):
            yield Pair(hour, counted, predicted, lower, upper)  # type: ignore[arg-type]  # none is None


def measure_accuracy(found: Iterable[Pair]) -> dict[str, float] | None:
    """Return number of pairs, mean absolute error and bias (bikes per hour), WAPE and coverage (shares).

    `wape` is missing when no bike was counted. None for fewer than LEAST_PAIRS pairs.
    """
    known = list(found)
    if len(known) < LEAST_PAIRS:
        return None
    errors = [p.predicted - p.counted for p in known]
    off, bikes = sum(map(abs, errors)), sum(p.counted for p in known)
    measured = {
        "pairs": len(known),
        "mae": round(off / len(known), 2),
        "bias": round(sum(errors) / len(known), 2),
        "coverage": round(sum(p.inside for p in known) / len(known), 4),
    }
    return measured | ({"wape": round(off / bikes, 4)} if bikes > 0 else {})


def find_conspicuous_counters(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return the counters that a person should look at, the most urgent first, each with its `health` where known.

    kind `fault`: the detector found one, `fault` its kind, `since`. kind `silent`: no usable count for three days in
    which other counters had some and no closure, `since` its last one. kind `outside`: of the last three days' hours
    more than half lie outside the 90 % interval, `share`. kind `continues`: it may continue the counter `continues`,
    `old_name`, from `since` on, and a person has to decide; a counter can have this and another finding.
    """
    newest = max((c.last_counted_at for c in snapshot.counters if c.last_counted_at), default=None)
    if newest is None:
        return []
    health_of = {c.counter_id: c.health and c.health.model_dump() for c in snapshot.published}
    found: list[dict[str, Any]] = []
    for counter in snapshot.published:  # what is wrong with a sum is wrong with one of its parts
        wrong = _wrong_with(counter, newest, _closed_until(snapshot, counter, newest))
        if wrong is not None:
            found.append(
                {"counter_id": counter.counter_id, **wrong, "health": health_of[counter.counter_id]}
            )
    zone = ZoneInfo(snapshot.city.time_zone)
    found += [
        {
            "counter_id": each.counter_id,
            "kind": "continues",
            "continues": each.continues,
            "old_name": each.old_name,
            "since": rfc3339(start_of_local_day(each.since, zone)),
            "health": health_of[each.counter_id],
        }
        for each in snapshot.proposed
        if each.counter_id in health_of
    ]
    # a counter that has just gone silent or become faulty is news
    found.sort(key=lambda f: f.get("since") or "", reverse=True)
    found.sort(key=lambda f: -f.get("share", 0.0))
    found.sort(key=lambda f: _URGENCY.index(f["kind"]))
    return found


_URGENCY = ("outside", "fault", "silent", "continues")


def _closed_until(
    snapshot: Snapshot, counter: CounterSnapshot, newest: datetime
) -> datetime | None:
    """Return until when closures explain that a counter counts nothing, at most `newest`; None without a closure."""
    ends = (
        min(event.until or newest, newest)
        for event in snapshot.events
        if event.kind == "closure"
        and event.since <= newest
        and (event.counters is None or counter.counter_id in event.counters)
    )
    return max(ends, default=None)


def _wrong_with(
    counter: CounterSnapshot, newest: datetime, closed_until: datetime | None
) -> dict[str, Any] | None:
    last = counter.last_counted_at
    if fault := counter.fault:
        return {"kind": "fault", "fault": fault.kind, "since": rfc3339(fault.since)}
    expected_from = max(filter(None, (last, closed_until)), default=None)
    if expected_from is None or newest - expected_from > SILENT_AFTER:
        return {"kind": "silent", "since": None if last is None else rfc3339(last)}
    if counter.recent_from is None:
        return None
    first = (newest - counter.recent_from) // HOUR - LOOK_HOURS
    late = [pair for pair in pairs(counter) if pair.hour > first]
    share = sum(not pair.inside for pair in late) / len(late) if late else 0.0
    if len(late) >= LEAST_LOOK_PAIRS and share > 0.5:
        return {"kind": "outside", "share": round(share, 2)}
    return None
