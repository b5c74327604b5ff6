"""The function notify under the Functions Framework, called with Pub/Sub's push bodies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient

from gcp_emulators.core.http_server import HttpServer
from tests.functions.dataset_roles import granted_roles, needed_roles
from tests.functions.deployed import load_function
from tests.shared.usecases.notifications.alerts import PROMOTED, envelope
from velocast.usecases.notifications import notify
from velocast_local.discord.inbox import inbox_routes

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
SUBSCRIPTION = "projects/velocast-local/subscriptions/velocast-alerts-notify"


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with HttpServer(inbox_routes(tmp_path / "inbox")) as server:
        webhook = tmp_path / "webhook"
        webhook.write_text(f"{server.url}/discord/api/webhooks/1/token", encoding="utf-8")
        monkeypatch.setenv("VELOCAST_DISCORD_WEBHOOK_FILE", str(webhook))
        yield server.url
        notify._webhook(webhook).close()


def push(client: FlaskClient, payload: Any) -> int:
    body = envelope(payload) | {"subscription": SUBSCRIPTION}
    return client.post("/projects/velocast-local/topics/velocast-alerts", json=body).status_code


def test_a_pushed_event_is_sent_and_a_malformed_one_is_refused(inbox: str) -> None:
    client = load_function("notify").test_client()
    with needed_roles() as needed:
        assert push(client, PROMOTED.model_dump(mode="json")) == 200
    assert needed == granted_roles("notify"), "its account may do what it does and no more"
    assert (
        push(client, {"event": "party"}) == 500
    )  # so Pub/Sub sends it again, then dead-letters it
    (message,) = httpx.get(f"{inbox}/discord/messages").json()["messages"]
    assert message["embeds"][0]["title"] == "🚀 Champion promoted: version 8 (gbm)"
    assert message["embeds"][0]["footer"]["text"] == "Velocast · champion_promoted"
