"""One of each notice, and incidents as Cloud Monitoring sends them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

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
    CountersWorkAgain(**AT, counters=("c-1: dead from 2026-03-01 until 2026-03-04",)),
    CountersOutOfOrder(**AT, counters=tuple(f"c-{i}" for i in range(25)), reason="zeros for a day"),
    ModelFallback(**AT, wanted_version=8, used="version 7", reason="the artifact's hash is wrong"),
    RunFailed(**AT, component="fetch", error="city_unreachable: no answer", execution_id="m-1"),
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
