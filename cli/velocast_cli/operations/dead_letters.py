"""Messages that no function could process: what they are, why they failed, and how to publish them again.

They are kept by the pull subscription of the topic velocast-dead-letter. A message that is replayed or dropped leaves
an audit row with its content before it is acknowledged, so nothing is lost; a replay that was interrupted after that
row publishes no second time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import EventError
from velocast.core.settings import JobSettings
from velocast.usecases import audit
from velocast.usecases.context import Run
from velocast_cli.operations.audit_trail import AuditedRun, read_runs
from velocast_cli.operations.deployment import (
    DEAD_LETTERS,
    FETCH_TOPIC,
    MONITOR_TOPIC,
    PREDICT_TOPIC,
)

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

SOURCE = "CloudPubSubDeadLetterSource"
CALL_SECONDS = 30.0
LEASE_SECONDS = 300  # nobody else is given what this command has pulled
BATCH = 100
QUIET_PULLS = 2  # a pull may come back empty although messages are left
# What these functions do depends on when the message was published; a notice or an incident carries its own time.
RUN_TOPICS = (FETCH_TOPIC, PREDICT_TOPIC, MONITOR_TOPIC)
SAME_MOMENT = timedelta(seconds=1)

Action = Literal["replayed", "dropped"]


@dataclass(frozen=True)
class DeadLetter:
    """One message: from which subscription it came, when it was published there, and after how many attempts it died.

    error: the failure in the audit trail that belongs to it; None if the trail has none (the function never answered).
    """

    message_id: str
    ack_id: str
    subscription: str
    published_at: datetime
    attempts: int
    data: str
    attributes: dict[str, str] = field(default_factory=dict)
    error: str | None = None

    @property
    def function(self) -> str:
        """The function that could not process it."""
        return self.subscription.rsplit("/", 1)[-1].removeprefix("velocast-")

    def as_dict(self) -> dict[str, Any]:
        """Return it with JSON's types, without the lease."""
        plain = {k: v for k, v in vars(self).items() if k != "ack_id"}
        return plain | {"published_at": rfc3339(self.published_at), "function": self.function}


class DeadLetterBox:
    """The dead letters of a deployment. Use it in a `with` block, which gives back what was only looked at.

    Methods raise google.api_core.exceptions.GoogleAPICallError, and WarehouseError.
    """

    def __init__(self, run: Run[JobSettings]) -> None:
        self._run = run
        self._project = run.settings.project
        self._leased: list[str] = []

    def __enter__(self) -> DeadLetterBox:
        return self

    def __exit__(self, *_: object) -> None:
        if self._leased:
            self._extend(self._leased, 0)
        self._subscriber.close()

    def letters(self) -> list[DeadLetter]:
        """Return all dead letters with the reason of their failure, oldest first."""
        letters = self.waiting()
        failures = read_runs(self._run.warehouse, status="FAILED") if letters else []
        return [_explained(letter, failures) for letter in letters]

    def waiting(self) -> list[DeadLetter]:
        """Return all dead letters without the reason of their failure, oldest first."""
        found: dict[str, Any] = {}
        quiet = 0
        while quiet < QUIET_PULLS:
            pulled = self._pull()
            quiet = 0 if pulled else quiet + 1
            for received in pulled:
                found[received.message.message_id] = received
                self._leased.append(received.ack_id)
            if pulled:
                self._extend([received.ack_id for received in pulled], LEASE_SECONDS)
        letters = [_letter(received) for received in found.values()]
        return sorted(letters, key=lambda letter: (letter.published_at, letter.message_id))

    def replay(self, letter: DeadLetter) -> str:
        """Publish a message to its topic once more, with its original time, and return the new message's id.

        A message that was replayed before, but not acknowledged, is only acknowledged; the id is that of the replay.
        """
        done = self._earlier(letter, "replayed")
        if done is not None:
            self._acknowledge(letter)
            return str(done.details.get("message_id", ""))
        topic = self._topic(letter)
        attributes = {k: v for k, v in letter.attributes.items() if not k.startswith(SOURCE)}
        future = self._publisher.publish(topic, _original(letter, topic), **attributes)
        message_id = str(future.result(timeout=CALL_SECONDS))
        self._record(letter, "replayed", message_id=message_id)
        self._acknowledge(letter)
        return message_id

    def drop(self, letter: DeadLetter) -> None:
        """Give a message up. Its content stays in the audit trail."""
        if self._earlier(letter, "dropped") is None:
            self._record(letter, "dropped")
        self._acknowledge(letter)

    @cached_property
    def _subscriber(self) -> SubscriberClient:
        from google.cloud.pubsub_v1 import SubscriberClient

        return SubscriberClient()

    @cached_property
    def _publisher(self) -> PublisherClient:
        from velocast.adapters import google_clients

        return google_clients.publisher_client()

    @property
    def _path(self) -> str:
        return f"projects/{self._project}/subscriptions/{DEAD_LETTERS}"

    def _pull(self) -> list[Any]:
        from google.api_core.exceptions import DeadlineExceeded

        request = {"subscription": self._path, "max_messages": BATCH}
        try:
            answer = self._subscriber.pull(request=request, timeout=CALL_SECONDS / 6)
        except DeadlineExceeded:
            return []
        return list(answer.received_messages)

    def _extend(self, ack_ids: Sequence[str], seconds: int) -> None:
        request = {
            "subscription": self._path,
            "ack_ids": list(ack_ids),
            "ack_deadline_seconds": seconds,
        }
        self._subscriber.modify_ack_deadline(request=request, timeout=CALL_SECONDS)

    def _acknowledge(self, letter: DeadLetter) -> None:
        request = {"subscription": self._path, "ack_ids": [letter.ack_id]}
        self._subscriber.acknowledge(request=request, timeout=CALL_SECONDS)
        self._leased = [ack_id for ack_id in self._leased if ack_id != letter.ack_id]

    def _topic(self, letter: DeadLetter) -> str:
        path = f"projects/{self._project}/subscriptions/{letter.subscription}"
        request = {"subscription": path}
        return str(self._subscriber.get_subscription(request=request, timeout=CALL_SECONDS).topic)

    def _earlier(self, letter: DeadLetter, action: Action) -> AuditedRun | None:
        execution_id = letter.message_id
        rows = read_runs(self._run.warehouse, component="dead-letters", execution_id=execution_id)
        wanted = _event_id(letter, action)
        return next((row for row in rows if row.event_id == wanted), None)

    def _record(self, letter: DeadLetter, action: Action, **more: str) -> None:
        row = AuditRow(
            event_id=_event_id(letter, action),
            timestamp=self._run.as_of,
            event_type="ALERT",
            as_of=self._run.as_of,
            execution_id=letter.message_id,
            details={
                "action": f"dead letter of {letter.function} {action}",
                **more,
                "letter": letter.as_dict(),
            },
        )
        audit.write(self._run.warehouse, [row], environment=self._run.settings.environment)


def chosen_letters(letters: Sequence[DeadLetter], ids: Sequence[str]) -> list[DeadLetter]:
    """Return the letters with these ids. Raises EventError naming the ids that are not there."""
    known = {letter.message_id: letter for letter in letters}
    if missing := [name for name in ids if name not in known]:
        raise EventError(
            f"no dead letter {', '.join(missing)}; there is {', '.join(known) or 'none'}"
        )
    return [known[name] for name in ids]


def _event_id(letter: DeadLetter, action: Action) -> str:
    return f"dead-letters:{letter.message_id}:{action}"


def _letter(received: Any) -> DeadLetter:
    message = received.message
    attributes = dict(message.attributes)
    published = attributes.get(f"{SOURCE}TopicPublishTime")
    return DeadLetter(
        message_id=str(message.message_id),
        ack_id=str(received.ack_id),
        subscription=attributes.get(f"{SOURCE}Subscription", "unknown"),
        published_at=parse_instant(published, name="TopicPublishTime")
        if published
        else message.publish_time,
        attempts=int(attributes.get(f"{SOURCE}DeliveryCount", 0)),
        data=message.data.decode("utf-8", "replace"),
        attributes=attributes,
    )


def _explained(letter: DeadLetter, failures: Sequence[AuditedRun]) -> DeadLetter:
    """Return a letter with the failure of its function that ran as of the letter's time.

    Pub/Sub gives a dead letter a new id, so the time is what connects the two.
    """
    asked = _asked_as_of(letter)
    moments = [letter.published_at, *([asked] if asked else [])]
    for failure in failures:
        close = any(abs(failure.timestamp - moment) < SAME_MOMENT for moment in moments)
        if failure.component == letter.function and close:
            return DeadLetter(**(vars(letter) | {"error": failure.error_message}))
    return letter


def _payload(letter: DeadLetter) -> dict[str, Any] | None:
    try:
        value = json.loads(letter.data) if letter.data.strip() else {}
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _asked_as_of(letter: DeadLetter) -> datetime | None:
    text = (_payload(letter) or {}).get("as_of")
    try:
        return parse_instant(text) if text else None
    except EventError:
        return None


def _original(letter: DeadLetter, topic: str) -> bytes:
    """Return a letter's data. A request without a time is given that of its first publication."""
    payload = _payload(letter)
    if payload is None or topic.rsplit("/", 1)[-1] not in RUN_TOPICS or payload.get("as_of"):
        return letter.data.encode("utf-8")
    return json.dumps(payload | {"as_of": rfc3339(letter.published_at)}).encode("utf-8")
