"""`velocast dead-letters` against Pub/Sub and BigQuery."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud import bigquery
from typer.testing import CliRunner, Result

from tests import emulators
from tests.audit_rows import audit_rows
from velocast.adapters.bigquery.client import Warehouse
from velocast.core.audit_row import AuditRow
from velocast.usecases import audit
from velocast_cli.main import app
from velocast_cli.operations import dead_letters, deployment

PUBLISHED = datetime(2025, 3, 10, 4, 30, tzinfo=UTC)
LATER = "2025-03-12T09:00:00Z"


def velocast(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["dead-letters", *arguments])


def listed() -> list[dict[str, Any]]:
    answer = velocast("list", "--json")
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)["dead_letters"]


@pytest.fixture
def box(
    topics: emulators.RunningPubSub,
    warehouse_tables: bigquery.Client,
    monkeypatch: pytest.MonkeyPatch,
) -> emulators.RunningPubSub:
    """Topics whose functions take nothing, so that what is published dies after two tries."""
    monkeypatch.setenv("VELOCAST_AS_OF", LATER)
    monkeypatch.setattr(dead_letters, "QUIET_PULLS", 1)
    topics.now = PUBLISHED
    broker = topics.broker
    broker.put_subscription({"name": deployment.DEAD_LETTERS, "topic": "velocast-dead-letter"})
    letter = f"projects/{emulators.PROJECT}/topics/velocast-dead-letter"
    for name in ("velocast-fetch", "velocast-alerts"):
        broker.put_subscription(
            {
                "name": name.replace("alerts", "notify"),
                "topic": name,
                "pushConfig": {"pushEndpoint": "http://127.0.0.1:9/gone"},
                "deadLetterPolicy": {"deadLetterTopic": letter, "maxDeliveryAttempts": 2},
            }
        )
    return topics


def die(box: emulators.RunningPubSub, topic: str, data: str, **attributes: str) -> None:
    box.broker.publish(topic, data.encode(), attributes)
    assert box.broker.wait_idle(10)
    box.published(topic)


def mend(box: emulators.RunningPubSub, subscription: str, topic: str) -> None:
    """Let what is published to the topic from now on wait instead of dying."""
    box.broker.delete_subscription(subscription)
    box.broker.put_subscription({"name": subscription, "topic": topic})


def failed(component: str, at: datetime, error: str) -> None:
    row = AuditRow(
        event_id=f"{component}:17:failed",
        timestamp=at,
        as_of=at,
        event_type="INGESTION",
        execution_id="17",
        status="FAILED",
        error_message=error,
    )
    audit.write(Warehouse(emulators.PROJECT, emulators.LOCATION), [row], environment="dev")


def test_each_is_listed_with_its_reason_and_stays(box: emulators.RunningPubSub) -> None:
    die(box, "velocast-fetch", '{"since": "soon"}')
    die(box, "velocast-alerts", '{"event": "x"}', event="x")
    failed("fetch", PUBLISHED, "bad_event: since 'soon' is not an RFC 3339 time")
    first, second = listed()
    assert first["function"] == "fetch"
    assert first["error"] == "bad_event: since 'soon' is not an RFC 3339 time"
    assert (first["attempts"], first["data"]) == (2, '{"since": "soon"}')
    assert first["published_at"] == "2025-03-10T04:30:00Z"
    assert (second["function"], second["error"]) == ("notify", None)
    shown = velocast("list").stdout
    assert "bad_event: since" in shown
    assert "no failure in the audit trail" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80
    assert len(listed()) == 2, "looking takes nothing away"
    assert '"soon"' in velocast("show", first["message_id"]).stdout


def test_a_replay_publishes_the_event_as_of_its_first_time(
    box: emulators.RunningPubSub, warehouse_tables: bigquery.Client
) -> None:
    die(box, "velocast-fetch", "{}")
    box.now = PUBLISHED + timedelta(days=2)
    (letter,) = listed()
    mend(box, "velocast-fetch", "velocast-fetch")
    answer = velocast("replay", "--all", "--json")
    assert answer.exit_code == 0, answer.output
    (done,) = json.loads(answer.stdout)["replayed"]
    (again,) = box.published("velocast-fetch")
    assert json.loads(again.data) == {"as_of": "2025-03-10T04:30:00Z"}
    assert again.attributes == {}
    assert done == {"dead_letter": letter["message_id"], "message_id": str(again.id)}
    assert listed() == []
    (row,) = audit_rows(warehouse_tables)
    assert row["event_id"] == f"dead-letters:{letter['message_id']}:replayed"
    assert row["details"]["letter"]["data"] == "{}"


def test_a_notice_is_replayed_unchanged(box: emulators.RunningPubSub) -> None:
    die(box, "velocast-alerts", '{"event": "x"}', event="x")
    mend(box, "velocast-notify", "velocast-alerts")
    assert velocast("replay", "--all").exit_code == 0
    (again,) = box.published("velocast-alerts")
    assert (again.data, again.attributes) == (b'{"event": "x"}', {"event": "x"})


def test_a_replay_that_was_interrupted_publishes_no_second_time(
    box: emulators.RunningPubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(box, "velocast-alerts", '{"event": "x"}')
    mend(box, "velocast-notify", "velocast-alerts")

    def killed(_box: object, _letter: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dead_letters.DeadLetterBox, "_acknowledge", killed)
        velocast("replay", "--all")
    assert len(box.published("velocast-alerts")) == 1
    assert velocast("replay", "--all").exit_code == 0
    assert box.published("velocast-alerts") == []
    assert listed() == []


def test_what_is_dropped_stays_in_the_audit_trail(
    box: emulators.RunningPubSub, warehouse_tables: bigquery.Client
) -> None:
    die(box, "velocast-fetch", "no json")
    (letter,) = listed()
    refused = velocast("drop", letter["message_id"])
    assert refused.exit_code == 1
    assert "add --yes" in refused.stderr
    assert len(listed()) == 1
    assert velocast("drop", letter["message_id"], "--yes").exit_code == 0
    assert listed() == []
    (row,) = audit_rows(warehouse_tables)
    assert row["details"]["letter"]["data"] == "no json"
    assert row["details"]["action"] == "dead letter of fetch dropped"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("replay",), "name the ids"),
        (("replay", "7", "--all"), "name the ids"),
        (("show", "404"), "no dead letter 404; there is none"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    arguments: tuple[str, ...], said: str, box: emulators.RunningPubSub
) -> None:
    answer = velocast(*arguments)
    assert answer.exit_code == 1
    assert said in answer.stderr
