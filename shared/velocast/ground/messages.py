"""What passes between the parts. Writer and reader share these classes, so a field has one spelling."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from velocast.ground.errors import EventError
from velocast.ground.time import parse_instant

MessageT = TypeVar("MessageT", bound="Message")
Kind = Literal["gbm", "rf", "nn", "affluence", "similar_days"]


class Message(BaseModel):
    """Base of all messages: frozen, and refusing fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FetchRequest(Message):
    """Topic velocast-fetch. `since`/`until` (RFC 3339, half-open) backfill a range; else newest hour - overlap."""

    as_of: str | None = None
    since: str | None = None
    until: str | None = None


class PredictRequest(Message):
    """Topic velocast-predict."""

    as_of: str | None = None


class MonitorRequest(Message):
    """Topic velocast-monitor. `check_only` validates and looks for drift and starts nothing."""

    as_of: str | None = None
    check_only: bool = False
    force: bool = False
    test_mode: bool = False
    kind: Literal["gbm", "rf", "nn", "affluence"] = "gbm"


class RetrainArgument(Message):
    """Argument of the workflow velocast-retrain."""

    force: bool = False
    kind: Literal["gbm", "rf", "nn", "affluence"] = "gbm"
    test_mode: bool = False
    as_of: str | None = None
    reason: str = ""


class _Notice(Message):
    """Topic velocast-alerts: something a person should know. `event_id` is the same when it is told twice."""

    event_id: str
    occurred_at: str


class ChampionPromoted(_Notice):
    """A challenger became the champion. measure: what `old_r2` and `new_r2` are, where it is not R2."""

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
    """The champion's R2 fell below the warning threshold, or it lost to last week."""

    event: Literal["performance_degraded"] = "performance_degraded"
    version: int
    r2: float
    r2_before: float | None
    rmse: float
    skill: float | None
    decision: str


class TrainingFailed(_Notice):
    """A retraining run ended in an error."""

    event: Literal["training_failed"] = "training_failed"
    step: str
    error: str
    execution_id: str
    log_url: str = ""


class DataStale(_Notice):
    """The newest count is older than it should be."""

    event: Literal["data_stale"] = "data_stale"
    newest_count_at: str | None
    age_hours: float | None
    reason: str


class WeatherMissing(_Notice):
    """The weather API gave nothing that could be stored; counts and forecasts go on without it."""

    event: Literal["weather_missing"] = "weather_missing"
    newest_issued_at: str | None
    reason: str


class CountersOutOfOrder(_Notice):
    """Counters that usually count sent zeros for a day or more, or moved."""

    event: Literal["counters_out_of_order"] = "counters_out_of_order"
    counters: tuple[str, ...]
    reason: str


class ModelFallback(_Notice):
    """The champion could not be loaded; forecasts come from the next step down of the loading order."""

    event: Literal["model_fallback"] = "model_fallback"
    wanted_version: int | None
    used: str
    reason: str


class RunFailed(_Notice):
    """A function's run ended in an error; the message will be delivered again or dead-lettered."""

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
    | DataStale
    | WeatherMissing
    | CountersOutOfOrder
    | ModelFallback
    | RunFailed,
    Field(discriminator="event"),
]
NOTICE: TypeAdapter[Notice] = TypeAdapter(Notice)


class AuditRow(Message):
    """One row of `monitoring_audit.logs`, without its `environment`, which the writer adds."""

    event_id: str
    timestamp: datetime
    event_type: Literal[
        "INGESTION", "PREDICTION", "VALIDATION", "DRIFT", "TRAINING", "DEPLOYMENT", "ALERT"
    ]
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


class CloudEventLike(Protocol):
    """What is read of a CloudEvent."""

    data: Any


@dataclass(frozen=True)
class Delivery:
    """One Pub/Sub message as a function received it; `text` is its data as it came, decoded from base64."""

    message_id: str
    published_at: datetime
    text: str

    def read(self, kind: type[MessageT]) -> MessageT:
        """Return the data as `kind`; an empty text is an empty object.

        Raises EventError when it is no JSON object, or naming each wrong field.
        """
        try:
            payload = json.loads(self.text) if self.text.strip() else {}
        except json.JSONDecodeError as exc:
            raise EventError(f"message {self.message_id}: its data is not JSON: {exc}") from exc
        if not isinstance(payload, dict):
            raise EventError(
                f"message {self.message_id}: data is {type(payload).__name__}, needs a JSON object"
            )
        try:
            return kind.model_validate(payload)
        except ValidationError as exc:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
            raise EventError(f"message {self.message_id} for {kind.__name__}: {wrong}") from exc


def unpack(event: CloudEventLike) -> Delivery:
    """Read a Pub/Sub CloudEvent: {"message": {"data": base64, "messageId", "publishTime"}}.

    Raises EventError when there is no such envelope; what is in it is read later, so that the failure can be told of.
    """
    envelope = (event.data or {}).get("message") or {}
    message_id = str(envelope.get("messageId") or envelope.get("message_id") or "")
    published = envelope.get("publishTime") or envelope.get("publish_time")
    if not message_id or not published:
        raise EventError(
            f"no Pub/Sub message in the event (keys {sorted(envelope)}); publish to the topic"
        )
    data = envelope.get("data") or ""
    try:
        text = base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        text = str(data)  # no JSON either, so reading it says what is wrong
    return Delivery(message_id, parse_instant(published, name="publishTime"), text)
