"""One of each notice, and incidents as Cloud Monitoring sends them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from velocast.core.notices import (
    ChallengerRefused,
    ChampionPromoted,
    CounterFault,
    CountersOutOfOrder,
    CountersWorkAgain,
    DataStale,
    DigestAccuracy,
    DigestCounter,
    DigestEvent,
    DigestHour,
    DigestModel,
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

PUBLISHED_AT = "2026-03-01T05:00:00Z"
AT = {"event_id": "e-1", "occurred_at": PUBLISHED_AT}
PROMOTED = ChampionPromoted(
    **AT,
    version=8,
    kind="gbm",
    decision="DEPLOY",
    reason="it removes 12 % of what the champion leaves unexplained",
    old_run_id="abc123",
    new_run_id="def456",
    old_r2=0.68,
    new_r2=0.72,
    gain_absolute=0.04,
    gain_relative=0.125,
    dataset="4f" * 32,
)
NOTICES: list[Notice] = [
    PROMOTED,
    ChallengerRefused(
        **AT,
        version=9,
        kind="rf",
        decision="SKIP",
        reason="too little gain",
        run_id="r9",
        old_r2=0.8,
        new_r2=0.801,
    ),
    DriftDetected(
        **AT,
        share=0.375,
        drifted_columns=("bike_count", "night_share", "temperature_c"),
        columns=8,
        reference="the same weeks a year earlier",
        report_uri="gs://velocast-local-reports/drift_reports/drift_report_2026-03-01.html",
    ),
    PerformanceDegraded(
        **AT, version=7, r2=0.58, r2_before=0.81, rmse=61.2, skill=-0.02, decision="REACTIVE"
    ),
    TrainingFailed(
        **AT,
        step="evaluate",
        error="RegistryError: no answer",
        execution_id="x-1",
        log_url="https://example.org/log",
    ),
    RetrainingBlocked(
        **AT,
        holder="x-0",
        holder_state="JOB_RUNNING",
        until="2026-03-01T07:00:00Z",
        reason="its job still runs",
        execution_id="x-1",
    ),
    DataStale(
        **AT,
        newest_count_at="2026-02-26T22:00:00Z",
        age_hours=55.0,
        reason="the city's API is down",
    ),
    WeatherMissing(**AT, newest_issued_at="2026-02-26T02:00:00Z", reason="the weather API is down"),
    CountersWorkAgain(
        **AT,
        counters=("c-1: dead from 2026-03-01 until 2026-03-04",),
        faults=(
            CounterFault(
                counter="c-1", kind="dead", since="2026-03-01", until="2026-03-04", over="ended"
            ),
        ),
    ),
    CountersOutOfOrder(**AT, counters=tuple(f"c-{i}" for i in range(25)), reason="zeros for a day"),
    ModelFallback(**AT, wanted_version=8, used="version 7", reason="the artifact's hash is wrong"),
    RunFailed(**AT, component="fetch", error="city_unreachable: no answer", execution_id="m-1"),
    WeeklyDigest(
        **AT,
        city="Demoville",
        since="2026-02-23",
        until="2026-03-01",
        site_url="https://bikes.example/index.html",
        accuracy=DigestAccuracy(pairs=8_000, mae=14.24, wape=0.21, usual_wape=0.18),
        counters=(
            DigestCounter(
                name="Quai [N-S]",
                url="https://bikes.example/counter/c-1.html",
                finding="fault",
                fault="dead",
                since="2026-02-27T05:00:00Z",
                usable_share=0.9,
            ),
            DigestCounter(name="Pont", url="", finding="silent", since="2026-02-20T05:00:00Z"),
            DigestCounter(name="Rue", url="", finding="silent"),
            DigestCounter(name="Place", url="", finding="outside", share=0.61),
        ),
        more_counters=2,
        models=(
            DigestModel(version=8, task="forecast", decision="DEPLOY", old_r2=0.896, new_r2=0.916),
            DigestModel(version=9, task="affluence", decision="SKIP", old_r2=None, new_r2=None),
        ),
        ahead=(DigestHour(at="2026-03-03T08:00:00+01:00", bikes=5_230),),
        events=(
            DigestEvent(
                kind="closure",
                what="Works on the bridge",
                since="2026-03-02T00:00:00+01:00",
                until="2026-03-05T00:00:00+01:00",
                counters=2,
            ),
            DigestEvent(
                kind="event",
                what="Strike",
                since="2026-03-06T00:00:00+01:00",
                until=None,
                counters=None,
            ),
        ),
        hours=8_400,
        usable=8_148,
        counting=49,
        bikes=812_345,
        history_days=366,
    ),
]
INCIDENT: dict[str, Any] = {
    "incident": {
        "incident_id": "0.mabc",
        "scoping_project_id": "velocast-local",
        "url": "https://console.cloud.google.com/monitoring/alerting/incidents/0.mabc",
        "state": "open",
        "started_at": 1772341200,
        "ended_at": None,
        "summary": "bike_forecast_r2 is below the threshold of 0.65",
        "policy_name": "Forecast R2 critical",
        "condition_name": "R2 below critical",
        "condition": {"name": "c", "conditionPrometheusQueryLanguage": {"query": "x"}},
        "documentation": {
            "content": "See the runbook.",
            "mime_type": "text/markdown",
            "subject": "[ALERT]",
        },
        "resource": {"type": "generic_task", "labels": {}},
        "resource_display_name": "velocast-monitor",
        "observed_value": "0.612",
        "threshold_value": "0.65",
        "severity": "Critical",
    },
    "version": "1.2",
}
CONSOLE_TEST: dict[str, Any] = {
    "version": "test",
    "incident": {
        "incident_id": "12345",
        "state": "OPEN",
        "started_at": 0,
        "documentation": "Test notification",
        "policy_name": "test",
        "observed_value": 1.0,
        "condition_name": {"odd": "type"},
    },
}


def closed() -> dict[str, Any]:
    """The same incident when it is over."""
    return {
        **INCIDENT,
        "incident": INCIDENT["incident"] | {"state": "closed", "ended_at": 1772344800},
    }


@dataclass
class Event:
    """A Pub/Sub CloudEvent, as far as it is read."""

    data: Any


def envelope(
    payload: Any, message_id: str = "m-1", published_at: str = PUBLISHED_AT
) -> dict[str, Any]:
    """The data of a CloudEvent whose message holds `payload` as JSON (bytes: as they are)."""
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return {
        "message": {
            "data": base64.b64encode(text).decode(),
            "messageId": message_id,
            "publishTime": published_at,
        }
    }
