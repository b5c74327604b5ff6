"""Cloud Monitoring incidents, as its Pub/Sub channel delivers them, and their cards.

Parsing is lenient: it accepts version 1.2 and the console's test notification, which has another version, another
letter case and fewer keys.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, field_validator

from velocast.adapters.channels.card import Card
from velocast.adapters.channels.card import CardField as Line
from velocast.core.city import Severity
from velocast.core.datetimes import rfc3339
from velocast.usecases.notifications.words import Words

GREEN, BLUE, AMBER, ORANGE, RED = 0x2E9E5B, 0x3B7DD8, 0xE0A100, 0xE06C00, 0xD13438
SEVERITY_COLORS = {"critical": RED, "error": ORANGE, "warning": AMBER}
# Terraform sets a severity on every alert; an incident without one may be as bad as any.
SEVERITIES: dict[str, Severity] = {
    "critical": "critical",
    "error": "critical",
    "warning": "warning",
}
LONGEST_EPOCH = 4_102_444_800  # the year 2100; a larger number is not a time in seconds


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int | float) else None


def _seconds(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


# A key of an unexpected type is ignored, so that the alert is not lost.
OptionalText = Annotated[str | None, BeforeValidator(_text)]
Epoch = Annotated[float | None, BeforeValidator(_seconds)]


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Documentation(_Lenient):
    """The documentation of an alert policy: its runbook."""

    content: OptionalText = None
    subject: OptionalText = None


class Incident(_Lenient):
    """One incident; every key may be missing. Times are epoch seconds, 0 or null while the incident is open."""

    incident_id: OptionalText = None
    state: str = "open"
    severity: OptionalText = None
    policy_name: OptionalText = None
    condition_name: OptionalText = None
    summary: OptionalText = None
    url: OptionalText = None
    started_at: Epoch = None
    ended_at: Epoch = None
    resource_display_name: OptionalText = None
    resource_name: OptionalText = None
    observed_value: OptionalText = None
    threshold_value: OptionalText = None
    documentation: Documentation | None = None

    @field_validator("documentation", mode="before")
    @classmethod
    def _plain_text(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"content": value}

    @field_validator("state", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> str:
        return str(value or "open").lower()

    @property
    def closed(self) -> bool:
        """Whether the incident is over."""
        return self.state == "closed"


def incident_key(incident: Incident, message_id: str) -> str:
    """Return the key under which an incident's opening, and its closing, are each sent only once."""
    return f"incident:{incident.incident_id or message_id}:{incident.state}"


def incident_card(incident: Incident, w: Words) -> Card:
    """Return the card of an incident, with the rule's own texts as they are."""
    name = incident.policy_name or incident.condition_name or w("unnamed")
    severity = (incident.severity or "").lower()
    runbook = incident.documentation.content if incident.documentation else None
    parts = [incident.summary] if incident.closed else [incident.summary, runbook]
    moment = incident.ended_at if incident.closed else incident.started_at
    return Card(
        title=w("resolved" if incident.closed else "incident", name=name),
        color=GREEN if incident.closed else SEVERITY_COLORS.get(severity, BLUE),
        description="\n\n".join(p for p in parts if p),
        fields=tuple(Line(label, value) for label, value in _lines(incident, w) if value),
        url=incident.url or "",
        timestamp=_instant(moment) or "",
        footer="Cloud Monitoring",
        severity=SEVERITIES.get(severity, "critical"),
    )


def _lines(incident: Incident, w: Words) -> list[tuple[str, str | None]]:
    return [
        (w("incident.severity"), incident.severity),
        (w("incident.condition"), incident.condition_name),
        (w("incident.resource"), incident.resource_display_name or incident.resource_name),
        (w("incident.observed"), incident.observed_value),
        (w("incident.threshold"), incident.threshold_value),
        (w("incident.opened"), _instant(incident.started_at)),
        (w("incident.closed"), _instant(incident.ended_at)),
    ]


def _instant(epoch: float | None) -> str | None:
    if not epoch or not 0 < epoch < LONGEST_EPOCH:
        return None
    return rfc3339(datetime.fromtimestamp(epoch, UTC))
