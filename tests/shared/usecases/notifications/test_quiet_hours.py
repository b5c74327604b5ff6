"""Quiet hours: what is not urgent waits for their end, nothing is lost, and messages of one cause become one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from google.cloud import bigquery
from pydantic import ValidationError

from gcp_emulators.core.http_server import HttpServer
from tests.audit_rows import audit_rows
from tests.shared.usecases.notifications.alerts import INCIDENT, PROMOTED, closed
from velocast.adapters.channels.discord import within_limits
from velocast.adapters.gcs import Objects
from velocast.core.city import Messages
from velocast.core.city.messages import QuietHours
from velocast.core.errors import DiscordError, DiscordGone, WarehouseError
from velocast.core.notices import CountersOutOfOrder, DataStale, RunFailed
from velocast.core.settings import NotifySettings
from velocast.usecases import audit
from velocast.usecases.context import Run, Runtime
from velocast.usecases.notifications import notify
from velocast.usecases.notifications.alert_message import AlertMessage
from velocast.usecases.notifications.held import HELD, HeldMessage, group_by_cause
from velocast.usecases.notifications.words import read_words
from velocast_local.discord.inbox import inbox_routes

NIGHT, EVENING, MORNING = 23, 20, 6  # hours of 1 March 2026 UTC, which is an hour later in Paris
QUIET = QuietHours(since="22:00", until="07:00")
RELEASE = {"release_held": True}
PARIS = ZoneInfo("Europe/Paris")


def stale(number: int = 1, **change: Any) -> dict[str, Any]:
    notice = DataStale(
        event_id=f"stale-{number}",
        occurred_at=f"2026-03-01T22:{number:02}:00Z",
        newest_count_at=None,
        age_hours=55.0,
        reason="the city's API is down",
    )
    return notice.model_copy(update=change).model_dump(mode="json")


def faulty(number: int, *counters: str) -> dict[str, Any]:
    return CountersOutOfOrder(
        event_id=f"faulty-{number}",
        occurred_at=f"2026-03-01T22:{number:02}:00Z",
        counters=counters,
        reason="unlike their usual days",
    ).model_dump(mode="json")


class Bench:
    """A notify process of a city in Paris whose Discord channel is quiet from 22:00 until 07:00."""

    def __init__(self, url: str, runtime: Runtime[NotifySettings]) -> None:
        self.url = url
        self.runtime = runtime
        settings = runtime.settings
        self.objects = Objects(settings.project, settings.reports_bucket)
        self.change(Messages(quiet_hours={"all": QUIET}))

    def change(self, messages: Messages) -> None:
        settings = self.runtime.settings
        settings._city = settings.city.model_copy(
            update={"messages": messages, "time_zone": "Europe/Paris"}
        )

    def receive(self, payload: dict[str, Any], hour: int, day: int = 1) -> list[Any]:
        run = Run(self.runtime, datetime(2026, 3, day, hour, 30, tzinfo=UTC), f"m-{day}-{hour}")
        return notify.notify_people(AlertMessage.model_validate(payload), run)

    def titles(self) -> list[str]:
        return [each["title"] for each in self.embeds()]

    def embeds(self) -> list[dict[str, Any]]:
        messages = httpx.get(f"{self.url}/discord/messages").json()["messages"]
        return [m["embeds"][0] for m in messages]

    def refuse(self, status: int, times: int = 1) -> None:
        refusal = {"status": status, "times": times}
        httpx.post(f"{self.url}/discord/refusals", json=refusal).raise_for_status()

    def waiting(self) -> list[str]:
        if not self.objects.exists(HELD):
            return []
        return [each["key"] for each in self.objects.read_json(HELD)[0]["messages"]]


@pytest.fixture
def bench(
    tmp_path: Path,
    storage_buckets: object,
    warehouse_tables: object,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    with HttpServer(inbox_routes(tmp_path / "inbox")) as server:
        webhook = tmp_path / "webhook"
        webhook.write_text(f"{server.url}/discord/api/webhooks/1/token", encoding="utf-8")
        monkeypatch.setenv("VELOCAST_DISCORD_WEBHOOK_FILE", str(webhook))
        yield Bench(server.url, Runtime(NotifySettings.load(), component="notify"))
        notify._webhook(webhook).close()


@pytest.mark.parametrize(
    ("since", "until", "at", "quiet"),
    [
        ("22:00", "07:00", "2026-03-01T21:00:00Z", True),  # 22:00 in Paris
        ("22:00", "07:00", "2026-03-01T20:59:59Z", False),
        ("22:00", "07:00", "2026-03-01T05:59:59Z", True),
        ("22:00", "07:00", "2026-03-01T06:00:00Z", False),
        ("12:00", "14:00", "2026-03-01T11:00:00Z", True),
        ("12:00", "14:00", "2026-03-01T13:00:00Z", False),
        ("22:00", "07:00", "2026-03-29T05:00:00Z", False),  # 07:00 after the change of the clocks
        ("22:00", "07:00", "2026-10-25T05:30:00Z", True),  # 06:30 after the change back
    ],
)
def test_quiet_hours_are_those_of_the_citys_clock(
    since: str, until: str, at: str, quiet: bool
) -> None:
    assert QuietHours(since=since, until=until).hold(datetime.fromisoformat(at), PARIS) is quiet


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        ({"all": {"since": "22:00", "until": "22:00"}}, "have no end"),
        ({"all": {"since": "10 pm", "until": "07:00"}}, "should match pattern"),
        (
            {"team": {"since": "22:00", "until": "07:00"}},
            "names team, which gets no messages; name all or discord ",
        ),
    ],
)
def test_wrong_quiet_hours_are_refused(hours: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Messages(quiet_hours=hours)


def test_a_channels_own_hours_outrank_those_of_all() -> None:
    messages = Messages(info=("discord", "team"), quiet_hours={"all": QUIET, "team": None})
    at = datetime(2026, 3, 1, NIGHT, tzinfo=UTC)
    assert messages.quiet("discord", at, PARIS)
    assert not messages.quiet("team", at, PARIS)


def test_what_comes_at_night_waits_and_is_sent_once_in_the_morning(bench: Bench) -> None:
    (row,) = bench.receive(stale(), NIGHT)
    bench.receive(stale(), NIGHT)  # delivered again
    assert (bench.titles(), bench.waiting()) == ([], ["data_stale:stale-1"])
    assert row.details["waiting"] == ["discord"]
    assert bench.receive(RELEASE, NIGHT)[0].details["waiting"] == ["discord"]  # it is still night
    assert bench.titles() == []

    (sent,) = bench.receive(RELEASE, MORNING, 2)
    assert (sent.event_id, sent.timestamp) == (row.event_id, row.timestamp)
    assert sent.details["channels"].keys() == {"discord"}
    assert "waiting" not in sent.details
    bench.receive(RELEASE, MORNING, 2)  # delivered again
    bench.receive(stale(), NIGHT)  # the notice itself, too
    bench.receive(stale(), EVENING, 3)  # and published anew
    assert (bench.titles(), bench.waiting()) == (["⏰ Data stale"], [])


def test_what_is_critical_is_sent_at_once(bench: Bench) -> None:
    failed = RunFailed(event_id="e", occurred_at="x", component="fetch", error="e", execution_id="")
    for payload in (failed.model_dump(mode="json"), INCIDENT):
        bench.receive(payload, NIGHT)
    assert bench.titles() == ["💥 fetch failed", "🚨 Alert: Forecast R2 critical"]
    assert bench.waiting() == []


def test_messages_speak_the_citys_language(bench: Bench) -> None:
    settings = bench.runtime.settings
    settings._city = settings.city.model_copy(update={"language": "de"})
    bench.receive(stale(1), EVENING)
    bench.receive(stale(2), NIGHT)
    bench.receive(stale(3), NIGHT)
    bench.receive(RELEASE, MORNING, 2)
    assert bench.titles() == ["⏰ Keine neuen Zählungen"] * 2
    now, held = bench.embeds()
    assert now["fields"][1] == {"name": "Alter", "value": "55 h", "inline": True}
    assert held["fields"][-1]["value"] == "dasselbe noch einmal"
    assert held["footer"]["text"] == "Velocast · data_stale · wartete auf das Ende der Ruhezeit"


def test_by_day_nothing_waits(bench: Bench) -> None:
    bench.receive(stale(), EVENING)
    assert (bench.titles(), bench.waiting()) == (["⏰ Data stale"], [])
    assert bench.receive(RELEASE, MORNING, 2) == []  # nothing to do, and no row


def test_messages_of_one_cause_become_one_that_says_what_each_said(bench: Bench) -> None:
    for payload in (stale(1), faulty(2, "A"), stale(3), faulty(4, "B", "C"), stale(5)):
        bench.receive(payload, NIGHT)
    bench.receive(PROMOTED.model_dump(mode="json"), NIGHT)
    rows = bench.receive(RELEASE, MORNING, 2)
    assert len(rows) == 6
    assert bench.titles() == [
        "⏰ Data stale",
        "🔧 2 faulty counters",
        "🚀 Champion promoted: version 8 (gbm)",
    ]
    data, counters, _ = bench.embeds()
    assert data["fields"][-1] == {"name": "…", "value": "the same 2 more times", "inline": False}
    assert counters["fields"][-1] == {
        "name": "23:02 🔧 1 faulty counter",
        "value": "unlike their usual days\nCounters: A",
        "inline": False,
    }
    assert counters["footer"]["text"].endswith("waited for the end of the quiet hours")


def test_an_incident_that_is_over_by_morning_is_one_message(bench: Bench) -> None:
    for payload in (INCIDENT, closed()):
        payload = {"incident": payload["incident"] | {"severity": "warning"}}
        bench.receive(payload, NIGHT)
    bench.receive(RELEASE, MORNING, 2)
    (message,) = bench.embeds()
    assert message["title"] == "✅ Resolved: Forecast R2 critical"
    assert any("🚨 Alert: Forecast R2 critical" in field["name"] for field in message["fields"])


def test_a_message_that_would_be_cut_is_divided(bench: Bench) -> None:
    payloads = [faulty(n, *(f"counter {n}-{i} " + "x" * 40 for i in range(20))) for n in range(12)]
    held = [HeldMessage(str(n), "t", "x", "e", {}, payload) for n, payload in enumerate(payloads)]
    groups = group_by_cause(held, PARIS, read_words("en"))
    assert 1 < len(groups) < 12
    assert [message.key for _, messages in groups for message in messages] == [
        str(n) for n in range(12)
    ]
    said = "".join(str(card.fields) for card, _ in groups)
    assert all(f"counter {n}-{i} " in said for n in range(12) for i in range(20))
    assert all(within_limits(card) == card for card, _ in groups)


def test_a_channel_that_fails_in_the_morning_gets_the_message_with_the_next_event(
    bench: Bench,
) -> None:
    bench.receive(stale(), NIGHT)
    httpx.post(f"{bench.url}/discord/refusals", json={"status": 500}).raise_for_status()
    with pytest.raises(DiscordError):
        bench.receive(RELEASE, MORNING, 2)
    assert (bench.titles(), bench.waiting()) == ([], ["data_stale:stale-1"])
    bench.receive(RELEASE, MORNING, 2)
    assert (bench.titles(), bench.waiting()) == (["⏰ Data stale"], [])


def test_a_message_that_this_version_cannot_read_is_shown_as_it_was_stored(bench: Bench) -> None:
    held: dict[str, Any] = {"key": "k", "title": "Bikes fly", "sent_at": "2026-03-01T22:00:00Z"}
    held |= {"execution_id": "m", "channels": {}, "payload": {"event": "bikes_fly"}}
    bench.objects.write_json(HELD, {"messages": [held]})
    bench.receive(RELEASE, MORNING, 2)
    (message,) = bench.embeds()
    assert (message["title"], bench.waiting()) == ("Bikes fly", [])
    assert '"event": "bikes_fly"' in message["description"]


def test_a_channel_that_the_city_no_longer_names_holds_nothing_back(bench: Bench) -> None:
    bench.receive(stale(), NIGHT)
    bench.change(Messages(warning=(), quiet_hours={"all": QUIET}))
    bench.receive(RELEASE, NIGHT)
    assert (bench.titles(), bench.waiting()) == ([], [])


def test_what_waits_is_sent_with_the_next_message_once_the_city_has_no_quiet_hours(
    bench: Bench,
) -> None:
    bench.receive(stale(1), NIGHT)
    bench.receive(stale(2), NIGHT)
    bench.change(Messages())  # no schedule ends what no longer begins
    rows = bench.receive(faulty(3, "A"), EVENING, 2)
    assert [row.details["key"] for row in rows] == [
        "counters_out_of_order:faulty-3",
        "data_stale:stale-1",
        "data_stale:stale-2",
    ]
    assert all(row.details["channels"] for row in rows)
    assert (bench.titles(), bench.waiting()) == (["🔧 1 faulty counter", "⏰ Data stale"], [])


def test_what_waits_and_fails_keeps_no_other_message_back(bench: Bench) -> None:
    bench.receive(stale(), NIGHT)
    bench.change(Messages(warning=("discord", "team")))  # a channel without an address
    (sent,) = bench.receive(PROMOTED.model_dump(mode="json"), EVENING, 2)[:1]
    assert sent.details["channels"]
    assert bench.titles() == ["🚀 Champion promoted: version 8 (gbm)", "⏰ Data stale"]
    assert bench.waiting() == ["data_stale:stale-1"]


def test_a_message_that_discord_refuses_for_good_is_told_once_and_waits_no_longer(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    for payload in (stale(1), stale(2), faulty(3, "A")):
        bench.receive(payload, NIGHT)
    bench.refuse(400, times=2)  # the two that became one message, then the first of them
    rows = {row.details["key"]: row for row in bench.receive(RELEASE, MORNING, 2)}
    assert (bench.titles(), bench.waiting()) == (["⏰ Data stale", "🔧 1 faulty counter"], [])
    refused = rows.pop("data_stale:stale-1")
    assert refused.status == "FAILED"
    assert refused.error_message is not None
    assert "discord: discord_refused: Discord refuses the message with 400" in refused.error_message
    assert refused.details["message"]["event_id"] == "stale-1"
    assert [row.status for row in rows.values()] == ["OK", "OK"]
    assert "gave up sending '⏰ Data stale' to discord" in caplog.text
    assert bench.receive(RELEASE, MORNING, 2) == []


def test_without_a_webhook_messages_wait_for_a_new_one_but_not_for_ever(bench: Bench) -> None:
    bench.receive(stale(), NIGHT)
    bench.refuse(404, times=2)
    with pytest.raises(DiscordGone):
        bench.receive(RELEASE, MORNING, 14)
    assert bench.waiting() == ["data_stale:stale-1"]
    (row,) = bench.receive(RELEASE, MORNING, 16)
    assert (row.status, bench.waiting()) == ("FAILED", [])


def test_the_rows_of_what_was_sent_are_stored_though_another_message_fails(
    bench: Bench, warehouse_tables: bigquery.Client
) -> None:
    for payload in (stale(1), faulty(2, "A")):
        bench.receive(payload, NIGHT)
    bench.refuse(500)
    with pytest.raises(DiscordError):
        bench.receive(RELEASE, MORNING, 2)
    assert bench.waiting() == ["data_stale:stale-1"]
    stored = {row["event_id"]: row["details"] for row in audit_rows(warehouse_tables)}
    assert "waiting" not in stored["notify:counters_out_of_order:faulty-2:alert"]
    assert stored["notify:data_stale:stale-1:alert"]["waiting"] == ["discord"]


def test_a_message_is_not_forgotten_before_its_row_is_stored(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.receive(stale(), NIGHT)

    def down(*_: Any, **__: Any) -> None:
        raise WarehouseError("BigQuery is down")

    with monkeypatch.context() as patched:
        patched.setattr(audit, "write", down)
        with pytest.raises(WarehouseError):
            bench.receive(RELEASE, MORNING, 2)
    (row,) = bench.receive(RELEASE, MORNING, 2)
    assert "waiting" not in row.details
    assert (bench.titles(), bench.waiting()) == (["⏰ Data stale"], [])


@pytest.mark.parametrize("killed_at", range(9))
def test_a_run_that_dies_at_any_write_loses_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    """Die before one of the writes; what was running is delivered again, as Pub/Sub does."""
    write, seen = Objects.write_json, [0]
    just_sent: list[int] = []

    def dying(self: Objects, name: str, value: Any, **more: Any) -> int:
        seen[0] += 1
        if seen[0] - 1 == killed_at:
            just_sent.append(len(bench.titles()))
            raise ConnectionAbortedError("killed")
        return write(self, name, value, **more)

    monkeypatch.setattr(Objects, "write_json", dying)
    plan = [(stale(1), NIGHT, 1), (faulty(2, "A"), NIGHT, 1), (stale(3), NIGHT, 1)]
    plan += [(RELEASE, NIGHT, 1), (RELEASE, MORNING, 2), (stale(1), NIGHT, 1), (RELEASE, 7, 2)]
    for payload, hour, day in plan:
        before = len(bench.titles())
        try:
            bench.receive(payload, hour, day)
        except ConnectionAbortedError:
            unnoted = just_sent[-1] > before and _is_note_of_a_send(killed_at)
            bench.receive(payload, hour, day)
            assert len(bench.titles()) - before <= 2 + unnoted
    twice = len(bench.titles()) - 2
    assert set(bench.titles()) == {"⏰ Data stale", "🔧 1 faulty counter"}
    assert twice == (1 if _is_note_of_a_send(killed_at) else 0)
    assert bench.waiting() == []


def _is_note_of_a_send(number: int) -> bool:
    """Whether this write notes what a channel has just accepted: the fourth and fifth, after three that hold."""
    return number in (3, 4)
