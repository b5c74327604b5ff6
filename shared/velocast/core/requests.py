"""The messages that start a function or the workflow; writer and reader share these classes."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from velocast.core.datetimes import parse_instant
from velocast.core.errors import EventError
from velocast.core.kinds import DEFAULT_KIND, Kind

MessageT = TypeVar("MessageT", bound="Message")


class Message(BaseModel):
    """Base of all messages: frozen, and refusing fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RunRequest(Message):
    """Asks for one run. as_of (RFC 3339): the moment at which it runs; default: when the message was published."""

    as_of: str | None = None


class FetchRequest(RunRequest):
    """Topic velocast-fetch. `since`/`until` (RFC 3339, half-open) backfill a range; else newest hour - overlap.

    sweep_days: instead, look for what the city published late in so many days.
    """

    since: str | None = None
    until: str | None = None
    sweep_days: int | None = Field(None, ge=1, le=3660)


class PredictRequest(RunRequest):
    """Topic velocast-predict. `only_known` leaves out hours that were first learned after as_of.

    within_day: forecast only if more of the day's hours have become known, as the city's file lists them.
    """

    only_known: bool = False
    within_day: bool = False


class MonitorRequest(RunRequest):
    """Topic velocast-monitor. `check_only` validates and looks for drift and starts nothing.

    digest: only publishes the weekly digest, and checks nothing.
    """

    check_only: bool = False
    force: bool = False
    test_mode: bool = False
    kind: Kind = DEFAULT_KIND
    digest: bool = False


class ForecastArgument(Message):
    """Argument of the workflow velocast-forecast: the run whose forecasts it makes in tasks.

    execution_id: of the run that asks for it, under which it is audited. request: with an `as_of`. of_the_day: with the
    champion of that day.
    """

    execution_id: str
    request: PredictRequest
    of_the_day: bool = True


class RetrainArgument(Message):
    """Argument of the workflow velocast-retrain."""

    force: bool = False
    kind: Kind = DEFAULT_KIND
    test_mode: bool = False
    as_of: str | None = None
    reason: str = ""


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
        except (ValueError, RecursionError) as exc:
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

    Raises EventError when there is no such envelope; what is in it is read later, so that the failure can be reported.
    """
    body = event.data if isinstance(event.data, dict) else {}
    envelope = body.get("message")
    if not isinstance(envelope, dict):
        envelope = {}
    message_id = str(envelope.get("messageId") or envelope.get("message_id") or "")
    published = envelope.get("publishTime") or envelope.get("publish_time")
    if not message_id or not published:
        raise EventError(
            f"no Pub/Sub message in the event (keys {sorted(envelope)}); publish to the topic"
        )
    data = envelope.get("data") or ""
    try:
        text = base64.b64decode(data, validate=True).decode("utf-8")
    except (ValueError, TypeError):
        text = str(data)  # no JSON either, so reading it says what is wrong
    return Delivery(message_id, parse_instant(published, name="publishTime"), text)
