"""Send Cloud Monitoring incidents and Velocast's own events to people: to Discord and to the city's other channels.

A marker object notes each channel that has accepted the message. So no message is lost, one that a channel refused is
sent again to that channel alone, and one is sent twice only if the function is killed between the two. A message that
comes in a channel's quiet hours waits for their end unless it is critical. A message that cannot be parsed raises an
error and is dead-lettered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from urllib.parse import quote

from velocast.adapters.channels.addressed import open_channel
from velocast.adapters.channels.card import Card
from velocast.adapters.channels.discord import DiscordWebhook
from velocast.adapters.gcs import Objects
from velocast.core import telemetry
from velocast.core.audit_row import AuditRow
from velocast.core.city import DISCORD
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import (
    ChannelError,
    DiscordGone,
    DiscordRefused,
    ObjectMissing,
    SettingsError,
    shown,
)
from velocast.core.settings import NotifySettings
from velocast.usecases import audit
from velocast.usecases.context import Run, describe_error
from velocast.usecases.notifications.alert_message import AlertMessage, read_held
from velocast.usecases.notifications.held import (
    HeldMessage,
    HeldMessages,
    SentMessage,
    group_by_cause,
)
from velocast.usecases.notifications.words import read_words

MARKERS = "notifications/"
LONGEST_NAME = 200
LONGEST_WAIT = timedelta(days=14)  # how long a message waits for a failing channel: two digests
NotifyRun = Run[NotifySettings]


def notify_people(message: AlertMessage, run: NotifyRun) -> list[AuditRow]:
    """Send one message to each channel of its severity that did not get it before, and return its audit row.

    A channel that fails does not keep the others from getting the message; one that is quiet gets it later, unless
    the message is critical. The event `release_held` instead sends what waits, and returns the rows of these messages.
    In a city without quiet hours, which has no such event, what still waits is sent after any message. Raises the first
    failure, once the rows of what was sent are stored: ChannelError (the message is delivered again), DiscordRefused,
    SettingsError.
    """
    objects = _objects(run.settings.project, run.settings.reports_bucket)
    held = HeldMessages(objects)
    failures: list[ChannelError | SettingsError] = []
    if message.release_held:
        rows = _release(held, objects, failures, run)
        if failures:
            raise failures[0]
        return rows
    rows = [_send_now(message, held, objects, run)]
    if held.messages and not run.settings.city.messages.quiet_hours:
        rows += _release(held, objects, failures, run)
    # this message is not at fault, and must not be delivered again because of them
    for failure in failures:
        telemetry.log("WARNING", f"waiting messages are tried again with the next one: {failure}")
    return rows


def _send_now(
    message: AlertMessage, held: HeldMessages, objects: Objects, run: NotifyRun
) -> AuditRow:
    words = read_words(run.settings.city.language)
    key, card = message.key(run.execution_id), message.card(words)
    first = SentMessage(key, card.title, rfc3339(run.as_of), run.execution_id)
    waiting = held.find(key)
    sent = _known(objects, waiting or first)
    missing = [name for name in _wanted(card, run) if name not in sent.channels]
    quiet = [name for name in missing if _waits(name, card, run)]
    if quiet and waiting is None:
        held.hold(HeldMessage(**sent.marker(), payload=message.payload()))
    failures: list[ChannelError | SettingsError] = []
    for name in missing:
        if name not in quiet and _sent_to(name, card, [sent], failures, run.settings):
            objects.write_json(marker_name(key), sent.marker())
    if failures:
        raise failures[0]
    return _audit_row(sent, run, quiet)


def _release(
    held: HeldMessages,
    objects: Objects,
    failures: list[ChannelError | SettingsError],
    run: NotifyRun,
) -> list[AuditRow]:
    """Send what waits to the channels that are not quiet, one message a cause, and return the rows of these messages.

    Without a waiting message there is no row: the event comes every hour. Adds to `failures` what can be tried again;
    what is refused for good is in the message's row. The rows are stored before a message is forgotten, since no later
    run could make them.
    """
    city = run.settings.city
    words = read_words(city.language)
    cards = {each.key: read_held(each.payload, each.title, words)[1] for each in held.messages}
    for each in held.messages:
        each.channels = _known(objects, each).channels

    def lacking(each: HeldMessage) -> list[str]:
        had = each.channels.keys() | each.refused.keys()
        return [name for name in _wanted(cards[each.key], run) if name not in had]

    for channel in sorted(city.messages.named):
        due = [
            each
            for each in held.messages
            if channel in lacking(each) and not _waits(channel, cards[each.key], run)
        ]
        _release_to(channel, due, held, failures, run)
    rows = [_held_row(each, run, lacking(each)) for each in held.messages]
    done = [each for each in held.messages if not lacking(each)]
    if done or failures:
        audit.write(run.warehouse, rows, environment=run.settings.environment)
    for each in done:
        objects.write_json(marker_name(each.key), each.marker())
    if done:
        held.drop(done)
    telemetry.log(
        "INFO", f"messages that waited: {len(done)} done, {len(held.messages)} still wait"
    )
    return rows


def _release_to(
    channel: str,
    due: Sequence[HeldMessage],
    held: HeldMessages,
    failures: list[ChannelError | SettingsError],
    run: NotifyRun,
) -> None:
    """Send messages to one channel, one a cause; of a group that is refused, each message is tried by itself."""
    city = run.settings.city
    for card, messages in group_by_cause(due, city.zone, read_words(city.language)):
        failed: list[ChannelError | SettingsError] = []
        if _sent_to(channel, card, messages, failed, run.settings):
            held.store()
            continue
        (failure,) = failed
        if _is_of_the_message(failure) and len(messages) > 1:
            for each in messages:
                _release_to(channel, [each], held, failures, run)
            continue
        given_up = [each for each in messages if _is_for_good(failure, each, run)]
        for each in given_up:
            each.refused[channel] = describe_error(failure)
            telemetry.log("ERROR", f"gave up sending {each.title!r} to {channel}: {failure}")
        if given_up:
            held.store()
        if len(given_up) < len(messages):
            failures.append(failure)


def _is_of_the_message(failure: ChannelError | SettingsError) -> bool:
    return isinstance(failure, DiscordRefused) and not isinstance(failure, DiscordGone)


def _is_for_good(
    failure: ChannelError | SettingsError, message: HeldMessage, run: NotifyRun
) -> bool:
    return _is_of_the_message(failure) or run.as_of - parse_instant(message.sent_at) >= LONGEST_WAIT


def _wanted(card: Card, run: NotifyRun) -> tuple[str, ...]:
    return run.settings.city.messages.channels(card.severity)


def _waits(channel: str, card: Card, run: NotifyRun) -> bool:
    city = run.settings.city
    return card.severity != "critical" and city.messages.quiet(channel, run.as_of, city.zone)


def _sent_to(
    channel: str,
    card: Card,
    messages: Sequence[SentMessage],
    failures: list[ChannelError | SettingsError],
    settings: NotifySettings,
) -> bool:
    """Send a card to one channel, note its id on the messages that it stands for, and return whether that succeeded."""
    try:
        number = _send(channel, card, settings)
    except (ChannelError, SettingsError) as exc:
        failures.append(exc)
        return False
    for each in messages:
        each.channels[channel] = number
    return True


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


def _known(objects: Objects, message: SentMessage) -> SentMessage:
    """Return what is known to be sent of a message: by its marker, and by itself where it waited."""
    try:
        stored, _ = objects.read_json(marker_name(message.key))
    except ObjectMissing:
        return SentMessage(**message.marker())
    # 0.1 knew one channel
    channels = stored.get("channels", {DISCORD: stored.get("discord_message_id", "")})
    return SentMessage(
        message.key,
        stored["title"],
        stored["sent_at"],
        stored.get("execution_id", message.execution_id),
        channels | message.channels,
    )


def _audit_row(sent: SentMessage, run: NotifyRun, waiting: Sequence[str]) -> AuditRow:
    """Return the row of the message that was sent: the same one when its notice is published again later."""
    sent_at = parse_instant(sent.sent_at)
    details = {"key": sent.key, "title": sent.title, "channels": sent.channels}
    return AuditRow(
        event_id=f"{run.runtime.component}:{sent.key}:alert",
        timestamp=sent_at,
        event_type="ALERT",
        as_of=sent_at,
        execution_id=sent.execution_id,
        details=details | ({"waiting": list(waiting)} if waiting else {}),
    )


def _held_row(message: HeldMessage, run: NotifyRun, waiting: Sequence[str]) -> AuditRow:
    """Return the row of a message that waited; where a channel refused it, with the reason and the message itself."""
    row = _audit_row(message, run, waiting)
    if not message.refused:
        return row
    reasons = "; ".join(f"{name}: {reason}" for name, reason in message.refused.items())
    told = {"refused": message.refused, "message": message.payload}
    return row.model_copy(
        update={
            "status": "FAILED",
            "error_message": shown(reasons),
            "details": row.details | told,
        }
    )


@cache
def _objects(project: str, bucket: str) -> Objects:
    return Objects(project, bucket)


# One connection for the life of the process, as for the clients of the runtime.
@cache
def _webhook(file: Path) -> DiscordWebhook:
    return DiscordWebhook(file)
