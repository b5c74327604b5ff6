"""Messages that wait for the end of a channel's quiet hours, and how those of one cause become one.

They wait in one object, which is written with a precondition. What a channel accepts is noted there for all messages
of a cause in one write, so that a run that is killed leaves them either all sent or all waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from velocast.adapters.channels.card import Card, CardField
from velocast.adapters.channels.discord import within_limits
from velocast.adapters.gcs import Objects
from velocast.core.datetimes import parse_instant
from velocast.core.errors import ObjectMissing
from velocast.usecases.notifications.alert_message import read_held
from velocast.usecases.notifications.digest_card import in_parts
from velocast.usecases.notifications.words import Words

HELD = "held_messages.json"


@dataclass
class SentMessage:
    """One message: what was sent of it, as its marker has it.

    channels: those that have accepted it, and its id there. sent_at, execution_id: of the run that received it first.
    """

    key: str
    title: str
    sent_at: str
    execution_id: str
    channels: dict[str, str] = field(default_factory=dict)

    def marker(self) -> dict[str, Any]:
        """Return the content of the message's marker."""
        names = ("key", "title", "sent_at", "execution_id", "channels")
        return {name: getattr(self, name) for name in names}


@dataclass
class HeldMessage(SentMessage):
    """One message that waits for at least one channel.

    payload: as `AlertMessage` reads it. refused: channels that will never accept it, and why.
    """

    payload: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class HeldMessages:
    """The messages that wait, in the order in which they came."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        try:
            stored, self._generation = objects.read_json(HELD)
        except ObjectMissing:
            stored, self._generation = {"messages": []}, 0
        self.messages = [HeldMessage(**each) for each in stored["messages"]]

    def find(self, key: str) -> HeldMessage | None:
        """Return the message of this key, if it waits."""
        return next((each for each in self.messages if each.key == key), None)

    def hold(self, message: HeldMessage) -> None:
        """Let one more message wait. Raises ObjectChanged when another run wrote meanwhile."""
        self.messages.append(message)
        self.store()

    def drop(self, done: Sequence[HeldMessage]) -> None:
        """Forget messages that wait no longer. Raises ObjectChanged when another run wrote meanwhile."""
        self.messages = [each for each in self.messages if each not in done]
        self.store()

    def store(self) -> None:
        """Write the messages as they are now. Raises ObjectChanged when another run wrote meanwhile."""
        value = {"messages": [asdict(each) for each in self.messages]}
        self._generation = self._objects.write_json(HELD, value, if_generation=self._generation)


def group_by_cause(
    messages: Sequence[HeldMessage], zone: ZoneInfo, w: Words
) -> list[tuple[Card, list[HeldMessage]]]:
    """Return one card for the messages of each cause, with these messages; several where one would be cut."""
    by_cause: dict[str, list[tuple[Card, HeldMessage]]] = {}
    for message in messages:
        cause, card = read_held(message.payload, message.title, w)
        by_cause.setdefault(cause, []).append((card, message))
    groups: list[tuple[Card, list[HeldMessage]]] = []
    for waiting in by_cause.values():
        together = [waiting[0]]
        for each in waiting[1:]:
            if _is_whole(_merged([*together, each], zone, w)):
                together.append(each)
            else:
                groups.append((_merged(together, zone, w), [message for _, message in together]))
                together = [each]
        groups.append((_merged(together, zone, w), [message for _, message in together]))
    return groups


def _is_whole(card: Card) -> bool:
    return within_limits(card) == card


def _merged(waiting: Sequence[tuple[Card, HeldMessage]], zone: ZoneInfo, w: Words) -> Card:
    """Return the newest card with a field for each earlier one; cards that say the same are only counted."""
    *earlier, (newest, _) = waiting
    fields = list(newest.fields)
    said, again = [_said(newest)], 0
    for card, message in earlier:
        if _said(card) in said:
            again += 1
            continue
        said.append(_said(card))
        at = _moment(card, message).astimezone(zone)
        values = (w("label", name=each.name, value=each.value) for each in card.fields)
        lines = [line for text in (card.description, *values) for line in text.splitlines()]
        fields += in_parts(f"{at:%H:%M} {card.title}", lines or ["–"])
    if again:
        fields.append(CardField("…", w.some("again", again), inline=False))
    footer = f"{newest.footer} · {w('waited')}".removeprefix(" · ")
    return replace(newest, fields=tuple(fields), footer=footer)


def _said(card: Card) -> tuple[object, ...]:
    return card.title, card.description, card.fields


def _moment(card: Card, message: HeldMessage) -> datetime:
    return parse_instant(card.timestamp or message.sent_at)
