"""One push request as Pub/Sub sends it, and what the response means."""

from __future__ import annotations

import base64
import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from gcp_emulators.pubsub.journal import PublishedMessage, Resource

ACKNOWLEDGED = frozenset({102, 200, 201, 202, 204})


@dataclass(frozen=True)
class PushResult:
    """HTTP status of a push (None without a response) and, unless acknowledged, the error text."""

    status: int | None
    error: str | None

    @property
    def acknowledged(self) -> bool:
        """Whether Pub/Sub treats this response as an acknowledgement."""
        return self.status in ACKNOWLEDGED


def message_json(message: PublishedMessage) -> Resource:
    """Return a message in Pub/Sub's JSON form; empty `data` and `attributes` are omitted."""
    resource: Resource = {"messageId": str(message.id), "publishTime": message.published_at}
    if message.data:
        resource["data"] = base64.b64encode(message.data).decode()
    if message.attributes:
        resource["attributes"] = message.attributes
    return resource


def push_body(message: PublishedMessage, subscription: str, attempt: int | None) -> bytes:
    """Return the wrapped body; `attempt` is sent only for subscriptions with a dead-letter policy."""
    wrapped = message_json(message)
    # Pub/Sub sends both spellings
    wrapped |= {"message_id": wrapped["messageId"], "publish_time": wrapped["publishTime"]}
    body: Resource = {"message": wrapped, "subscription": subscription}
    if attempt is not None:
        body["deliveryAttempt"] = attempt
    return json.dumps(body).encode()


def push(url: str, body: bytes, timeout: float) -> PushResult:
    """POST a push body and return the result; a refused or broken connection is a result, not an error."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(
        target.hostname or "", target.port or 80, timeout=timeout
    )
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": "CloudPubSub-Google"}
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as exc:
        return PushResult(None, f"{type(exc).__name__}: {exc}")
    finally:
        connection.close()
    said = None if answer.status in ACKNOWLEDGED else text[:2000]
    return PushResult(answer.status, said)
