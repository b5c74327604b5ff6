"""Messages to a Discord channel, by its webhook.

The webhook's address is a secret: it is read from a mounted file for each message, and neither logged nor put into an
error. Limits: discord/discord-api-docs, "Message" and "Execute Webhook"; counted in characters.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from velocast.core.errors import DiscordError, DiscordRefused, SettingsError

CONTENT, TITLE, DESCRIPTION, FIELDS, NAME, VALUE, FOOTER = 2000, 256, 4096, 25, 256, 1024, 2048
TOTAL = 6000
CUT = " … (cut)"
NOTHING = "–"
CALL_SECONDS = 10.0
PATIENCE_SECONDS = 5.0
USER_AGENT = "DiscordBot (https://github.com/velocast/velocast, 0.1)"
VARIABLE = "VELOCAST_DISCORD_WEBHOOK_FILE"
GONE = frozenset({401, 403, 404})

# httpx writes the address of every request to its log, and this address is a secret.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True)
class Field:
    """One field of an embed: at most 256 characters of name, 1,024 of value."""

    name: str
    value: str
    inline: bool = True


@dataclass(frozen=True)
class Embed:
    """One card. `color` is 0xRRGGBB, `timestamp` RFC 3339, `url` what the title links to (http or https)."""

    title: str
    color: int
    description: str = ""
    fields: tuple[Field, ...] = ()
    url: str = ""
    timestamp: str = ""
    footer: str = ""


def fit(embed: Embed) -> Embed:
    """Return an embed within Discord's limits: what is too long is cut, with a sign; fields beyond them are counted.

    The 6,000 characters of all parts together cost the last fields first, then the end of the description.
    """
    fields = tuple(
        Field(_cut(f.name, NAME) or NOTHING, _cut(f.value, VALUE) or NOTHING, f.inline)
        for f in embed.fields
    )
    fitted = replace(
        embed,
        title=_cut(embed.title, TITLE) or NOTHING,
        description=_cut(embed.description, DESCRIPTION),
        footer=_cut(embed.footer, FOOTER),
        fields=_first(fields, FIELDS),
    )
    kept = len(fields)
    while length(fitted) > TOTAL and kept > 0:
        kept -= 1
        fitted = replace(fitted, fields=_first(fields, kept))
    over = max(0, length(fitted) - TOTAL)
    return replace(fitted, description=_cut(fitted.description, len(fitted.description) - over))


def length(embed: Embed) -> int:
    """Return the characters that count towards the 6,000."""
    of_fields = sum(len(f.name) + len(f.value) for f in embed.fields)
    return len(embed.title) + len(embed.description) + len(embed.footer) + of_fields


def payload(embed: Embed, content: str = "") -> dict[str, Any]:
    """Return the body of one message. Nobody is pinged, whatever its text says."""
    fitted = fit(embed)
    card = asdict(fitted) | {"footer": {"text": fitted.footer}}
    if not embed.url.startswith(("http://", "https://")):
        card["url"] = ""
    empty = {name for name, value in card.items() if value in ("", (), [], {"text": ""})}
    return {
        "username": "Velocast",
        "content": _cut(content, CONTENT),
        "embeds": [{name: value for name, value in card.items() if name not in empty}],
        "allowed_mentions": {"parse": []},
    }


class DiscordWebhook:
    """One channel, reached by the webhook whose address stands in a file."""

    def __init__(self, file: Path, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._file = file
        self._sleep = sleep
        self._client = httpx.Client(timeout=CALL_SECONDS, headers={"User-Agent": USER_AGENT})

    def send(self, embed: Embed, content: str = "") -> str:
        """Send one message and return its id, once Discord has stored it.

        A 429 is waited for up to 5 s in all. Raises DiscordError when the answer is a longer wait, 5xx or none (Pub/Sub
        brings the message again), DiscordRefused when Discord will never take it, SettingsError without an address.
        """
        body, waited = payload(embed, content), 0.0
        while True:
            answer = self._post(body)
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return _message_id(answer)
            pause = _retry_after(answer)
            waited += pause
            if waited > PATIENCE_SECONDS:
                raise DiscordError(
                    f"Discord asks to wait {pause:g} s (429), more than the {PATIENCE_SECONDS:g} s that one run waits; "
                    "the message comes again from Pub/Sub"
                )
            self._sleep(pause)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _post(self, body: dict[str, Any]) -> httpx.Response:
        try:
            return self._client.post(self._address(), params={"wait": "true"}, json=body)
        except httpx.HTTPError as exc:
            raise DiscordError(
                f"Discord does not answer ({type(exc).__name__}: {exc}); the message comes again from Pub/Sub"
            ) from None  # the request in httpx's error holds the address
        except httpx.InvalidURL:
            raise SettingsError(
                f"{VARIABLE}: the address in {self._file} cannot be read; copy the webhook's URL again"
            ) from None

    def _address(self) -> str:
        try:
            address = self._file.read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise SettingsError(
                f"{VARIABLE}: cannot read {self._file} ({type(exc).__name__}); mount the secret there"
            ) from exc
        if not address.startswith(("http://", "https://")) or len(address.split()) != 1:
            raise SettingsError(
                f"{VARIABLE}: {self._file} holds no web address; put the webhook's URL into the secret"
            )
        return address


def _message_id(answer: httpx.Response) -> str:
    status = answer.status_code
    if status == httpx.codes.OK:
        return str(_json(answer).get("id", ""))
    if answer.is_success:
        return ""
    said = str(_json(answer) or answer.text)[:500]
    if status in GONE:
        raise DiscordRefused(
            f"Discord answers {status}: the webhook is gone or its token wrong ({said}); "
            "make a new one in the channel's settings and put it into the secret velocast-discord-webhook"
        )
    if answer.is_client_error:
        raise DiscordRefused(f"Discord refuses the message with {status}: {said}")
    raise DiscordError(f"Discord answers {status}: {said}; the message comes again from Pub/Sub")


def _retry_after(answer: httpx.Response) -> float:
    """Return the seconds a 429 asks to wait; one from Discord's edge has no JSON, only the header."""
    for value in (_json(answer).get("retry_after"), answer.headers.get("Retry-After")):
        try:
            seconds = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return PATIENCE_SECONDS + 1


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _first(fields: tuple[Field, ...], count: int) -> tuple[Field, ...]:
    """Return the first fields, `count` at most, the last of them saying how many were left out."""
    if len(fields) <= count:
        return fields
    kept = fields[: max(0, count - 1)]
    return (*kept, Field("…", f"{len(fields) - len(kept)} more fields were left out", inline=False))


def _cut(text: str, limit: int) -> str:
    text = text.strip()
    if len(text) <= limit:
        return text
    return text[: max(0, limit - len(CUT))].rstrip() + CUT[: max(0, limit)]
