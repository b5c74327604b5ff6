"""Send Cloud Monitoring incidents and Velocast's own events to a Discord channel.

A marker object is written after Discord has accepted the message. So no message is lost, and one is sent twice only if
the function is killed between the two. A message that cannot be parsed raises an error and is dead-lettered.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import model_validator

from velocast.adapters.channels.discord import DiscordWebhook, Embed
from velocast.adapters.gcs import Objects
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import ObjectMissing
from velocast.core.notices import Notice
from velocast.core.requests import Message
from velocast.core.settings import NotifySettings
from velocast.usecases.context import Run
from velocast.usecases.notifications.event_cards import notice_embed, notice_key
from velocast.usecases.notifications.incident_cards import Incident, incident_embed, incident_key

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

    def embed(self) -> Embed:
        """Return the card to send."""
        if self.notice is not None:
            return notice_embed(self.notice)
        return incident_embed(self.incident or Incident())


def notify_discord(message: AlertMessage, run: Run[NotifySettings]) -> list[AuditRow]:
    """Send one message to Discord, unless it was sent before, and return its audit row.

    Raises DiscordError (the message is delivered again), DiscordRefused, SettingsError.
    """
    key, embed = message.key(run.execution_id), message.embed()
    objects = _objects(run.settings.project, run.settings.reports_bucket)
    marker = marker_name(key)
    sent = _sent(objects, marker)
    if sent is None:
        message_id = _webhook(run.settings.discord_webhook_file).send(embed)
        sent = {"key": key, "title": embed.title, "discord_message_id": message_id}
        sent |= {"sent_at": rfc3339(run.as_of), "execution_id": run.execution_id}
        objects.write_json(marker, sent)
    return [_audit_row(key, sent, run)]


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
        details={name: sent.get(name) for name in ("key", "title", "discord_message_id")},
    )


@cache
def _objects(project: str, bucket: str) -> Objects:
    return Objects(project, bucket)


# One connection for the life of the process, as for the clients of the runtime.
@cache
def _webhook(file: Path) -> DiscordWebhook:
    return DiscordWebhook(file)
