"""Messages to a Discord channel, sent through its webhook.

The webhook's address is a secret: it is read from a mounted file for each message, and never logged or put into an
error. Limits, in characters: discord/discord-api-docs, "Message" and "Execute Webhook".
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import httpx

from velocast.adapters.channels.card import Card, CardField
from velocast.adapters.http_client import Deadline, OutOfTime, open_client
from velocast.core.errors import DiscordError, DiscordGone, DiscordRefused, SettingsError

CONTENT, TITLE, DESCRIPTION, FIELDS, NAME, VALUE, FOOTER = 2000, 256, 4096, 25, 256, 1024, 2048
TOTAL = 6000
CUT = " … (cut)"
NOTHING = "–"
TIMEOUT = httpx.Timeout(10.0)  # seconds of silence
SEND_SECONDS = 30.0  # one message, with all tries and pauses; the function `notify` has 300 s
PATIENCE_SECONDS = 5.0  # pauses after 429, together
USER_AGENT = "DiscordBot (https://github.com/velocast/velocast, 0.1)"
VARIABLE = "VELOCAST_DISCORD_WEBHOOK_FILE"
GONE = frozenset({401, 403, 404})

# httpx logs the address of every request, and this address is a secret.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


def within_limits(card: Card) -> Card:
    """Return a card that Discord accepts: text that is too long is cut and marked, surplus fields are counted.

    If all parts together exceed 6,000 characters, the last fields go first, then the end of the description.
    """
    fields = tuple(
        CardField(_cut(f.name, NAME) or NOTHING, _cut(f.value, VALUE) or NOTHING, f.inline)
        for f in card.fields
    )
    shortened = replace(
        card,
        title=_cut(card.title, TITLE) or NOTHING,
        description=_cut(card.description, DESCRIPTION),
        footer=_cut(card.footer, FOOTER),
        fields=_first(fields, FIELDS),
    )
    kept = len(fields)
    while length(shortened) > TOTAL and kept > 0:
        kept -= 1
        shortened = replace(shortened, fields=_first(fields, kept))
    surplus = max(0, length(shortened) - TOTAL)
    description = _cut(shortened.description, len(shortened.description) - surplus)
    return replace(shortened, description=description)


def length(card: Card) -> int:
    """Return the number of characters that count towards the limit of 6,000."""
    of_fields = sum(len(f.name) + len(f.value) for f in card.fields)
    return len(card.title) + len(card.description) + len(card.footer) + of_fields


def payload(card: Card, content: str = "") -> dict[str, Any]:
    """Return the request body of one message, within Discord's limits. Mentions in the text notify nobody."""
    shortened = within_limits(card)
    embed = asdict(shortened) | {"footer": {"text": shortened.footer}}
    del embed["severity"]  # Velocast's own
    if not card.url.startswith(("http://", "https://")):
        embed["url"] = ""
    empty = {name for name, value in embed.items() if value in ("", (), [], {"text": ""})}
    return {
        "username": "Velocast",
        "content": _cut(content, CONTENT),
        "embeds": [{name: value for name, value in embed.items() if name not in empty}],
        "allowed_mentions": {"parse": []},
    }


class DiscordWebhook:
    """One channel, reached through the webhook whose address is in a file.

    sleep waits so many seconds; clock gives seconds and never goes back.
    """

    def __init__(
        self,
        file: Path,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._sleep = sleep
        self._deadline = Deadline(clock)
        self._client = open_client(self._deadline, user_agent=USER_AGENT, timeout=TIMEOUT)

    def send(self, card: Card, content: str = "") -> str:
        """Send one message and return its id, once Discord has stored it.

        After a 429 it waits as long as asked, up to 5 s in total. Raises DiscordError when that is not enough, for a
        5xx and when there is no complete answer within 30 s (Pub/Sub delivers the message again), DiscordRefused when
        Discord will never accept the message, DiscordGone without the webhook, SettingsError without a usable address.
        """
        body, waited = payload(card, content), 0.0
        self._deadline.start(SEND_SECONDS)
        while True:
            answer = self._post(body)
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return _message_id(answer)
            pause = _retry_after(answer)
            waited += pause
            if waited > PATIENCE_SECONDS:
                raise DiscordError(
                    f"Discord asks to wait {pause:g} s (429), more than the {PATIENCE_SECONDS:g} s that one run waits; "
                    "Pub/Sub delivers the message again"
                )
            self._sleep(pause)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _post(self, body: dict[str, Any]) -> httpx.Response:
        try:
            return self._client.post(self._address(), params={"wait": "true"}, json=body)
        except OutOfTime as exc:
            raise DiscordError(
                f"Discord did not answer within {exc.seconds:g} s; Pub/Sub delivers the message again"
            ) from None
        except httpx.HTTPError as exc:
            raise DiscordError(
                f"Discord does not answer ({type(exc).__name__}: {exc}); Pub/Sub delivers the message again"
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
                f"{VARIABLE}: {self._file} holds no web address; put the webhook's URL in the secret"
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
        raise DiscordGone(
            f"Discord answers {status}: the webhook is gone or its token is wrong ({said}); "
            "make a new one in the channel's settings and put its URL in the secret velocast-discord-webhook"
        )
    if answer.is_client_error:
        raise DiscordRefused(f"Discord refuses the message with {status}: {said}")
    raise DiscordError(f"Discord answers {status}: {said}; Pub/Sub delivers the message again")


def _retry_after(answer: httpx.Response) -> float:
    """Return the seconds that a 429 asks to wait. One from Discord's edge network has only the header, no JSON."""
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
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _first(fields: tuple[CardField, ...], count: int) -> tuple[CardField, ...]:
    """Return at most `count` fields; if some were left out, the last one says how many."""
    if len(fields) <= count:
        return fields
    kept = fields[: max(0, count - 1)]
    left_out = f"{len(fields) - len(kept)} more fields were left out"
    return (*kept, CardField("…", left_out, inline=False))


def _cut(text: str, limit: int) -> str:
    text = text.strip()
    if len(text) <= limit:
        return text
    return text[: max(0, limit - len(CUT))].rstrip() + CUT[: max(0, limit)]
