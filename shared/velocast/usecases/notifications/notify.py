"""Send Cloud Monitoring incidents and Velocast's own events to people: to Discord and to the city's other channels.

A marker object notes each channel that has accepted the message. So no message is lost, one that a channel refused is
sent again to that channel alone, and one is sent twice only if the function is killed between the two. A message that
cannot be parsed raises an error and is dead-lettered.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import model_validator

from velocast.adapters.channels.addressed import open_channel
from velocast.adapters.channels.card import Card
from velocast.adapters.channels.discord import DiscordWebhook
from velocast.adapters.gcs import Objects
from velocast.core.audit_row import AuditRow
from velocast.core.city import DISCORD
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import ChannelError, ObjectMissing, SettingsError
from velocast.core.notices import Notice
from velocast.core.requests import Message
from velocast.core.settings import NotifySettings
from velocast.usecases.context import Run
from velocast.usecases.notifications.event_cards import notice_card, notice_key
from velocast.usecases.notifications.incident_cards import Incident, incident_card, incident_key

MARKERS = "notifications/"
LONGEST_NAME = 200


class AlertMessage(Message):
    """A message of topic velocast-alerts: an incident ({"incident": {...}, "version": ...}) or a `Notice`."""

    incident: Incident | None = None
    notice: Notice | None = None

    @model_validator(mode="before")
    @classmethod
    def _event_or_incident(cls, payload: Any) -> Any:
        if isinstance(payload, dict) and isinstance(payload.get("incident"), dict):
            return {"incident": payload["incident"]}
        if isinstance(payload, dict) and "event" in payload:
            return {"notice": payload}
        raise ValueError("neither a Cloud Monitoring incident nor a Velocast event")

    def key(self, message_id: str) -> str:
        """Return the key under which this message is sent only once."""
        if self.notice is not None:
            return notice_key(self.notice)
        return incident_key(self.incident or Incident(), message_id)

    def card(self) -> Card:
        """Return the card to send."""
        if self.notice is not None:
            return notice_card(self.notice)
        return incident_card(self.incident or Incident())


def notify_people(message: AlertMessage, run: Run[NotifySettings]) -> list[AuditRow]:
    """Send one message to each channel of its severity that did not get it before, and return its audit row.

    A channel that fails keeps no other from getting the message. Raises the first failure: ChannelError (the message
    is delivered again), DiscordRefused, SettingsError.
    """
    key, card = message.key(run.execution_id), message.card()
    objects = _objects(run.settings.project, run.settings.reports_bucket)
    marker = marker_name(key)
    sent = _sent(objects, marker) or {
        "key": key,
        "title": card.title,
        "channels": {},
        "sent_at": rfc3339(run.as_of),
        "execution_id": run.execution_id,
    }
    failures: list[ChannelError | SettingsError] = []
    wanted = run.settings.city.messages.channels(card.severity)
    missing = [name for name in wanted if name not in sent["channels"]]
    for name in missing:
        try:
            sent["channels"][name] = _send(name, card, run.settings)
        except (ChannelError, SettingsError) as exc:
            failures.append(exc)
        else:
            objects.write_json(marker, sent)
    if failures:
        raise failures[0]
    return [_audit_row(key, sent, run)]


def _send(channel: str, card: Card, settings: NotifySettings) -> str:
    """Send a card to one channel and return the message's id, empty where the channel gives none."""
    if channel == DISCORD:
        return _webhook(settings.discord_webhook_file).send(card)
    # Opened for each message, so that a new version of the secret counts at once.
    open_channel(settings.channels_file, channel).send(card)
    return ""


def marker_name(key: str) -> str:
    """Return the name of the object that marks a message as sent; a long key is replaced by its hash."""
    name = quote(key, safe=":")
    if len(name) > LONGEST_NAME:
        name = hashlib.sha256(key.encode("utf-8")).hexdigest()
    return f"{MARKERS}{name}.json"


def _sent(objects: Objects, marker: str) -> dict[str, Any] | None:
    try:
        value, _ = objects.read_json(marker)
    except ObjectMissing:
        return None
    if "channels" not in value:  # written by 0.1, which knew one channel
        value["channels"] = {DISCORD: value.get("discord_message_id", "")}
    return dict(value)


def _audit_row(key: str, sent: dict[str, Any], run: Run[NotifySettings]) -> AuditRow:
    """Return the row of the message that was sent: the same one when its notice is published again later."""
    sent_at = parse_instant(sent["sent_at"])
    return AuditRow(
        event_id=f"{run.runtime.component}:{key}:alert",
        timestamp=sent_at,
        event_type="ALERT",
        as_of=sent_at,
        execution_id=sent.get("execution_id", run.execution_id),
        details={name: sent[name] for name in ("key", "title", "channels")},
    )


@cache
def _objects(project: str, bucket: str) -> Objects:
    return Objects(project, bucket)


# One connection for the life of the process, as for the clients of the runtime.
@cache
def _webhook(file: Path) -> DiscordWebhook:
    return DiscordWebhook(file)
