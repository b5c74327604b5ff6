"""The inbox by itself: Discord's answers, messages that survive, and the chat page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gcp_emulators.core.http_server import HttpServer
from velocast_local.discord.inbox import inbox_routes

pytestmark = pytest.mark.emulator

HOOK = "/discord/api/webhooks/42/token"
EMBED = {"title": "Drift", "color": 0xE0A100, "timestamp": "2026-03-01T00:00:00Z"}


@contextmanager
def inbox(folder: Path) -> Iterator[httpx.Client]:
    with HttpServer(inbox_routes(folder)) as server, httpx.Client(base_url=server.url) as client:
        yield client


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    with inbox(tmp_path) as opened:
        yield opened


def test_without_wait_the_answer_is_empty(client: httpx.Client) -> None:
    answer = client.post(HOOK, json={"content": "hello"})
    assert (answer.status_code, answer.content) == (204, b"")


def test_with_wait_the_answer_is_the_message(client: httpx.Client) -> None:
    message = client.post(
        f"{HOOK}?wait=true", json={"username": "Velocast", "embeds": [EMBED]}
    ).json()
    assert int(message["id"]) >= 10**18
    assert message["author"] == {"username": "Velocast", "bot": True}
    assert message["timestamp"] == "2026-03-01T00:00:00Z"
    assert client.get("/discord/messages").json()["messages"] == [message]


def test_messages_survive_in_their_order(tmp_path: Path) -> None:
    with inbox(tmp_path) as first:
        for text in ("one", "two"):
            first.post(HOOK, json={"content": text})
    with inbox(tmp_path) as second:
        second.post(HOOK, json={"content": "three"})
        messages = second.get("/discord/messages").json()["messages"]
    assert [m["content"] for m in messages] == ["one", "two", "three"]
    assert len({m["id"] for m in messages}) == 3


def field(**changes: Any) -> dict[str, Any]:
    return {"embeds": [EMBED | {"fields": [{"name": "n", "value": "v"} | changes]}]}


TOO_LONG, REQUIRED = "BASE_TYPE_MAX_LENGTH", "BASE_TYPE_REQUIRED"


def embed(**changes: Any) -> dict[str, Any]:
    return {"embeds": [EMBED | changes]}


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({}, "content", REQUIRED),
        ({"content": "  "}, "content", REQUIRED),
        ({"content": "c" * 2001}, "content", TOO_LONG),
        ({"embeds": [EMBED] * 11}, "embeds", TOO_LONG),
        (embed(title="t" * 257), "embeds.0.title", TOO_LONG),
        (
            {"embeds": [EMBED, EMBED | {"description": "d" * 4097}]},
            "embeds.1.description",
            TOO_LONG,
        ),
        (embed(footer={"text": "f" * 2049}), "embeds.0.footer.text", TOO_LONG),
        (embed(author={"name": "a" * 257}), "embeds.0.author.name", TOO_LONG),
        (embed(color=0x1000000), "embeds.0.color", "NUMBER_TYPE_MAX"),
        (embed(url="gs://x"), "embeds.0.url", "URL_TYPE_INVALID_SCHEME"),
        (field(name=""), "embeds.0.fields.0.name", REQUIRED),
        (field(value=" "), "embeds.0.fields.0.value", REQUIRED),
        (field(value="v" * 1025), "embeds.0.fields.0.value", TOO_LONG),
        (embed(fields=[{"name": "n", "value": "v"}] * 26), "embeds.0.fields", TOO_LONG),
        (
            {"embeds": [EMBED | {"description": "d" * 3000}] * 2},
            "embeds",
            "MAX_EMBED_SIZE_EXCEEDED",
        ),
    ],
)
def test_what_discord_refuses_is_refused(
    client: httpx.Client, body: dict[str, Any], path: str, code: str
) -> None:
    answer = client.post(f"{HOOK}?wait=true", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 50035)
    place = answer.json()["errors"]
    for part in path.split("."):
        place = place[part]
    assert place["_errors"][0]["code"] == code
    assert client.get("/discord/messages").json()["messages"] == []


@pytest.mark.parametrize("data", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_object_is_refused(client: httpx.Client, data: bytes) -> None:
    answer = client.post(HOOK, content=data)
    assert (answer.status_code, answer.json()["code"]) == (400, 50109)


def test_it_refuses_as_often_as_it_was_told(client: httpx.Client) -> None:
    client.post("/discord/refusals", json={"status": 429, "times": 2, "retry_after": 0.5})
    answers = [client.post(HOOK, json={"content": "x"}) for _ in range(3)]
    assert [a.status_code for a in answers] == [429, 429, 204]
    assert answers[0].json()["retry_after"] == 0.5
    assert answers[0].headers["Retry-After"] == "0.5"


@pytest.mark.parametrize(("status", "code"), [(404, 10015), (401, 0), (500, 0), (503, 0)])
def test_it_plays_other_errors(client: httpx.Client, status: int, code: int) -> None:
    client.post("/discord/refusals", json={"status": status})
    answer = client.post(HOOK, json={"content": "x"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_chat_shows_messages_and_runs_none_of_their_text(client: httpx.Client) -> None:
    assert "No messages yet" in client.get("/discord").text
    card = EMBED | {
        "title": "<script>alert(1)</script>",
        "url": 'https://example.org/"onclick="',
        "description": "failed:\n```\n<b>trace</b>\n```",
        "fields": [{"name": "<i>", "value": "R² 0.7", "inline": False}],
        "footer": {"text": "velocast & co"},
    }
    client.post(HOOK, json={"content": "a <b>", "embeds": [card]})
    page = client.get("/discord").text
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<pre>&lt;b&gt;trace&lt;/b&gt;</pre>" in page
    assert 'href="https://example.org/&#34;onclick=&#34;"' in page
    assert '<div class="wide"><dt>&lt;i&gt;</dt><dd>R² 0.7</dd></div>' in page
    assert "velocast &amp; co" in page
    assert "2026-03-01 00:00 UTC" in page
    assert "border-color:#e0a100" in page
