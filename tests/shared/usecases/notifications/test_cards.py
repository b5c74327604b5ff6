"""The Discord cards of notices and incidents; nothing is sent."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from tests.shared.usecases.notifications.alerts import (
    CONSOLE_TEST,
    INCIDENT,
    NOTICES,
    PROMOTED,
    closed,
)
from velocast.adapters.channels.addressed import body
from velocast.adapters.channels.card import Card, CardField
from velocast.adapters.channels.discord import within_limits
from velocast.core.notices import (
    ChallengerRefused,
    CountersOutOfOrder,
    DataStale,
    DriftDetected,
    Notice,
    WeeklyDigest,
)
from velocast.usecases.notifications.alert_message import AlertMessage
from velocast.usecases.notifications.event_cards import notice_card, notice_key
from velocast.usecases.notifications.incident_cards import (
    GREEN,
    RED,
    Incident,
    incident_card,
    incident_key,
)
from velocast.usecases.notifications.notify import marker_name
from velocast.usecases.notifications.words import read_words

EN = read_words("en")


def lines(embed: Card) -> dict[str, str]:
    return {field.name: field.value for field in embed.fields}


def test_every_kind_of_notice_has_an_example_and_a_card() -> None:
    kinds = get_args(get_args(Notice)[0])
    assert {type(n) for n in NOTICES} == set(kinds)
    for notice in NOTICES:
        card = notice_card(notice, EN)
        assert within_limits(card) == card
        assert card.timestamp == notice.occurred_at


@pytest.mark.parametrize("notice", NOTICES, ids=lambda n: n.event)
def test_writer_and_reader_of_a_notice_agree(notice: Notice) -> None:
    message = AlertMessage.model_validate(notice.model_dump(mode="json"))
    assert message.notice == notice
    assert message.key("m-1") == f"{notice.event}:e-1" == notice_key(notice)


def test_a_promotion_names_both_models_and_the_gain() -> None:
    card = notice_card(PROMOTED, EN)
    assert card.title == "🚀 Champion promoted: version 8 (gbm)"
    assert card.fields == (
        CardField("Old", "run_id=abc123, R²=0.680"),
        CardField("New", "run_id=def456, R²=0.720"),
        CardField("Improvement", "+0.040 R² (+5.88%); 12.5% of the gap to a perfect score"),
        CardField("Decision", "DEPLOY"),
        CardField("Dataset", "4f4f4f4f4f4f"),
    )


def test_the_first_champion_replaces_none() -> None:
    nothing = {"old_run_id": None, "old_r2": None, "gain_absolute": None, "gain_relative": None}
    shown = lines(notice_card(PROMOTED.model_copy(update=nothing), EN))
    assert (shown["Old"], shown["Improvement"]) == ("none", "first champion")


def test_drift_links_to_its_report() -> None:
    drift = next(n for n in NOTICES if isinstance(n, DriftDetected))
    card = notice_card(drift, EN)
    assert card.title == "🌊 Drift: 38% of the columns"
    assert (
        card.url
        == "https://storage.cloud.google.com/velocast-local-reports/drift_reports/drift_report_2026-03-01.html"
    )
    assert lines(card)["Drifted"] == "3 of 8"
    assert lines(card)["Columns"] == "bike_count, night_share, temperature_c"


@pytest.mark.parametrize(
    ("event", "field", "value"),
    [
        ("challenger_refused", "Challenger", "run_id=r9, R²=0.801"),
        ("challenger_refused", "Champion", "R² 0.800"),
        ("performance_degraded", "R² before", "0.810"),
        ("performance_degraded", "Skill vs. last week", "-0.020"),
        ("training_failed", "Log", "https://example.org/log"),
        ("retraining_blocked", "Lease held by", "x-0"),
        ("data_stale", "Age", "55 h"),
        (
            "counters_out_of_order",
            "Counters",
            "\n".join(f"c-{i}" for i in range(20)) + "\nand 5 more",
        ),
        ("model_fallback", "Wanted", "version 8"),
        ("run_failed", "Component", "fetch"),
    ],
)
def test_fields_are_shown(event: str, field: str, value: str) -> None:
    notice = next(n for n in NOTICES if n.event == event)
    assert lines(notice_card(notice, EN))[field] == value


def test_unknown_values_are_shown_as_unknown() -> None:
    stale = DataStale(
        event_id="e", occurred_at="x", newest_count_at=None, age_hours=None, reason="empty table"
    )
    assert lines(notice_card(stale, EN)) == {"Newest count": "unknown", "Age": "unknown"}
    refused = next(n for n in NOTICES if isinstance(n, ChallengerRefused))
    assert (
        lines(notice_card(refused.model_copy(update={"old_r2": None}), EN))["Champion"]
        == "R² unknown"
    )


@pytest.mark.parametrize(
    ("counters", "title"),
    [(("c-1",), "🔧 1 faulty counter"), (("c-1", "c-2"), "🔧 2 faulty counters")],
)
def test_faulty_counters_are_counted_in_the_title(counters: tuple[str, ...], title: str) -> None:
    notice = next(n for n in NOTICES if isinstance(n, CountersOutOfOrder))
    assert notice_card(notice.model_copy(update={"counters": counters}), EN).title == title


def card_of(payload: dict[str, Any]) -> Card:
    return AlertMessage.model_validate(payload).card(EN)


def test_an_opened_incident_shows_all_fields() -> None:
    card = card_of(INCIDENT)
    assert (card.title, card.color) == ("🚨 Alert: Forecast R2 critical", RED)
    assert card.description == "bike_forecast_r2 is below the threshold of 0.65\n\nSee the runbook."
    assert card.url == INCIDENT["incident"]["url"]
    assert card.timestamp == "2026-03-01T05:00:00Z"
    assert lines(card) == {
        "Severity": "Critical",
        "Condition": "R2 below critical",
        "Resource": "velocast-monitor",
        "Observed": "0.612",
        "Threshold": "0.65",
        "Opened": "2026-03-01T05:00:00Z",
    }


def test_a_closed_incident_is_green_and_has_its_own_key() -> None:
    card = card_of(closed())
    assert (card.title, card.color) == ("✅ Resolved: Forecast R2 critical", GREEN)
    assert lines(card)["Closed"] == "2026-03-01T06:00:00Z"
    keys = [AlertMessage.model_validate(p).key("m-1") for p in (INCIDENT, closed())]
    assert keys == ["incident:0.mabc:open", "incident:0.mabc:closed"]


def test_the_consoles_test_notification_is_accepted() -> None:
    card = card_of(CONSOLE_TEST)
    assert card.title == "🚨 Alert: test"
    assert card.description == "Test notification"
    assert lines(card) == {"Observed": "1.0"}


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"state": None},
        {"started_at": "soon"},
        {"started_at": 1e30},
        {"documentation": 5},
        {"url": ["x"]},
    ],
)
def test_an_incident_with_invalid_fields_is_still_shown(odd: dict[str, Any]) -> None:
    incident = Incident.model_validate(odd)
    assert incident_card(incident, EN).title == "🚨 Alert: unnamed policy"
    assert incident_key(incident, "m-1") == "incident:m-1:open"


def test_every_key_gives_a_valid_marker_name() -> None:
    assert marker_name("data_stale:fetch/1 2") == "notifications/data_stale:fetch%2F1%202.json"
    long = marker_name("run_failed:" + "x" * 500)
    assert len(long) < 100
    assert long != marker_name("run_failed:" + "x" * 501)


def test_a_digest_says_everything_in_words() -> None:
    card = notice_card(next(n for n in NOTICES if isinstance(n, WeeklyDigest)), EN)
    assert card.title == "🗓️ Demoville: the week of 23 Feb to 1 Mar 2026"
    assert card.severity == "info"
    assert lines(card) == {
        "Accuracy": "Forecasts were off by 21.0% of the bikes (14.2 bikes an hour), worse than in the four weeks "
        "before (18.0%).",
        "Counters that need a look: 6": "[Quai  N-S](https://bikes.example/counter/c-1.html): counts nothing since "
        "27 Feb (90% of 28 days usable)\n"
        "Pont: silent since 20 Feb\n"
        "Rue: has never counted\n"
        "Place: 61% of the last three days' hours outside the forecast interval\n"
        "and 2 more",
        "Models": "Version 8 is in use: R² 0.916 against 0.896\nVersion 9 (affluence) was not sufficiently better",
        "Coming up": "Tue 3 Mar, 08:00: about 5,230 bikes, the busiest hour of the day\n"
        "Works on the bridge: 2 Mar to 4 Mar (2 counters)\n"
        "Strike: 6 Mar until further notice",
        "Data": "8,400 hours of counts this week, 97% of them usable; 49 counters saw 812,345 bikes. 366 days of "
        "history in the last year.",
    }


def test_a_long_digest_is_not_cut() -> None:
    digest = next(n for n in NOTICES if isinstance(n, WeeklyDigest))
    long = digest.counters[0].model_copy(update={"name": "Quai " * 60})
    card = notice_card(digest.model_copy(update={"counters": (long,) * 10}), EN)
    assert within_limits(card) == card
    assert sum(field.value.count("counts nothing") for field in card.fields) == 10
    assert [field.name for field in card.fields][1:3] == ["Counters that need a look: 12", "…"]


def test_a_channel_without_markdown_gets_the_address_itself() -> None:
    card = notice_card(next(n for n in NOTICES if isinstance(n, WeeklyDigest)), EN)
    said = body(card)
    assert "Quai  N-S (https://bikes.example/counter/c-1.html): counts nothing" in said
    assert "](" not in said
