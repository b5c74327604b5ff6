"""The cards of Velocast's own events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from velocast.adapters.channels.card import Card
from velocast.adapters.channels.card import CardField as Field
from velocast.core.city import Severity
from velocast.core.notices import (
    ChallengerRefused,
    ChampionPromoted,
    CounterFault,
    CountersOutOfOrder,
    CountersWorkAgain,
    DataStale,
    DriftDetected,
    ModelFallback,
    Notice,
    PerformanceDegraded,
    RetrainingBlocked,
    RunFailed,
    TrainingFailed,
    WeatherMissing,
    WeeklyDigest,
)
from velocast.usecases.notifications.digest_card import digest_card, in_parts
from velocast.usecases.notifications.words import Words

GREEN, BLUE, AMBER, RED = 0x2E9E5B, 0x3B7DD8, 0xE0A100, 0xD13438
SEVERITIES: dict[int, Severity] = {RED: "critical", AMBER: "warning", BLUE: "info", GREEN: "info"}
SHORT_ID = 12
NAMED_COUNTERS = 20
GS, CONSOLE = "gs://", "https://storage.cloud.google.com/"


def notice_card(notice: Notice, w: Words) -> Card:
    """Return the card of an event, with all its fields, in a language."""
    return _CARDS[type(notice)](notice, w)


def notice_key(notice: Notice) -> str:
    """Return the key under which an event is sent only once."""
    return f"{notice.event}:{notice.event_id}"


def _promoted(n: ChampionPromoted, w: Words) -> Card:
    return _card(
        n,
        w("promoted", version=n.version, kind=n.kind),
        GREEN,
        w("reason", reason=n.reason),
        Field(w("promoted.old"), _model(n.old_run_id, n.old_r2, n.measure, w)),
        Field(w("promoted.new"), _model(n.new_run_id, n.new_r2, n.measure, w)),
        Field(w("promoted.gain"), _gain(n, w)),
        Field(w("decision"), n.decision),
        Field(w("promoted.dataset"), _short(n.dataset)),
    )


def _refused(n: ChallengerRefused, w: Words) -> Card:
    return _card(
        n,
        w(f"refused.{n.decision}", version=n.version, kind=n.kind),
        RED if n.decision == "REJECT" else BLUE,
        w("reason", reason=n.reason),
        Field(w("refused.champion"), f"{_measure(n.measure)} {_number(n.old_r2, w)}"),
        Field(w("refused.challenger"), _model(n.run_id, n.new_r2, n.measure, w)),
        Field(w("decision"), n.decision),
    )


def _drift(n: DriftDetected, w: Words) -> Card:
    return _card(
        n,
        w("drift", p=w.percent(n.share)),
        AMBER,
        w("drift.text", reference=n.reference),
        Field(w("drift.share"), w.number(n.share, 2)),
        Field(w("drift.columns"), w("drift.of", n=len(n.drifted_columns), all=n.columns)),
        Field(w("drift.names"), ", ".join(n.drifted_columns), inline=False),
        Field(w("drift.report"), _link(n.report_uri), inline=False),
        url=_link(n.report_uri),
    )


def _degraded(n: PerformanceDegraded, w: Words) -> Card:
    loses = any(skill is not None and skill < 0 for skill in (n.skill, n.skill_reference))
    error = n.relative_error
    return _card(
        n,
        w("degraded", version=n.version),
        RED if loses else AMBER,
        "",
        Field(w("degraded.r2"), _number(n.r2, w)),
        Field(w("degraded.before"), _number(n.r2_before, w)),
        Field(w("degraded.rmse"), w("degraded.rmse.value", n=w.number(n.rmse, 1))),
        Field(w("degraded.skill"), _number(n.skill, w)),
        Field(w("degraded.reference"), _number(n.skill_reference, w)),
        Field(
            w("degraded.error"),
            w("unknown") if error is None else w("times", n=w.number(error, 2)),
        ),
        Field(w("decision"), n.decision),
    )


def _training_failed(n: TrainingFailed, w: Words) -> Card:
    return _card(
        n,
        w("training", step=n.step),
        RED,
        _code(n.error),
        Field(w("training.step"), n.step),
        Field(w("execution"), n.execution_id),
        *([Field(w("training.log"), n.log_url, inline=False)] if n.log_url else []),
        url=n.log_url,
    )


def _blocked(n: RetrainingBlocked, w: Words) -> Card:
    return _card(
        n,
        w("blocked"),
        AMBER,
        w("reason", reason=n.reason),
        Field(w("blocked.holder"), n.holder),
        Field(w("blocked.state"), n.holder_state),
        Field(w("blocked.until"), n.until),
    )


def _stale(n: DataStale, w: Words) -> Card:
    age = w("unknown") if n.age_hours is None else w("hours", n=w.number(n.age_hours))
    return _card(
        n,
        w("stale"),
        AMBER,
        w("reason", reason=n.reason),
        Field(w("stale.newest"), n.newest_count_at or w("unknown")),
        Field(w("stale.age"), age),
    )


def _no_weather(n: WeatherMissing, w: Words) -> Card:
    return _card(
        n,
        w("weather"),
        AMBER,
        w("reason", reason=n.reason),
        Field(w("weather.newest"), n.newest_issued_at or w("weather.none")),
    )


def _faulty_counters(n: CountersOutOfOrder, w: Words) -> Card:
    text = f"{n.cause}.text"  # English has none: the reason itself is English
    return _card(
        n,
        w.some("faulty", len(n.counters)),
        AMBER,
        w(text) if text in w.texts else w("reason", reason=n.reason),
        *in_parts(w("counters"), _named(n, w)),
    )


def _working_counters(n: CountersWorkAgain, w: Words) -> Card:
    return _card(
        n,
        w.some("over", len(n.counters)),
        GREEN,
        w("over.text"),
        *in_parts(w("counters"), _named(n, w)),
    )


def _named(n: CountersOutOfOrder | CountersWorkAgain, w: Words) -> list[str]:
    """Return the counters, one a line; as many as a card holds. What the notice says in English is not translated."""
    in_english = w.language == "en" or not n.faults
    lines = list(n.counters) if in_english else [_said(each, w) for each in n.faults]
    more = len(lines) - NAMED_COUNTERS
    return lines[:NAMED_COUNTERS] + ([w("more", n=more)] if more > 0 else [])


def _said(each: CounterFault, w: Words) -> str:
    fault = w.texts.get(f"fault.{each.kind}", each.kind)
    since, until = (
        None if day is None else w.day(date.fromisoformat(day), year=True)
        for day in (each.since, each.until)
    )
    if each.count is not None:
        return w("line.suspect", counter=each.counter, n=w.number(each.count))
    if since is None:
        return each.counter
    if each.over == "explained":
        return w("line.explained", counter=each.counter, since=since, what=each.what)
    if each.over == "none":
        return w("line.none", counter=each.counter, since=since)
    if each.over == "ended":
        return w("line.over", counter=each.counter, fault=fault, since=since, until=until)
    return w("label", name=each.counter, value=w("fault.since", fault=fault, at=since))


def _fallback(n: ModelFallback, w: Words) -> Card:
    wanted = w("fallback.none") if n.wanted_version is None else w("version", n=n.wanted_version)
    return _card(
        n,
        w("fallback"),
        RED,
        w("reason", reason=n.reason),
        Field(w("fallback.wanted"), wanted),
        Field(w("fallback.used"), n.used),
    )


def _failed(n: RunFailed, w: Words) -> Card:
    return _card(
        n,
        w("failed", component=n.component),
        RED,
        _code(n.error),
        Field(w("failed.component"), n.component),
        Field(w("execution"), n.execution_id),
    )


# One card for each class of `Notice`; a test compares the two lists.
_CARDS: dict[type, Callable[[Any, Words], Card]] = {
    ChampionPromoted: _promoted,
    ChallengerRefused: _refused,
    DriftDetected: _drift,
    PerformanceDegraded: _degraded,
    TrainingFailed: _training_failed,
    RetrainingBlocked: _blocked,
    DataStale: _stale,
    WeatherMissing: _no_weather,
    CountersOutOfOrder: _faulty_counters,
    CountersWorkAgain: _working_counters,
    ModelFallback: _fallback,
    RunFailed: _failed,
    WeeklyDigest: digest_card,
}


def _card(
    notice: Notice, title: str, color: int, description: str, *fields: Field, url: str = ""
) -> Card:
    return Card(
        title=title,
        color=color,
        description=description,
        fields=fields,
        url=url,
        timestamp=notice.occurred_at,
        footer=f"Velocast · {notice.event}",
        severity=SEVERITIES[color],
    )


def _model(run_id: str | None, score: float | None, measure: str, w: Words) -> str:
    if run_id is None:
        return w("none")
    return f"run_id={_short(run_id)}, {_measure(measure)}={_number(score, w)}"


def _measure(name: str) -> str:
    return "R²" if name == "R2" else name


def _gain(n: ChampionPromoted, w: Words) -> str:
    """Return the gain: absolute, relative to the old score, and as a share of the gap to a perfect score of 1."""
    if n.gain_absolute is None:
        return w("promoted.first")
    relative = ""
    if n.old_r2 and n.old_r2 > 0:
        relative = f" ({w.percent(n.gain_absolute / n.old_r2, 2, signed=True)})"
    share = ""
    if n.gain_relative is not None:
        share = "; " + w("promoted.gap", p=w.percent(n.gain_relative, 1))
    return f"{w.signed(n.gain_absolute, 3)} {_measure(n.measure)}{relative}{share}"


def _number(value: float | None, w: Words) -> str:
    return w("unknown") if value is None else w.number(value, 3)


def _short(text: str) -> str:
    """Shorten a hash or run id so that people can compare it; keep any other text."""
    return text[:SHORT_ID] if len(text) >= 32 and text.isalnum() else text


def _code(text: str) -> str:
    return f"```\n{text[:3500]}\n```"


def _link(uri: str) -> str:
    return CONSOLE + uri.removeprefix(GS) if uri.startswith(GS) else uri
