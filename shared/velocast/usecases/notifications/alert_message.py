"""What comes on the topic velocast-alerts: incidents, notices, and the event that ends the quiet hours."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import ValidationError, model_validator

from velocast.adapters.channels.card import Card
from velocast.core.notices import Notice
from velocast.core.requests import Message
from velocast.usecases.notifications.event_cards import notice_card, notice_key
from velocast.usecases.notifications.incident_cards import (
    AMBER,
    Incident,
    incident_card,
    incident_key,
)
from velocast.usecases.notifications.words import Words

# Notices of different events that have one cause; every other event is a cause of its own.
CAUSES = {
    "counters_out_of_order": "counters",
    "counters_work_again": "counters",
    "champion_promoted": "challenger",
    "challenger_refused": "challenger",
}


class AlertMessage(Message):
    """An incident ({"incident": {...}, "version": ...}), a `Notice`, or {"release_held": true}: send what waits."""

    incident: Incident | None = None
    notice: Notice | None = None
    release_held: Literal[True] | None = None

    @model_validator(mode="before")
    @classmethod
    def _event_or_incident(cls, payload: Any) -> Any:
        if isinstance(payload, dict) and isinstance(payload.get("incident"), dict):
            return {"incident": payload["incident"]}
        if isinstance(payload, dict) and "event" in payload:
            return {"notice": payload}
        if isinstance(payload, dict) and "release_held" in payload:
            return payload
        raise ValueError("neither a Cloud Monitoring incident nor a Velocast event")

    def key(self, message_id: str) -> str:
        """Return the key under which this message is sent only once."""
        if self.notice is not None:
            return notice_key(self.notice)
        return incident_key(self.incident or Incident(), message_id)

    def card(self, w: Words) -> Card:
        """Return the card to send, in a language."""
        if self.notice is not None:
            return notice_card(self.notice, w)
        return incident_card(self.incident or Incident(), w)

    @property
    def cause(self) -> str:
        """What the message is about: messages of one cause that waited together are sent as one."""
        if self.notice is not None:
            return CAUSES.get(self.notice.event, self.notice.event)
        incident = self.incident or Incident()
        return f"incident:{incident.policy_name or incident.incident_id}"

    def payload(self) -> dict[str, Any]:
        """Return what `model_validate` reads as this message."""
        if self.notice is not None:
            return self.notice.model_dump(mode="json")
        return self.model_dump(mode="json", include={"incident"})


def read_held(payload: Any, title: str, w: Words) -> tuple[str, Card]:
    """Return cause and card of a message that waited; one that this version cannot read is shown as it was stored."""
    try:
        message = AlertMessage.model_validate(payload)
    except ValidationError:
        text = json.dumps(payload, ensure_ascii=False, indent=1)
        return f"unreadable:{title}", Card(title, AMBER, text, severity="warning")
    return message.cause, message.card(w)
