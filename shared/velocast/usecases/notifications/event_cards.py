"""The cards of Velocast's own events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from velocast.adapters.channels.card import Card
from velocast.adapters.channels.card import CardField as Field
from velocast.core.city import Severity
from velocast.core.notices import (
    ChallengerRefused,
    ChampionPromoted,
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

GREEN, BLUE, AMBER, RED = 0x2E9E5B, 0x3B7DD8, 0xE0A100, 0xD13438
SEVERITIES: dict[int, Severity] = {RED: "critical", AMBER: "warning", BLUE: "info", GREEN: "info"}
UNKNOWN = "unknown"
SHORT_ID = 12
NAMED_COUNTERS = 20
GS, CONSOLE = "gs://", "https://storage.cloud.google.com/"


def notice_card(notice: Notice) -> Card:
    """Return the card of an event, with all its fields."""
    return _CARDS[type(notice)](notice)


def notice_key(notice: Notice) -> str:
    """Return the key under which an event is sent only once."""
    return f"{notice.event}:{notice.event_id}"


def _promoted(n: ChampionPromoted) -> Card:
    return _card(
        n,
        f"🚀 Champion promoted: version {n.version} ({n.kind})",
        GREEN,
        n.reason,
        Field("Old", _model(n.old_run_id, n.old_r2, n.measure)),
        Field("New", _model(n.new_run_id, n.new_r2, n.measure)),
        Field("Improvement", _gain(n)),
        Field("Decision", n.decision),
        Field("Dataset", _short(n.dataset)),
    )


def _refused(n: ChallengerRefused) -> Card:
    word, color = ("rejected", RED) if n.decision == "REJECT" else ("skipped", BLUE)
    return _card(
        n,
        f"⏭️ Challenger {word}: version {n.version} ({n.kind})",
        color,
        n.reason,
        Field("Champion", f"{_measure(n.measure)} {_number(n.old_r2)}"),
        Field("Challenger", _model(n.run_id, n.new_r2, n.measure)),
        Field("Decision", n.decision),
    )


def _drift(n: DriftDetected) -> Card:
    return _card(
        n,
        f"🌊 Drift: {n.share:.0%} of the columns",
        AMBER,
        f"Compared with {n.reference}.",
        Field("Drift share", f"{n.share:.2f}"),
        Field("Drifted", f"{len(n.drifted_columns)} of {n.columns}"),
        Field("Columns", ", ".join(n.drifted_columns), inline=False),
        Field("Report", _link(n.report_uri), inline=False),
        url=_link(n.report_uri),
    )


def _degraded(n: PerformanceDegraded) -> Card:
    return _card(
        n,
        f"📉 Performance degraded: version {n.version}",
        RED
        if any(skill is not None and skill < 0 for skill in (n.skill, n.skill_reference))
        else AMBER,
        "",
        Field("R² now", _number(n.r2)),
        Field("R² before", _number(n.r2_before)),
        Field("RMSE", f"{n.rmse:.1f} bikes/h"),
        Field("Skill vs. last week", _number(n.skill)),
        Field("Skill vs. the better reference", _number(n.skill_reference)),
        Field("Error vs. usual", _times(n.relative_error)),
        Field("Decision", n.decision),
    )


def _training_failed(n: TrainingFailed) -> Card:
    return _card(
        n,
        f"💥 Training failed in {n.step}",
        RED,
        _code(n.error),
        Field("Step", n.step),
        Field("Execution", n.execution_id),
        *([Field("Log", n.log_url, inline=False)] if n.log_url else []),
        url=n.log_url,
    )


def _blocked(n: RetrainingBlocked) -> Card:
    return _card(
        n,
        "🔒 Retraining did not start",
        AMBER,
        n.reason,
        Field("Lease held by", n.holder),
        Field("Its state", n.holder_state),
        Field("Until", n.until),
    )


def _stale(n: DataStale) -> Card:
    age = UNKNOWN if n.age_hours is None else f"{n.age_hours:.0f} h"
    return _card(
        n,
        "⏰ Data stale",
        AMBER,
        n.reason,
        Field("Newest count", n.newest_count_at or UNKNOWN),
        Field("Age", age),
    )


def _no_weather(n: WeatherMissing) -> Card:
    return _card(
        n,
        "🌦️ Weather missing: forecasts are less accurate",
        AMBER,
        n.reason,
        Field("Newest weather issued", n.newest_issued_at or "none stored"),
    )


def _faulty_counters(n: CountersOutOfOrder) -> Card:
    return _card(
        n,
        f"🔧 {len(n.counters)} faulty counter{'s' if len(n.counters) != 1 else ''}",
        AMBER,
        n.reason,
        *in_parts("Counters", _named(n.counters)),
    )


def _working_counters(n: CountersWorkAgain) -> Card:
    return _card(
        n,
        f"✅ {len(n.counters)} fault{'s' if len(n.counters) != 1 else ''} over",
        GREEN,
        "Their counts are used again.",
        *in_parts("Counters", _named(n.counters)),
    )


def _named(counters: tuple[str, ...]) -> list[str]:
    """Return the counters, one a line; as many as a card holds."""
    more = len(counters) - NAMED_COUNTERS
    return list(counters[:NAMED_COUNTERS]) + ([f"and {more} more"] if more > 0 else [])


def _fallback(n: ModelFallback) -> Card:
    wanted = "no champion" if n.wanted_version is None else f"version {n.wanted_version}"
    return _card(
        n,
        "🪜 Champion unusable: using a fallback",
        RED,
        n.reason,
        Field("Wanted", wanted),
        Field("Used", n.used),
    )


def _failed(n: RunFailed) -> Card:
    return _card(
        n,
        f"💥 {n.component} failed",
        RED,
        _code(n.error),
        Field("Component", n.component),
        Field("Execution", n.execution_id),
    )


# One card for each class of `Notice`; a test compares the two lists.
_CARDS: dict[type, Callable[[Any], Card]] = {
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


def _model(run_id: str | None, score: float | None, measure: str) -> str:
    if run_id is None:
        return "none"
    return f"run_id={_short(run_id)}, {_measure(measure)}={_number(score)}"


def _measure(name: str) -> str:
    return "R²" if name == "R2" else name


def _gain(n: ChampionPromoted) -> str:
    """Return the gain: absolute, relative to the old score, and as a share of the gap to a perfect score of 1."""
    if n.gain_absolute is None:
        return "first champion"
    relative = f" ({n.gain_absolute / n.old_r2:+.2%})" if n.old_r2 and n.old_r2 > 0 else ""
    share = ""
    if n.gain_relative is not None:
        share = f"; {n.gain_relative:.1%} of the gap to a perfect score"
    return f"{n.gain_absolute:+.3f} {_measure(n.measure)}{relative}{share}"


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


def _times(ratio: float | None) -> str:
    return UNKNOWN if ratio is None else f"{ratio:.2f} times"


def _short(text: str) -> str:
    """Shorten a hash or run id so that people can compare it; keep any other text."""
    return text[:SHORT_ID] if len(text) >= 32 and text.isalnum() else text


def _code(text: str) -> str:
    return f"```\n{text[:3500]}\n```"


def _link(uri: str) -> str:
    return CONSOLE + uri.removeprefix(GS) if uri.startswith(GS) else uri
