"""Notices to people: the messages on the topic velocast-alerts, which `notify` turns into Discord cards."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from velocast.core.requests import Message


class _Notice(Message):
    """Topic velocast-alerts: something a person should know. A notice that is sent twice keeps its `event_id`."""

    event_id: str
    occurred_at: str


class ChampionPromoted(_Notice):
    """A challenger became the champion. measure: the score that `old_r2` and `new_r2` hold."""

    event: Literal["champion_promoted"] = "champion_promoted"
    version: int
    kind: str
    decision: str
    reason: str
    old_run_id: str | None
    new_run_id: str
    old_r2: float | None
    new_r2: float
    gain_absolute: float | None
    gain_relative: float | None
    dataset: str
    measure: str = "R2"


class ChallengerRefused(_Notice):
    """A challenger was skipped or rejected. measure: as in ChampionPromoted."""

    event: Literal["challenger_refused"] = "challenger_refused"
    version: int
    kind: str
    decision: Literal["SKIP", "REJECT"]
    reason: str
    run_id: str
    old_r2: float | None
    new_r2: float | None
    measure: str = "R2"


class DriftDetected(_Notice):
    """The drift share reached the warning threshold."""

    event: Literal["drift_detected"] = "drift_detected"
    share: float
    drifted_columns: tuple[str, ...]
    columns: int
    reference: str
    report_uri: str


class PerformanceDegraded(_Notice):
    """The champion's R2 fell below the warning threshold, a reference was more accurate, or its error is unusual.

    skill: against the value a week earlier. skill_reference: against the better reference, which `reference` names.
    relative_error: the error as a multiple of the usual one at this time of the year.
    """

    event: Literal["performance_degraded"] = "performance_degraded"
    version: int
    r2: float
    r2_before: float | None
    rmse: float
    skill: float | None
    skill_reference: float | None = None
    reference: str | None = None
    relative_error: float | None = None
    decision: str


class TrainingFailed(_Notice):
    """A retraining run failed."""

    event: Literal["training_failed"] = "training_failed"
    step: str
    error: str
    execution_id: str
    log_url: str = ""


class RetrainingBlocked(_Notice):
    """A retraining did not start: the lease is held by an execution that is not at work, or may not be.

    holder_state: JOB_RUNNING (it has ended, but a job that it started goes on) or UNKNOWN. until: the lease's end.
    """

    event: Literal["retraining_blocked"] = "retraining_blocked"
    holder: str
    holder_state: str
    until: str
    reason: str
    execution_id: str


class DataStale(_Notice):
    """The newest count is older than it should be."""

    event: Literal["data_stale"] = "data_stale"
    newest_count_at: str | None
    age_hours: float | None
    reason: str


class WeatherMissing(_Notice):
    """The weather API returned nothing that could be stored; counts and forecasts continue without it."""

    event: Literal["weather_missing"] = "weather_missing"
    newest_issued_at: str | None
    reason: str


class CounterFault(Message):
    """What one line of a notice about counters says, for other languages than English.

    counter: its name, with a link in Markdown. kind: of the fault. since, until: local days, ISO 8601. count: bikes of
    the hour that is not credible. over: how it ended; `what` explains it then.
    """

    counter: str
    kind: str | None = None
    since: str | None = None
    until: str | None = None
    count: int | None = None
    over: Literal["ended", "none", "explained"] | None = None
    what: str = ""


class CountersOutOfOrder(_Notice):
    """Faulty counters, or counters that moved: one line each, with what shows it; links are Markdown.

    faults: the same lines in parts; none in a notice of 0.1.
    """

    event: Literal["counters_out_of_order"] = "counters_out_of_order"
    counters: tuple[str, ...]
    reason: str
    cause: Literal["faults", "suspect", "moved"] | None = None
    faults: tuple[CounterFault, ...] = ()


class CountersWorkAgain(_Notice):
    """Faults that are over: one line each; links are Markdown. faults: the same lines in parts."""

    event: Literal["counters_work_again"] = "counters_work_again"
    counters: tuple[str, ...]
    faults: tuple[CounterFault, ...] = ()


class DigestAccuracy(Message):
    """Forecasts of a week (lead days 0 to 2) against usable counts.

    wape: absolute errors as a share of the bikes; usual_wape: that of the four weeks before, null where too little is
    known. mae: bikes per hour.
    """

    pairs: int
    mae: float
    wape: float
    usual_wape: float | None


class DigestCounter(Message):
    """A counter that needs a look, as the page lists it. url: its page; empty where the site is not public."""

    name: str
    url: str
    finding: Literal["fault", "silent", "outside"]
    fault: str | None = None
    since: str | None = None
    share: float | None = None
    usable_share: float | None = None


class DigestModel(Message):
    """A trained model, what was decided about it, and its R2 beside the champion's where both are known."""

    version: int | None
    task: str
    decision: Literal["DEPLOY", "SKIP", "REJECT"]
    old_r2: float | None
    new_r2: float | None


class DigestHour(Message):
    """The busiest hour of a coming day. at: RFC 3339 with the city's offset. bikes: expected of all counters."""

    at: str
    bikes: int


class DigestEvent(Message):
    """An event or a closure of the coming days. since, until: RFC 3339 with the city's offset; until null: no end.

    counters: how many it concerns; null for all.
    """

    kind: Literal["closure", "event"]
    what: str
    since: str
    until: str | None
    counters: int | None


class DigestGrowth(Message):
    """The city's growth against the year before: relative changes, 0.04 = 4 % more, adjusted with its 90 % interval.

    now: first day of the newer period (ISO 8601). days: of each compared period, whole_year if they hold every season.
    claimed: more than chance. raw: as counted, rebuilt: with gaps estimated. weather: what it added; null: not known.
    """

    now: str
    days: int
    whole_year: bool
    change: float
    low: float
    high: float
    claimed: bool
    raw: float
    rebuilt: float
    weather: float | None


class DigestContinuation(Message):
    """A counter that may continue another one, from the day `since` on, at `level_ratio` times its level."""

    counter_id: str
    name: str
    continues: str
    old_name: str
    since: str
    level_ratio: float


class WeeklyDigest(_Notice):
    """What a week was like and what is coming: of the local days `since` to `until` (ISO 8601), both included.

    more_counters: how many more need a look. hours, usable, counting: stored hours of the week, usable ones, and the
    counters that have any. history_days: local days with a usable count in the last year.
    """

    event: Literal["weekly_digest"] = "weekly_digest"
    city: str
    since: str
    until: str
    site_url: str
    accuracy: DigestAccuracy | None
    counters: tuple[DigestCounter, ...]
    more_counters: int
    models: tuple[DigestModel, ...]
    ahead: tuple[DigestHour, ...]
    events: tuple[DigestEvent, ...] = ()
    continuations: tuple[DigestContinuation, ...] = ()
    hours: int
    usable: int
    counting: int
    bikes: int
    history_days: int
    growth: DigestGrowth | None = None


class ModelFallback(_Notice):
    """The champion could not be loaded; forecasts come from the next model in the loading order."""

    event: Literal["model_fallback"] = "model_fallback"
    wanted_version: int | None
    used: str
    reason: str


class RunFailed(_Notice):
    """A function's run failed; its message will be redelivered or dead-lettered."""

    event: Literal["run_failed"] = "run_failed"
    component: str
    error: str
    execution_id: str


Notice = Annotated[
    ChampionPromoted
    | ChallengerRefused
    | DriftDetected
    | PerformanceDegraded
    | TrainingFailed
    | RetrainingBlocked
    | DataStale
    | WeatherMissing
    | CountersOutOfOrder
    | CountersWorkAgain
    | ModelFallback
    | RunFailed
    | WeeklyDigest,
    Field(discriminator="event"),
]
NOTICE: TypeAdapter[Notice] = TypeAdapter(Notice)
