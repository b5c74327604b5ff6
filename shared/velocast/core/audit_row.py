"""One row of `monitoring_audit.logs`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from velocast.core.requests import Message

EventType = Literal[
    "INGESTION", "PREDICTION", "VALIDATION", "DRIFT", "TRAINING", "DEPLOYMENT", "ALERT"
]


class AuditRow(Message):
    """One row of `monitoring_audit.logs`, without `environment`, which the writer adds."""

    event_id: str
    timestamp: datetime
    event_type: EventType
    as_of: datetime
    execution_id: str | None = None
    old_champion_run_id: str | None = None
    new_champion_run_id: str | None = None
    old_r2_score: float | None = None
    new_r2_score: float | None = None
    old_r2_baseline: float | None = None
    new_r2_baseline: float | None = None
    model_improvement: float | None = None
    rmse: float | None = None
    r2: float | None = None
    forecast_skill: float | None = None
    drift_detected: bool | None = None
    drift_share: float | None = None
    drifted_features_count: int | None = None
    retrain_decision: str | None = None
    deployment_decision: Literal["DEPLOY", "SKIP", "REJECT"] | None = None
    status: Literal["OK", "UNKNOWN", "BUSY", "FAILED"] = "OK"
    error_message: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)
