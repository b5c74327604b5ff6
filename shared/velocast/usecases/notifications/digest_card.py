"""The card of the weekly digest, in words."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from velocast.adapters.channels.card import Card, CardField, link
from velocast.core.notices import (
    DigestContinuation,
    DigestCounter,
    DigestEvent,
    DigestModel,
    WeeklyDigest,
)

BLUE = 0x3B7DD8
LONGEST_PART = 1_000  # characters: Discord shows 1,024 of a field
LONGEST_NAME = 80
AS_USUAL = 0.05  # share by which two errors may differ and are called alike
FAULTS = {
    "dead": "counts nothing",
    "stuck": "repeats the same value",
    "halved": "counts half",
    "doubled": "counts double",
    "level_shift": "counts at another level",
    "spike": "counts too much in single hours",
    "swapped": "directions swapped",
    "clock_shift": "clock is off",
    "sparse": "hours are missing",
}
DECISIONS = {"DEPLOY": "is in use", "SKIP": "was not better enough", "REJECT": "was rejected"}


def digest_card(n: WeeklyDigest) -> Card:
    """Return the card: accuracy, counters that need a look, models, what is coming, data."""
    first, last = (date.fromisoformat(day) for day in (n.since, n.until))
    number = len(n.counters) + n.more_counters
    fields = [
        CardField("Accuracy", _accuracy(n), inline=False),
        *in_parts(f"Counters that need a look: {number}", _counters(n)),
        *(
            in_parts(
                "The same counter under a new id?", [_continuation(c) for c in n.continuations]
            )
            if n.continuations
            else []
        ),
        *in_parts("Models", [_model(each) for each in n.models] or ["No model was trained."]),
        *in_parts("Coming up", _ahead(n) or ["No forecast is published."]),
        CardField("Data", _data(n), inline=False),
    ]
    return Card(
        title=f"🗓️ {n.city}: the week of {first.day} {first:%b} to {last.day} {last:%b %Y}",
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


def _accuracy(n: WeeklyDigest) -> str:
    if n.accuracy is None:
        return "No forecast of this week can be compared with a count yet."
    a = n.accuracy
    said = f"Forecasts were off by {a.wape:.1%} of the bikes ({a.mae:.1f} bikes an hour)"
    if a.usual_wape is None:
        return f"{said}; what is usual is not known yet."
    change = a.wape / a.usual_wape - 1
    than = "worse than" if change > AS_USUAL else "better than" if change < -AS_USUAL else "like"
    return f"{said}, {than} in the four weeks before ({a.usual_wape:.1%})."


def _counters(n: WeeklyDigest) -> list[str]:
    if not n.counters:
        return ["None: all counters report as usual."]
    lines = [f"{link(each.name[:LONGEST_NAME], each.url)}: {_finding(each)}" for each in n.counters]
    return lines + ([f"and {n.more_counters} more"] if n.more_counters else [])


def _finding(each: DigestCounter) -> str:
    since = each.since and datetime.fromisoformat(each.since)
    day = f" since {since.day} {since:%b}" if since else ""
    if each.finding == "fault":
        said = f"{FAULTS.get(each.fault or '', each.fault)}{day}"
    elif each.finding == "silent":
        said = f"silent{day}" if day else "has never counted"
    else:
        said = f"{each.share or 0:.0%} of the last three days' hours outside the forecast interval"
    usable = "" if each.usable_share is None else f" ({each.usable_share:.0%} of 28 days usable)"
    return said + usable


def _continuation(each: DigestContinuation) -> str:
    since = date.fromisoformat(each.since)
    return (
        f"{each.name[:LONGEST_NAME]} may continue {each.old_name[:LONGEST_NAME]} since {since.day} {since:%b} (level x "
        f"{each.level_ratio:.2f}): `velocast counts continues confirm {each.counter_id} {each.continues}`, or `undo`"
    )


def _model(each: DigestModel) -> str:
    version = "A model" if each.version is None else f"Version {each.version}"
    task = "" if each.task == "forecast" else f" ({each.task})"
    r2 = "" if each.new_r2 is None else f": R² {each.new_r2:.3f}"
    against = "" if each.old_r2 is None or not r2 else f" against {each.old_r2:.3f}"
    return f"{version}{task} {DECISIONS[each.decision]}{r2}{against}"


def _ahead(n: WeeklyDigest) -> list[str]:
    lines = []
    for hour in n.ahead:
        at = datetime.fromisoformat(hour.at)
        lines.append(
            f"{at:%a} {at.day} {at:%b}, {at:%H:%M}: about {hour.bikes:,} bikes, the busiest hour of the day"
        )
    return lines + [_event(each) for each in n.events]


def _event(each: DigestEvent) -> str:
    since = datetime.fromisoformat(each.since)
    end = "until further notice"
    if each.until is not None:
        # the end is excluded: one that is at midnight is the evening before
        last = datetime.fromisoformat(each.until) - timedelta(seconds=1)
        end = f"to {last.day} {last:%b}"
    where = "" if each.counters is None else f" ({each.counters} counters)"
    return f"{link(each.what, '')}: {since.day} {since:%b} {end}{where}"


def _data(n: WeeklyDigest) -> str:
    share = f", {n.usable / n.hours:.0%} of them usable" if n.hours else ""
    return (
        f"{n.hours:,} hours of counts this week{share}; {n.counting:,} counters saw {n.bikes:,} bikes. "
        f"{n.history_days:,} days of history in the last year."
    )
