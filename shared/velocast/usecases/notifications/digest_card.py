"""The card of the weekly digest, in words."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from velocast.adapters.channels.card import Card, CardField, link
from velocast.core.notices import (
    DigestContinuation,
    DigestCounter,
    DigestEvent,
    DigestGrowth,
    DigestModel,
    WeeklyDigest,
)
from velocast.usecases.notifications.words import Words

BLUE = 0x3B7DD8
LONGEST_PART = 1_000  # characters: Discord shows 1,024 of a field
LONGEST_NAME = 80
AS_USUAL = 0.05  # share by which two errors may differ and are called alike


def digest_card(n: WeeklyDigest, w: Words) -> Card:
    """Return the card: accuracy, counters that need a look, models, what is coming, data."""
    first, last = (date.fromisoformat(day) for day in (n.since, n.until))
    number = w.number(len(n.counters) + n.more_counters)
    fields = [
        CardField(w("digest.accuracy"), _accuracy(n, w), inline=False),
        *in_parts(w("digest.look", n=number), _counters(n, w)),
        *in_parts(w("digest.continuations"), [_continuation(each, w) for each in n.continuations]),
        *in_parts(
            w("digest.models"), [_model(each, w) for each in n.models] or [w("digest.models.none")]
        ),
        *in_parts(w("digest.ahead"), _ahead(n, w) or [w("digest.ahead.none")]),
        CardField(w("digest.data"), _data(n, w), inline=False),
    ]
    if n.growth is not None:
        fields.insert(-1, CardField(w("growth.title"), _growth(n.growth, w), inline=False))
    return Card(
        title=w("digest", city=n.city, first=w.day(first), last=w.day(last, year=True)),
        color=BLUE,
        fields=tuple(fields),
        url=n.site_url,
        timestamp=n.occurred_at,
        footer=f"Velocast · {n.event}",
    )


def in_parts(name: str, lines: list[str]) -> list[CardField]:
    """Return lines as one field, or as several where one would be longer than a channel shows."""
    fields: list[CardField] = []
    for line in lines:
        if fields and len(fields[-1].value) + len(line) < LONGEST_PART:
            fields[-1] = CardField(fields[-1].name, f"{fields[-1].value}\n{line}", inline=False)
        else:
            fields.append(CardField("…" if fields else name, line, inline=False))
    return fields


def _accuracy(n: WeeklyDigest, w: Words) -> str:
    if n.accuracy is None:
        return w("digest.incomparable")
    a = n.accuracy
    off = w("digest.off", wape=w.percent(a.wape, 1), mae=w.number(a.mae, 1))
    if a.usual_wape is None:
        return w("digest.usual.unknown", off=off)
    change = a.wape / a.usual_wape - 1
    than = "worse" if change > AS_USUAL else "better" if change < -AS_USUAL else "same"
    return w(f"digest.{than}", off=off, usual=w.percent(a.usual_wape, 1))


def _counters(n: WeeklyDigest, w: Words) -> list[str]:
    if not n.counters:
        return [w("digest.healthy")]
    lines = [
        w("label", name=link(each.name[:LONGEST_NAME], each.url), value=_finding(each, w))
        for each in n.counters
    ]
    return lines + ([w("more", n=n.more_counters)] if n.more_counters else [])


def _finding(each: DigestCounter, w: Words) -> str:
    at = w.day(datetime.fromisoformat(each.since)) if each.since else ""
    if each.finding == "fault":
        fault = w.texts.get(f"fault.{each.fault}", str(each.fault))
        said = w("fault.since", fault=fault, at=at) if at else fault
    elif each.finding == "silent":
        said = w("silent", at=at) if at else w("silent.always")
    else:
        said = w("outside", p=w.percent(each.share or 0))
    if each.usable_share is None:
        return said
    return f"{said} ({w('digest.usable', p=w.percent(each.usable_share))})"


def _continuation(each: DigestContinuation, w: Words) -> str:
    return w(
        "digest.continuation",
        name=each.name[:LONGEST_NAME],
        old=each.old_name[:LONGEST_NAME],
        since=w.day(date.fromisoformat(each.since)),
        ratio=w.number(each.level_ratio, 2),
        command=f"velocast counts continues confirm {each.counter_id} {each.continues}",
    )


def _model(each: DigestModel, w: Words) -> str:
    version = w("digest.version.none")
    if each.version is not None:
        version = w("digest.version", n=each.version)
    task = "" if each.task == "forecast" else f" ({each.task})"
    said = w(f"digest.{each.decision}", version=f"{version}{task}")
    if each.new_r2 is None:
        return said
    new = w.number(each.new_r2, 3)
    scores = w("digest.r2", new=new)
    if each.old_r2 is not None:
        scores = w("digest.r2.against", new=new, old=w.number(each.old_r2, 3))
    return w("label", name=said, value=scores)


def _ahead(n: WeeklyDigest, w: Words) -> list[str]:
    hours = [
        w("digest.hour", at=w.hour(datetime.fromisoformat(hour.at)), n=w.number(hour.bikes))
        for hour in n.ahead
    ]
    return hours + [_event(each, w) for each in n.events]


def _event(each: DigestEvent, w: Words) -> str:
    what, since = link(each.what, ""), w.day(datetime.fromisoformat(each.since))
    if each.until is None:
        said = w("digest.event.open", what=what, since=since)
    else:
        # the end is excluded: what ends at midnight is shown as ending on the day before
        last = datetime.fromisoformat(each.until) - timedelta(seconds=1)
        said = w("digest.event", what=what, since=since, until=w.day(last))
    if each.counters is None:
        return said
    return f"{said} ({w.some('digest.event.counters', each.counters)})"


def _growth(found: DigestGrowth, w: Words) -> str:
    """Return what the page says of the city's growth."""

    def change(share: float) -> str:
        return w.percent(share, 1, signed=True)

    adjusted = w(
        "growth.calendar" if found.weather is None else "growth",
        change=change(found.change),
        low=change(found.low),
        high=change(found.high),
        days=w.number(found.days),
        now=w.day(date.fromisoformat(found.now), year=True),
    )
    raw = w("growth.raw", raw=change(found.raw), rebuilt=change(found.rebuilt))
    return " ".join([adjusted, *([] if found.claimed else [w("growth.chance")]), raw])


def _data(n: WeeklyDigest, w: Words) -> str:
    hours = w("digest.hours", n=w.number(n.hours))
    if n.hours:
        hours = w("digest.hours.usable", hours=hours, p=w.percent(n.usable / n.hours))
    return w(
        "digest.counting",
        hours=hours,
        n=w.number(n.counting),
        bikes=w.number(n.bikes),
        days=w.number(n.history_days),
    )
