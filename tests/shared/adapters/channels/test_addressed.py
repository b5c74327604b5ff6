"""Channels beside Discord, against imitations of their services and a real mail server."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from gcp_emulators.core.http_server import HttpServer, free_port
from tests.shared.adapters.channels.imitated_services import ImitatedServices, lead_to
from velocast.adapters.channels.addressed import AddressedChannel, body, open_channel
from velocast.adapters.channels.card import Card, CardField
from velocast.core.errors import ChannelError, SettingsError

TOKEN = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
SERVICES = {
    "hooks.slack.com": f"https://hooks.slack.com/services/{TOKEN}",
    "chat.example": "mmosts://chat.example/3ccdd113474722377935511fc85d3dd4",
    "flows.example": "workflows://flows.example/6f1d8c0a/a1b2c3d4",
    "hook.example": "jsons://hook.example/velocast",
}
CARD = Card(
    "Counter silent",
    0xD13438,
    "Pont de Sully sends nothing.",
    (CardField("Since", "1 March"),),
    "https://example.org/counter/7",
    "2026-03-01T05:00:00Z",
    "Velocast",
    "critical",
)


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[ImitatedServices]:
    imitated = ImitatedServices()
    with HttpServer(imitated.routes()) as server:
        lead_to(server.url, monkeypatch)
        yield imitated


def channel(tmp_path: Path, address: str) -> AddressedChannel:
    file = tmp_path / "channels"
    file.write_text(f"# where people are\n\nteam {address}\n", encoding="utf-8")
    return open_channel(file, "team")


@pytest.mark.parametrize("host", SERVICES)
def test_a_card_arrives_whole_in_the_form_of_its_service(
    services: ImitatedServices, tmp_path: Path, host: str
) -> None:
    channel(tmp_path, SERVICES[host]).send(CARD)
    ((meant_for, got),) = services.got
    assert meant_for == host
    said = json.dumps(got)
    for part in ("Counter silent", "Pont de Sully sends nothing.", "Since: 1 March", CARD.url):
        assert part in said


@pytest.mark.parametrize("host", SERVICES)
def test_a_text_above_the_limit_comes_in_parts_of_which_none_is_lost(
    services: ImitatedServices, tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # the pause that a service asks for
    words = [f"word{n}" for n in range(9000)]
    channel(tmp_path, SERVICES[host]).send(Card("Long", 0, " ".join(words)))
    assert {meant_for for meant_for, _ in services.got} == {host}
    said = "".join(json.dumps(got) for _, got in services.got)
    assert sum(word in said for word in words) > 0.99 * len(words)  # a cut may fall into a word


@pytest.mark.parametrize("host", SERVICES)
@pytest.mark.parametrize(
    ("status", "headers"), [(429, {"Retry-After": "30"}), (503, {}), (404, {})]
)
def test_what_a_service_refuses_is_an_error_that_brings_it_again_and_holds_no_secret(
    services: ImitatedServices,
    tmp_path: Path,
    host: str,
    status: int,
    headers: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    services.refusals = [(status, headers)] * 5
    caplog.set_level(logging.INFO)
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)  # the imitation's own log
    with pytest.raises(
        ChannelError, match=f"the channel team did not accept .*{status}"
    ) as refused:
        channel(tmp_path, SERVICES[host]).send(CARD)
    assert refused.value.retryable
    secret = SERVICES[host].rsplit("/", 1)[1]
    if host != "hook.example":  # its path is no secret
        assert secret not in str(refused.value) + caplog.text


def test_an_email_arrives_on_a_real_server(tmp_path: Path) -> None:
    class Inbox:
        def __init__(self) -> None:
            self.got: list[Any] = []

        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
            self.got.append(envelope)
            return "250 OK"

    inbox = Inbox()
    server = Controller(inbox, hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        address = f"mailto://127.0.0.1:{server.port}?from=velocast@example.org&to=ops@example.org"
        channel(tmp_path, address).send(CARD)
    finally:
        server.stop()
    (envelope,) = inbox.got
    assert envelope.rcpt_tos == ["ops@example.org"]
    mail = message_from_bytes(envelope.content)
    assert mail["Subject"] == "Counter silent"
    text = next(
        part.get_payload(decode=True)
        for part in mail.walk()
        if part.get_content_type().startswith("text/")
    )
    assert b"Since: 1 March" in bytes(text)


def test_a_service_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match="the channel team did not accept the message"):
        channel(tmp_path, f"json://127.0.0.1:{free_port()}/x").send(CARD)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("team", r"has 0 lines \(it names none\)"),
        ("very-secret\nother json://h/very-secret", r"has 0 lines \(it names other\)"),
        ("team very-secret", "apprise does not recognise the address of team"),
        ("team json://h/1\nteam json://h/2", r"has 2 lines \(it names team\)"),
    ],
)
def test_a_wrong_line_is_told_without_its_address(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "channels"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=words) as wrong:
        open_channel(file, "team")
    assert "very-secret" not in str(wrong.value)


def test_a_wrong_line_keeps_nothing_from_the_other_channels(
    services: ImitatedServices, tmp_path: Path
) -> None:
    file = tmp_path / "channels"
    file.write_text(
        f"broken no-address\nalone\nteam {SERVICES['hook.example']}\n", encoding="utf-8"
    )
    open_channel(file, "team").send(CARD)
    assert len(services.got) == 1


def test_a_secret_that_is_not_mounted_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"VELOCAST_CHANNELS_FILE: cannot read"):
        open_channel(tmp_path / "none", "team")


def test_the_text_of_a_bare_card_has_no_empty_lines() -> None:
    assert body(Card("t", 0)) == ""
    assert body(Card("t", 0, "d", footer="f")) == "d\n\nf"
