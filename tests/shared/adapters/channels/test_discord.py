"""The webhook client against the local inbox, over real HTTP: the inbox refuses what Discord refuses."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gcp_emulators.core.http_server import HttpServer
from tests.shared.adapters.raw_server import dripping, raw_server
from velocast.adapters.channels.card import Card, CardField
from velocast.adapters.channels.discord import (
    CUT,
    TOTAL,
    DiscordWebhook,
    length,
    payload,
    within_limits,
)
from velocast.core.errors import DiscordError, DiscordRefused, SettingsError
from velocast_local.discord.inbox import inbox_routes

TOKEN = "very-secret-token"
CARD = Card("Champion promoted", 0x2E9E5B, "It is better.", (CardField("Old", "R² 0.68"),))


@dataclass
class Channel:
    """A running inbox, and a client of it that notes its pauses instead of sleeping."""

    url: str
    file: Path
    pauses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.webhook = DiscordWebhook(self.file, sleep=self.pauses.append)

    def messages(self) -> list[dict[str, Any]]:
        return list(httpx.get(f"{self.url}/discord/messages").json()["messages"])

    def refuse(self, **refusal: Any) -> None:
        httpx.post(f"{self.url}/discord/refusals", json=refusal).raise_for_status()


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    with HttpServer(inbox_routes(tmp_path / "inbox")) as server:
        file = tmp_path / "webhook"
        file.write_text(f"{server.url}/discord/api/webhooks/42/{TOKEN}\n", encoding="utf-8")
        opened = Channel(server.url, file)
        yield opened
        opened.webhook.close()


def test_a_message_arrives_and_its_id_comes_back(channel: Channel) -> None:
    message_id = channel.webhook.send(CARD, "hello")
    stored = channel.messages()
    assert [m["id"] for m in stored] == [message_id]
    assert stored[0]["content"] == "hello"
    assert stored[0]["embeds"] == [
        {
            "title": "Champion promoted",
            "color": 0x2E9E5B,
            "description": "It is better.",
            "fields": [{"name": "Old", "value": "R² 0.68", "inline": True}],
            "type": "rich",
        }
    ]


def test_nobody_is_pinged() -> None:
    assert payload(Card("@everyone", 0))["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize(
    "embed",
    [
        Card("t" * 300, 0),
        Card("t", 0, "d" * 5000),
        Card("t", 0, fields=(CardField("n" * 300, "v" * 2000),)),
        Card("t", 0, fields=tuple(CardField(f"field {i}", "v") for i in range(40))),
        Card(
            "t",
            0,
            "d" * 4096,
            tuple(CardField("n" * 256, "v" * 1024) for _ in range(25)),
            footer="f" * 3000,
        ),
        Card("t", 0, "d" * 4096, footer="f" * 2048),
        Card("  ", 0, fields=(CardField("", ""), CardField(" \n", "v"))),
        Card("t", 0, url="gs://bucket/report.html"),
    ],
    ids=[
        "title",
        "description",
        "field",
        "40 fields",
        "everything",
        "no fields",
        "blank",
        "scheme",
    ],
)
def test_what_is_too_much_is_cut_to_what_discord_takes(channel: Channel, embed: Card) -> None:
    assert length(within_limits(embed)) <= TOTAL
    channel.webhook.send(embed)
    assert len(channel.messages()) == 1


def test_a_cut_is_told() -> None:
    fitted = within_limits(
        Card("t", 0, "d" * 5000, tuple(CardField(f"f{i}", "v") for i in range(40)))
    )
    assert fitted.description.endswith(CUT)
    assert len(fitted.description) == 4096
    assert fitted.fields[-1] == CardField("…", "16 more fields were left out", inline=False)
    assert len(fitted.fields) == 25


def test_the_last_fields_go_before_the_description() -> None:
    fitted = within_limits(
        Card("t", 0, "d" * 4096, tuple(CardField(f"f{i}", "v" * 1000) for i in range(5)))
    )
    assert fitted.description == "d" * 4096
    assert [f.name for f in fitted.fields] == ["f0", "…"]
    assert fitted.fields[-1].value == "4 more fields were left out"


def test_what_fits_is_left_as_it_is() -> None:
    assert within_limits(CARD) == CARD


@pytest.mark.parametrize("without_json", [False, True])
def test_a_short_wait_is_waited(channel: Channel, without_json: bool) -> None:
    channel.refuse(status=429, times=2, retry_after=1.5, without_json=without_json)
    channel.webhook.send(CARD)
    assert channel.pauses == [1.5, 1.5]
    assert len(channel.messages()) == 1


@pytest.mark.parametrize(("times", "retry_after", "pauses"), [(1, 30.0, []), (9, 2.0, [2.0, 2.0])])
def test_a_long_wait_is_left_to_pubsub(
    channel: Channel, times: int, retry_after: float, pauses: list[float]
) -> None:
    channel.refuse(status=429, times=times, retry_after=retry_after)
    with pytest.raises(
        DiscordError, match=r"Discord asks to wait .* s \(429\), more than the 5 s"
    ) as caught:
        channel.webhook.send(CARD)
    assert caught.value.retryable
    assert channel.pauses == pauses
    assert channel.messages() == []


def test_a_server_error_is_left_to_pubsub(channel: Channel) -> None:
    channel.refuse(status=500)
    with pytest.raises(DiscordError, match="Discord answers 500") as caught:
        channel.webhook.send(CARD)
    assert caught.value.retryable


@pytest.mark.parametrize("status", [401, 404])
def test_a_webhook_that_is_gone_says_what_to_do(channel: Channel, status: int) -> None:
    channel.refuse(status=status)
    words = rf"Discord answers {status}: the webhook is gone .* make a new one"
    with pytest.raises(DiscordRefused, match=words) as caught:
        channel.webhook.send(CARD)
    assert not caught.value.retryable


def test_a_message_discord_never_takes_is_not_retryable(channel: Channel) -> None:
    with pytest.raises(
        DiscordRefused, match=r"Discord refuses the message with 400: .*NUMBER_TYPE_MAX"
    ):
        channel.webhook.send(Card("t", color=0x1000000))


def test_nobody_answering_is_left_to_pubsub(tmp_path: Path) -> None:
    with HttpServer([]) as server:
        url = server.url
    file = tmp_path / "webhook"
    file.write_text(f"{url}/api/webhooks/42/{TOKEN}", encoding="utf-8")
    webhook = DiscordWebhook(file)
    with pytest.raises(DiscordError, match=r"Discord does not answer \(ConnectError") as caught:
        webhook.send(CARD)
    webhook.close()
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_answer_that_never_ends_is_left_to_pubsub(tmp_path: Path) -> None:
    file = tmp_path / "webhook"
    ticks = itertools.count()
    with raw_server(dripping) as server:
        file.write_text(f"{server.url}/api/webhooks/42/{TOKEN}", encoding="utf-8")
        webhook = DiscordWebhook(file, clock=lambda: float(next(ticks)))
        words = "Discord did not answer within 30 s; Pub/Sub delivers the message again"
        with pytest.raises(DiscordError, match=words) as caught:
            webhook.send(CARD)
        webhook.close()
    assert caught.value.retryable
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None


def test_waits_of_no_length_are_not_repeated_for_ever(channel: Channel) -> None:
    ticks = itertools.count()
    channel.refuse(status=429, times=1000, retry_after=0)
    webhook = DiscordWebhook(channel.file, clock=lambda: float(next(ticks)))
    with pytest.raises(DiscordError, match="did not answer within 30 s"):
        webhook.send(CARD)
    webhook.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot read .*; mount the secret there"),
        ("", "holds no web address"),
        (TOKEN, "holds no web address"),
        (f"http://127.0.0.1:{TOKEN}/", "the address in .* cannot be read"),
    ],
)
def test_an_address_that_is_none_is_not_repeated(
    tmp_path: Path, text: str | None, words: str
) -> None:
    file = tmp_path / "webhook"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    webhook = DiscordWebhook(file)
    with pytest.raises(SettingsError, match=f"VELOCAST_DISCORD_WEBHOOK_FILE: .*{words}") as caught:
        webhook.send(CARD)
    webhook.close()
    assert TOKEN not in str(caught.value)


def test_a_new_address_is_taken_over(channel: Channel) -> None:
    channel.webhook.send(CARD)
    channel.file.write_text(f"{channel.url}/discord/api/webhooks/43/other", encoding="utf-8")
    channel.webhook.send(CARD)
    assert [m["webhook_id"] for m in channel.messages()] == ["42", "43"]


def test_the_address_is_never_logged(channel: Channel, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        channel.webhook.send(CARD)
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("uvicorn")]
    assert TOKEN not in "".join(ours)  # uvicorn is the inbox's server, in this same process
