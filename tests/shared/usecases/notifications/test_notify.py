"""notify, from a Pub/Sub message to Discord: local inbox, emulated bucket and audit table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.cloud import bigquery

from gcp_emulators.core.http_server import HttpServer
from tests.audit_rows import audit_rows
from tests.shared.adapters.channels.imitated_services import ImitatedServices, lead_to
from tests.shared.usecases.notifications.alerts import (
    INCIDENT,
    NOTICES,
    PROMOTED,
    Event,
    closed,
    envelope,
)
from velocast.adapters.gcs import Objects
from velocast.core.city import Messages
from velocast.core.errors import ChannelError, DiscordError, EventError, SettingsError
from velocast.core.settings import NotifySettings
from velocast.usecases.context import Runtime, handle
from velocast.usecases.notifications import notify
from velocast.usecases.notifications.alert_message import AlertMessage
from velocast.usecases.notifications.notify import marker_name
from velocast_local.discord.inbox import inbox_routes

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")


@dataclass
class Bench:
    """A notify process, and the channel it writes to."""

    url: str
    runtime: Runtime[NotifySettings]

    def receive(self, payload: Any, message_id: str = "m-1") -> None:
        event = Event(envelope(payload, message_id))
        handle(event, AlertMessage, self.runtime, notify.notify_people, event_type="ALERT")

    def titles(self) -> list[str]:
        messages = httpx.get(f"{self.url}/discord/messages").json()["messages"]
        return [m["embeds"][0]["title"] for m in messages]

    def refuse(self, **refusal: Any) -> None:
        httpx.post(f"{self.url}/discord/refusals", json=refusal).raise_for_status()

    def markers(self) -> list[str]:
        settings = self.runtime.settings
        return Objects(settings.project, settings.reports_bucket).names("notifications/")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with HttpServer(inbox_routes(tmp_path / "inbox")) as server:
        webhook = tmp_path / "webhook"
        webhook.write_text(f"{server.url}/discord/api/webhooks/1/token", encoding="utf-8")
        monkeypatch.setenv("VELOCAST_DISCORD_WEBHOOK_FILE", str(webhook))
        monkeypatch.setenv("VELOCAST_CHANNELS_FILE", str(tmp_path / "channels"))
        yield Bench(server.url, Runtime(NotifySettings.load(), component="notify"))
        notify._webhook(webhook).close()


def audit(client: bigquery.Client) -> list[tuple[str, str, str, str | None]]:
    names = ("event_id", "event_type", "status", "error_message")
    return [tuple(row[name] for name in names) for row in audit_rows(client)]


def test_every_notice_is_sent_and_audited(bench: Bench, warehouse_tables: bigquery.Client) -> None:
    for number, notice in enumerate(NOTICES):
        bench.receive(notice.model_dump(mode="json"), f"m-{number}")
    assert len(bench.titles()) == len(NOTICES)
    rows = audit(warehouse_tables)
    assert [row[0] for row in rows] == sorted(f"notify:{n.event}:e-1:alert" for n in NOTICES)
    assert {row[1:3] for row in rows} == {("ALERT", "OK")}


def test_an_incident_is_sent_when_it_opens_and_when_it_closes(bench: Bench) -> None:
    for payload in (INCIDENT, INCIDENT, closed(), closed()):
        bench.receive(payload)
    assert bench.titles() == [
        "🚨 Alert: Forecast R2 critical",
        "✅ Resolved: Forecast R2 critical",
    ]
    assert bench.markers() == [
        "notifications/incident:0.mabc:closed.json",
        "notifications/incident:0.mabc:open.json",
    ]


def test_a_redelivered_message_is_sent_once(
    bench: Bench, warehouse_tables: bigquery.Client
) -> None:
    for message_id in ("m-1", "m-1", "m-2"):  # redelivered, then published a second time
        bench.receive(PROMOTED.model_dump(mode="json"), message_id)
    assert len(bench.titles()) == 1
    assert [row[0] for row in audit(warehouse_tables)] == ["notify:champion_promoted:e-1:alert"]


def test_a_notice_published_again_on_another_day_keeps_the_row_of_its_message(
    bench: Bench, warehouse_tables: bigquery.Client
) -> None:
    bench.receive(PROMOTED.model_dump(mode="json"))
    sent = audit_rows(warehouse_tables)
    later = envelope(PROMOTED.model_dump(mode="json"), "m-2", "2026-01-01T00:00:00Z")
    handle(Event(later), AlertMessage, bench.runtime, notify.notify_people, event_type="ALERT")

    assert [{**row, "details": None} for row in audit_rows(warehouse_tables)] == [
        {**row, "details": None} for row in sent
    ]
    assert len(sent) == len(bench.titles()) == 1


def test_a_message_that_discord_refused_is_sent_again(
    bench: Bench, warehouse_tables: bigquery.Client
) -> None:
    bench.refuse(status=500)
    with pytest.raises(DiscordError, match="Discord answers 500"):
        bench.receive(PROMOTED.model_dump(mode="json"))
    assert (bench.titles(), bench.markers()) == ([], [])
    bench.receive(PROMOTED.model_dump(mode="json"))
    assert len(bench.titles()) == 1
    failed, sent = sorted(audit(warehouse_tables), key=lambda row: row[2])
    assert failed[0] == "notify:m-1:failed"
    assert failed[3] is not None
    assert failed[3].startswith("discord: Discord answers 500")
    assert sent[0] == "notify:champion_promoted:e-1:alert"


class TestSeveralChannels:
    @pytest.fixture
    def services(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[ImitatedServices]:
        """Let `team` get warnings and what is critical, Discord all."""
        imitated, settings = ImitatedServices(), bench.runtime.settings
        messages = Messages(critical=("discord", "team"), warning=("discord", "team"))
        settings._city = settings.city.model_copy(update={"messages": messages})
        settings.channels_file.write_text("team json://hook.example/x\n", encoding="utf-8")
        with HttpServer(imitated.routes()) as server:
            lead_to(server.url, monkeypatch)
            yield imitated

    def test_each_severity_goes_to_its_channels(
        self, bench: Bench, services: ImitatedServices
    ) -> None:
        bench.receive(PROMOTED.model_dump(mode="json"))
        bench.receive(INCIDENT)
        bench.receive(closed())
        assert len(bench.titles()) == 3
        assert [got["title"] for _, got in services.got] == [
            "🚨 Alert: Forecast R2 critical",
            "✅ Resolved: Forecast R2 critical",
        ]

    def test_a_channel_that_fails_alone_gets_the_message_alone_when_it_comes_again(
        self, bench: Bench, services: ImitatedServices, warehouse_tables: bigquery.Client
    ) -> None:
        services.refusals = [(503, {})]
        with pytest.raises(ChannelError, match="the channel team did not accept"):
            bench.receive(INCIDENT)
        assert (len(bench.titles()), len(services.got)) == (1, 0)
        bench.receive(INCIDENT)
        bench.receive(INCIDENT)
        assert (len(bench.titles()), len(services.got)) == (1, 1)
        sent = [row for row in audit_rows(warehouse_tables) if row["status"] == "OK"]
        (details,) = (row["details"] for row in sent)
        assert set(details["channels"]) == {"discord", "team"}

    def test_discord_that_fails_keeps_nothing_from_the_others(
        self, bench: Bench, services: ImitatedServices
    ) -> None:
        bench.refuse(status=500)
        with pytest.raises(DiscordError):
            bench.receive(INCIDENT)
        assert len(services.got) == 1
        bench.receive(INCIDENT)
        assert (len(bench.titles()), len(services.got)) == (1, 1)

    def test_a_channel_that_the_secret_does_not_have_is_told(
        self, bench: Bench, services: ImitatedServices
    ) -> None:
        bench.runtime.settings.channels_file.write_text("# none\n", encoding="utf-8")
        with pytest.raises(SettingsError, match="give it one line `team ADDRESS`"):
            bench.receive(INCIDENT)
        assert len(bench.titles()) == 1

    def test_what_0_1_sent_to_discord_is_not_sent_to_it_again(
        self, bench: Bench, services: ImitatedServices
    ) -> None:
        key = "incident:0.mabc:open"
        old = {
            "key": key,
            "title": "t",
            "discord_message_id": "7",
            "sent_at": "2026-03-01T05:00:00Z",
        }
        settings = bench.runtime.settings
        Objects(settings.project, settings.reports_bucket).write_json(marker_name(key), old)
        bench.receive(INCIDENT)
        assert (bench.titles(), len(services.got)) == ([], 1)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"{", "its data is not JSON"),
        (b"[]", "data is list, needs a JSON object"),
        ({}, "neither a Cloud Monitoring incident nor a Velocast event"),
        ({"incident": "fire"}, "neither a Cloud Monitoring incident nor a Velocast event"),
        ({"event": "party"}, "champion_promoted"),
        (
            {"event": "data_stale", "event_id": "e"},
            r"notice\.data_stale\.occurred_at: Field required",
        ),
        (
            PROMOTED.model_dump(mode="json") | {"mood": "good"},
            "mood: Extra inputs are not permitted",
        ),
    ],
)
def test_an_invalid_message_raises_an_error(
    bench: Bench, warehouse_tables: bigquery.Client, payload: Any, words: str
) -> None:
    with pytest.raises(EventError, match=words):
        bench.receive(payload)
    assert bench.titles() == []
    if isinstance(payload, dict):  # a body without a readable payload leaves no audit row
        assert [row[:3] for row in audit(warehouse_tables)] == [
            ("notify:m-1:failed", "ALERT", "FAILED")
        ]
