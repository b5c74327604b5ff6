"""The API as a client sees it, with a snapshot in a real object store."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from google.api_core.exceptions import ServiceUnavailable
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from tests.shared.usecases.serving.serving_app import HEADERS, app, bucket, publish
from tests.shared.usecases.serving.snapshots import (
    CHAMPION,
    CITY,
    HOUR,
    HOURS,
    LONELY_COUNTER,
    NEW_COUNTER,
    NOW,
    counter,
    snapshot,
)
from velocast.adapters.gcs import Objects
from velocast.core.datetimes import rfc3339
from velocast.core.errors import SettingsError
from velocast.usecases.serving import snapshot_holder
from velocast.usecases.serving.problems import PERMISSIONS
from velocast.usecases.site.page_files import PAGE_FILES
from velocast.usecases.snapshot_format import SNAPSHOT, Bounds, dumps

pytestmark = pytest.mark.usefixtures("storage_buckets")
PROBLEM = "application/problem+json"
V1_GETS = ["/v1/counters", "/v1/counters/c-1/forecast", "/v1/forecast", "/v1/champion"]


@pytest.fixture
def client() -> FlaskClient:
    publish(snapshot())
    return app().test_client()


def ask(client: FlaskClient, path: str, **headers: str) -> Any:
    answer = client.get(path, headers=HEADERS | headers)
    assert answer.status_code == 200, answer.text
    return answer.json


def predict(client: FlaskClient, *records: dict[str, Any], **body: Any) -> TestResponse:
    return client.post("/v1/predict", headers=HEADERS, json={"records": list(records)} | body)


def assert_problem(answer: TestResponse, status: int, words: str) -> None:
    assert (answer.status_code, answer.content_type) == (status, PROBLEM)
    assert answer.json is not None
    assert answer.json["status"] == status
    assert words in answer.json["detail"]


# ---- forecasts


def test_counters_have_positions_last_counts_and_the_published_hours(client: FlaskClient) -> None:
    answer = ask(client, "/v1/counters")
    assert answer["city"] == "Demoville"
    assert answer["hours"] == [rfc3339(h) for h in HOURS]
    assert answer["counters"][3] == {
        "counter_id": "c-3",
        "counter_name": "Rue 3 N-S",
        "latitude": 48.85,
        "longitude": pytest.approx(2.3123),
        "last_counted_at": "2026-03-02T22:00:00Z",
        "last_count": 3.0,
        "fault": None,
        "continues": [],
        "sum_of": [],
    }
    assert len(answer["counters"]) == 14


def quantile(values: tuple[float, ...] | None, hour: int) -> float:
    assert values is not None
    return values[hour]


def test_a_counters_forecast_starts_with_the_current_hour(client: FlaskClient) -> None:
    answer = ask(client, "/v1/counters/c-3/forecast")
    published = counter(3, 130)
    assert len(answer["forecast"]) == 72
    assert answer["forecast"][0] == {
        "at": "2026-03-03T09:00:00Z",
        "predicted_count": published.predicted[10],
        "lower": published.lower[10],
        "q25": quantile(published.q25, 10),
        "q50": quantile(published.q50, 10),
        "q75": quantile(published.q75, 10),
        "upper": published.upper[10],
        "busy_probability": 0.9,
        "basis": "model",
    }
    assert {p["basis"] for p in answer["forecast"]} == {"model"}
    assert (answer["origin_at"], answer["published_at"], answer["stale"]) == (
        "2026-03-02T23:00:00Z",
        "2026-03-03T04:00:00Z",
        False,
    )
    assert answer["champion"]["version"] == CHAMPION.version
    assert (answer["attribution"], answer["licence"]) == ("Bike counts: a made-up city", "CC0 1.0")


def test_hours_beyond_the_horizon_come_from_the_typical_week(client: FlaskClient) -> None:
    points = ask(client, "/v1/counters/c-3/forecast?hours=120")["forecast"]
    assert [p["basis"] for p in points] == ["model"] * 110 + ["typical_week"] * 10
    assert [p["q50"] is None for p in points] == [False] * 110 + [True] * 10


def test_past_hours_are_included_on_request(client: FlaskClient) -> None:
    answer = ask(client, "/v1/counters/c-3/forecast?hours=1&observed=12")
    assert [o["at"] for o in answer["observed"]] == [
        rfc3339(NOW.replace(minute=0) - i * HOUR) for i in range(12, 0, -1)
    ]
    assert [o["bike_count"] is None for o in answer["observed"]] == [False, False] + [True] * 10
    assert answer["observed"][1]["forecast"] is None
    assert answer["observed"][2]["forecast"]["basis"] == "model"


@pytest.mark.parametrize("query", ["hours=0", "hours=121", "hours=many", "observed=337", "hour=3"])
def test_other_numbers_of_hours_are_refused(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/v1/counters/c-3/forecast?{query}", headers=HEADERS)
    assert_problem(answer, 422, query.split("=", maxsplit=1)[0])


def test_an_unknown_counter_is_not_found(client: FlaskClient) -> None:
    answer = client.get("/v1/counters/nope/forecast", headers=HEADERS)
    assert_problem(answer, 404, "No counter 'nope'; GET /v1/counters lists them.")


@pytest.mark.parametrize("at", ["2026-03-03T18:30:00Z", "2026-03-03T19:30:00%2B01:00"])
def test_every_counter_at_one_hour(client: FlaskClient, at: str) -> None:
    answer = ask(client, f"/v1/forecast?at={at}")
    assert answer["at"] == "2026-03-03T18:00:00Z"
    assert [f["counter_id"] for f in answer["forecasts"]][-2:] == [NEW_COUNTER, LONELY_COUNTER]
    assert [f["basis"] for f in answer["forecasts"]] == ["model"] * 12 + [
        "neighbours",
        "city_profile",
    ]


def test_every_counter_at_the_current_hour(client: FlaskClient) -> None:
    assert ask(client, "/v1/forecast")["at"] == "2026-03-03T09:00:00Z"


@pytest.mark.parametrize(
    "at", ["tomorrow", "2026-03-03T18:30:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
def test_an_unusable_time_is_refused(client: FlaskClient, at: str) -> None:
    assert_problem(client.get(f"/v1/forecast?at={at}", headers=HEADERS), 422, "at: ")
    assert_problem(predict(client, {"counter_id": "c-1", "at": at}), 422, "records.0.at: ")


def test_the_champion_is_described(client: FlaskClient) -> None:
    answer = ask(client, "/v1/champion")
    assert answer["model_kind"] == "gbm"
    assert answer["champion"] == {
        "version": 7,
        "run_id": CHAMPION.run_id,
        "task": "forecast",
        "kind": "gbm",
        "metrics": CHAMPION.metrics,
        "trained_from": "2025-09-01T00:00:00Z",
        "trained_until": "2026-02-28T00:00:00Z",
        "published_at": "2026-03-01T01:00:00Z",
    }


def test_before_a_champion_similar_days_are_named() -> None:
    publish(snapshot(champion=None))
    answer = ask(app().test_client(), "/v1/champion")
    assert (answer["champion"], answer["model_kind"]) == (None, "similar_days")


def test_a_stale_snapshot_is_served_and_marked_as_stale() -> None:
    publish(snapshot())
    client = app(now=lambda: NOW + timedelta(days=30)).test_client()
    answer = ask(client, "/v1/counters/c-3/forecast?hours=2")
    assert answer["stale"] is True
    assert [p["at"] for p in answer["forecast"]] == ["2026-03-03T04:00:00Z", "2026-03-03T05:00:00Z"]


# ---- predictions


def test_predictions_come_in_the_order_of_the_records(client: FlaskClient) -> None:
    at = "2026-03-04T08:20:00+01:00"
    answer = predict(
        client,
        {"counter_name": "rue 4  n-s", "at": at},
        {"counter_id": "c-2", "at": at},
        {"counter_id": "c-2", "at": "2026-04-01T06:00:00Z"},
        {"latitude": 48.852, "longitude": 2.31, "at": at},
        {"counter_id": "opens-tomorrow", "latitude": 49.0, "longitude": 2.4, "at": at},
    )
    assert answer.status_code == 200
    assert answer.json is not None
    found = [(p["counter_id"], p["basis"], p["at"]) for p in answer.json["predictions"]]
    assert found == [
        ("c-4", "model", "2026-03-04T07:00:00Z"),
        ("c-2", "model", "2026-03-04T07:00:00Z"),
        ("c-2", "typical_week", "2026-04-01T06:00:00Z"),
        (None, "neighbours", "2026-03-04T07:00:00Z"),
        ("opens-tomorrow", "city_profile", "2026-03-04T07:00:00Z"),
    ]
    assert answer.json["task"] == "count"
    assert answer.json["champion"]["version"] == 7
    assert {p["busy"] for p in answer.json["predictions"]} == {None}


def test_affluence_says_whether_the_hour_is_busy(client: FlaskClient) -> None:
    records = [{"counter_id": "c-2", "at": f"2026-03-04T{hour:02}:00:00Z"} for hour in (2, 7)]
    answer = predict(client, *records, task="affluence")
    assert answer.json is not None
    assert [(p["busy"], p["busy_probability"]) for p in answer.json["predictions"]] == [
        (False, 0.1),
        (True, 0.9),
    ]


def test_affluence_uses_the_classifier_when_there_is_one() -> None:
    classifier = CHAMPION.model_copy(
        update={"task": "affluence", "kind": "affluence", "version": 3}
    )
    publish(snapshot(busy_champion=classifier, busy_from=0.05))
    records = [{"counter_id": "c-2", "at": f"2026-03-04T{hour:02}:00:00Z"} for hour in (2, 7)]
    client = app().test_client()
    answer = predict(client, *records, task="affluence")
    assert answer.json is not None
    assert answer.json["champion"]["kind"] == "affluence"
    assert answer.json["champion"]["version"] == 3
    assert [(p["busy"], p["busy_probability"]) for p in answer.json["predictions"]] == [
        (True, 0.1),
        (True, 0.9),
    ]
    counts = predict(client, *records)
    assert counts.json is not None
    assert counts.json["champion"]["version"] == CHAMPION.version


def test_every_record_with_an_unknown_place_is_named(client: FlaskClient) -> None:
    at = "2026-03-04T08:00:00Z"
    places = ({"counter_id": "x"}, {"counter_id": "c-1"}, {"counter_name": "y"})
    answer = predict(client, *[place | {"at": at} for place in places])
    assert_problem(answer, 422, "records.0: no counter 'x'; GET /v1/counters lists them")
    assert answer.json is not None
    assert [e["where"] for e in answer.json["errors"]] == ["records.0", "records.2"]


def test_a_name_shared_by_two_counters_requires_the_id() -> None:
    twins = (counter(1, 100), counter(2, 100, counter_name="Rue 1 N-S"))
    publish(snapshot().model_copy(update={"counters": twins}))
    answer = predict(app().test_client(), {"counter_name": "Rue 1 N-S", "at": rfc3339(NOW)})
    assert_problem(answer, 422, "2 counters are called 'Rue 1 N-S' (c-1, c-2); give the counter_id")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({}, "no place; give counter_id, counter_name, or latitude and longitude"),
        ({"latitude": 48.8}, "only one of latitude and longitude"),
        ({"latitude": 99, "longitude": 2}, "latitude"),
        ({"latitude": "NaN", "longitude": 2}, "latitude"),
        ({"counter_id": 5}, "counter_id"),
        ({"counter_id": "c-1", "bikes": 3}, "bikes"),
    ],
)
def test_a_record_that_names_no_place_is_refused(
    client: FlaskClient, record: dict[str, Any], words: str
) -> None:
    assert_problem(predict(client, {"at": rfc3339(NOW)} | record), 422, words)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"latitude": 0.0, "longitude": 0.0}, "0.0, 0.0 is not in Demoville; give a latitude from 48.75"),
        ({"counter_id": "c-1", "latitude": 48.85, "longitude": 3.0}, "longitude from 2.15 to 2.55"),
        ({"counter_id": "c-1", "at": "2019-03-04T08:00:00Z"}, "nothing is known about 2019-03-04T08:00:00Z"),
        ({"counter_id": "c-1", "at": "2026-04-27T23:00:00Z"}, "to 2026-04-27T23:00:00Z, 8 weeks around"),
    ],
)  # fmt: skip
def test_places_outside_the_city_and_hours_far_away_are_refused(
    client: FlaskClient, record: dict[str, Any], words: str
) -> None:
    box = Bounds(south=48.75, west=2.15, north=48.95, east=2.55)
    publish(snapshot(city=CITY.model_copy(update={"bounding_box": box})))
    assert_problem(predict(client, {"at": rfc3339(NOW)} | record), 422, words)


def test_a_replay_stands_at_its_publication_and_is_not_stale() -> None:
    publish(snapshot(clock="replay"))
    client = app(now=lambda: NOW + timedelta(days=300)).test_client()
    answer = ask(client, "/v1/forecast")
    assert (answer["at"], answer["stale"], answer["clock"]) == (
        "2026-03-03T04:00:00Z",
        False,
        "replay",
    )


def test_the_page_needs_a_key_unless_reading_is_public(client: FlaskClient) -> None:
    assert client.get("/").status_code == 200
    assert client.get("/data/manifest.json").status_code == 401
    assert client.get("/data/manifest.json", headers={"X-API-Key": "wrong"}).status_code == 403
    found = client.get("/data/manifest.json", headers=HEADERS).json
    assert found is not None
    city = client.get("/" + found["folder"] + "city.json", headers=HEADERS)
    assert city.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert client.get("/data/0123456789abcdef/city.json", headers=HEADERS).status_code == 404


def test_public_readers_are_limited_by_the_address_that_cloud_run_saw() -> None:
    publish(snapshot(2))
    public = app(public_site=True, requests_per_minute=2).test_client()

    def statuses(forwarded: str, times: int) -> list[int]:
        headers = {"X-Forwarded-For": forwarded, "Accept-Encoding": "gzip"}
        return [
            public.get("/data/manifest.json", headers=headers).status_code for _ in range(times)
        ]

    assert statuses("made-up, 192.0.2.1", 10) == [200] * 10
    assert statuses("another, 192.0.2.1", 1) == [429]
    assert statuses("192.0.2.1, 192.0.2.2", 1) == [200]
    forgotten = {"X-API-Key": "an old one", "X-Forwarded-For": "192.0.2.3"}
    assert public.get("/data/manifest.json", headers=forgotten).status_code == 200


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"{", 400, "The body is not JSON (Expecting"),
        (b"", 400, "The body is not JSON (Expecting"),
        (b"[" * 100_000, 400, "The body is not JSON"),
        (b"\xff", 400, "The body is not JSON"),
        (b"[]", 422, "valid dictionary"),
        (b'"{}"', 422, "records: Field required"),
        (b'{"records": []}', 422, "records: List should have at least 1 item"),
        (b'{"records": [{}], "task": "speed"}', 422, "records.0.at"),
        (b'{"records": [{"at": 5}]}', 422, "records.0"),
    ],
)
def test_an_invalid_body_is_refused(
    client: FlaskClient, data: bytes, status: int, words: str
) -> None:
    answer = client.post("/v1/predict", headers=HEADERS, data=data, content_type="application/json")
    assert answer.content_type == PROBLEM
    assert answer.json is not None
    assert answer.status_code == status
    assert words in json.dumps(answer.json)


def test_a_body_of_another_type_is_refused(client: FlaskClient) -> None:
    answer = client.post("/v1/predict", headers=HEADERS, data="at=5")
    assert_problem(answer, 415, "application/json")


def test_a_thousand_records_are_answered_and_one_more_is_not(client: FlaskClient) -> None:
    record = {"latitude": 48.85, "longitude": 2.31, "at": rfc3339(NOW)}
    whole = predict(client, *[record] * 1000)
    assert whole.json is not None
    assert len(whole.json["predictions"]) == 1000
    assert_problem(
        predict(client, *[record] * 1001), 422, "records: List should have at most 1000 items"
    )


def test_more_than_a_mebibyte_is_refused(client: FlaskClient) -> None:
    body = json.dumps({"records": [{"counter_id": "x" * 1024 * 1024, "at": rfc3339(NOW)}]})
    answer = client.post("/v1/predict", headers=HEADERS, data=body, content_type="application/json")
    assert_problem(answer, 413, "larger than 1048576 bytes")


# ---- keys and limits


@pytest.mark.parametrize("path", V1_GETS)
def test_a_request_without_a_key_is_refused(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert_problem(answer, 401, "X-API-Key")
    assert answer.headers["WWW-Authenticate"].startswith("ApiKey")
    assert_problem(client.get(path, headers={"X-API-Key": "wrong"}), 403, "Unknown API key")


def test_several_keys_are_accepted_and_a_new_one_is_picked_up(tmp_path: Path) -> None:
    publish(snapshot())
    keys = tmp_path / "keys"
    keys.write_text("# who may ask\nanna: key-a\n\nben:key:b\nno colon\n", encoding="utf-8")
    client = app(keys=keys).test_client()

    def status(key: str) -> int:
        return client.get("/v1/champion", headers={"X-API-Key": key}).status_code

    assert [status(k) for k in ("key-a", "key:b", "no colon", "key-c", "anna")] == [
        200,
        200,
        403,
        403,
        403,
    ]
    keys.write_text("carla:key-c\n", encoding="utf-8")
    assert [status(k) for k in ("key-a", "key-c")] == [403, 200]
    keys.unlink()
    assert status("key-c") == 200  # a secret that is unreadable for a moment locks nobody out


@pytest.mark.parametrize("text", [None, "", "# nobody\n", "no colon\n"])
def test_without_any_key_the_service_does_not_start(tmp_path: Path, text: str | None) -> None:
    keys = tmp_path / "keys"
    if text is not None:
        keys.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match="VELOCAST_API_KEYS_FILE: "):
        app(keys=keys)


def test_a_key_over_its_rate_limit_has_to_wait(tmp_path: Path) -> None:
    publish(snapshot())
    keys = tmp_path / "keys"
    keys.write_text("anna:a\nben:b\n", encoding="utf-8")
    client = app(keys=keys, requests_per_minute=3).test_client()
    answers = [client.get("/v1/champion", headers={"X-API-Key": "a"}) for _ in range(4)]
    assert [a.status_code for a in answers] == [200, 200, 200, 429]
    assert [a.headers["RateLimit"].split(";")[1] for a in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert answers[0].headers["RateLimit-Policy"] == '"key";q=3;w=60'
    assert_problem(answers[3], 429, "More than 3 requests in 60 s with this key; wait ")
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
    assert client.get("/v1/champion", headers={"X-API-Key": "b"}).status_code == 200


def test_unknown_keys_are_throttled_and_known_ones_are_not(client: FlaskClient) -> None:
    client = app(requests_per_minute=5).test_client()
    guesses = [client.get("/v1/champion", headers={"X-API-Key": f"guess-{i}"}) for i in range(7)]
    assert [a.status_code for a in guesses] == [403] * 5 + [429] * 2
    assert_problem(guesses[-1], 429, "Too many requests with unknown API keys")
    assert guesses[-1].headers["Retry-After"] == "60"
    assert client.get("/v1/champion", headers=HEADERS).status_code == 200


# ---- the snapshot


def test_without_a_snapshot_it_says_what_to_do() -> None:
    client = app().test_client()
    for path in [*V1_GETS, "/readyz"]:
        answer = client.get(path, headers=HEADERS)
        assert_problem(
            answer, 503, "No forecasts are published yet. Ask the operator to run predict"
        )
        assert answer.headers["Retry-After"] == "30"
    assert client.get("/healthz").json == {"status": "alive", "version": "0.1.0"}
    page = client.get("/")
    assert page.status_code == 200
    page.close()


@pytest.mark.parametrize(
    ("published", "words"),
    [
        (dumps(snapshot())[:-50], "bytes that are not gzip"),
        (b"{}", "bytes that are not gzip"),
        (gzip.compress(b"{}"), "serving/snapshot.json.gz: origin_at: Field required"),
    ],
    ids=["truncated", "not gzip", "not a snapshot"],
)
def test_a_snapshot_that_cannot_be_read_is_called_that(published: bytes, words: str) -> None:
    bucket().write(SNAPSHOT, published, content_type="application/gzip")
    client = app().test_client()
    for path in [*V1_GETS, "/readyz"]:
        answer = client.get(path, headers=HEADERS)
        assert_problem(answer, 503, words)
        assert_problem(answer, 503, "The published forecasts cannot be read")
        assert "No forecasts are published yet" not in answer.text


def test_a_storage_that_cannot_be_reached_is_called_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any) -> None:
        raise ServiceUnavailable("storage is away")  # type: ignore[no-untyped-call]

    monkeypatch.setattr(Objects, "read_unless", unreachable)
    answer = app().test_client().get("/v1/champion", headers=HEADERS)
    assert_problem(answer, 503, "The storage of the forecasts cannot be reached at the moment")


def test_the_first_answer_after_a_pause_comes_from_the_newest_snapshot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish(snapshot())
    client = app(check_seconds=15).test_client()
    assert ask(client, "/v1/champion")["champion"]["version"] == 7
    publish(snapshot(champion=CHAMPION.model_copy(update={"version": 8})))
    began, reads = time.monotonic(), Objects.read_unless

    def slow(self: Objects, name: str, generation: int) -> Any:
        time.sleep(0.3)
        return reads(self, name, generation)

    monkeypatch.setattr(Objects, "read_unless", slow)
    # the instance has no CPU for ten minutes
    monkeypatch.setattr(snapshot_holder, "time", LaterClock(600))
    assert ask(client, "/v1/champion")["champion"]["version"] == 8
    assert time.monotonic() - began < 10


def test_an_answer_says_when_its_snapshot_may_not_be_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish(snapshot())
    client = app(check_seconds=15).test_client()
    assert client.get("/v1/champion", headers=HEADERS).headers["Age"] == "0"
    monkeypatch.setattr(
        Objects, "read_unless", lambda *_: time.sleep(5)
    )  # slower than is waited for
    monkeypatch.setattr(snapshot_holder, "time", LaterClock(600))
    began = time.monotonic()
    answer = client.get("/v1/champion", headers=HEADERS)
    assert 1 < time.monotonic() - began < 4.5
    assert answer.status_code == 200
    assert 600 <= int(answer.headers["Age"]) < 620
    # the next request does not wait for that check again
    began = time.monotonic()
    assert client.get("/v1/champion", headers=HEADERS).status_code == 200
    assert time.monotonic() - began < 1


class LaterClock:
    """The module `time`, some seconds later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._seconds


def test_without_any_count_no_forecast_is_made_up() -> None:
    empty = snapshot().model_copy(update={"counters": snapshot().counters[-1:]})
    publish(empty)
    answer = app().test_client().get(f"/v1/counters/{LONELY_COUNTER}/forecast", headers=HEADERS)
    assert_problem(answer, 503, "contains no count of any counter")


def wait_for(application: Any, version: int) -> None:
    """Send requests until the background refresh has loaded the snapshot with this champion version."""
    for _ in range(200):
        if ask(application, "/v1/champion")["champion"]["version"] == version:
            return
    pytest.fail(f"no answer from version {version}")


def test_a_newer_snapshot_is_loaded_and_a_broken_one_is_ignored(client: FlaskClient) -> None:
    assert ask(client, "/v1/champion")["champion"]["version"] == 7
    publish(snapshot(champion=CHAMPION.model_copy(update={"version": 8})))
    wait_for(client, 8)
    bucket().write(SNAPSHOT, gzip.compress(b"{}"), content_type="application/gzip")
    for _ in range(5):
        assert ask(client, "/v1/champion")["champion"]["version"] == 8
    bucket().delete(SNAPSHOT)
    for _ in range(5):
        assert ask(client, "/v1/champion")["champion"]["version"] == 8


def test_ready_gives_the_age_of_the_snapshot(client: FlaskClient) -> None:
    assert client.get("/readyz").json == {
        "status": "ready",
        "origin_at": "2026-03-02T23:00:00Z",
        "published_at": "2026-03-03T04:00:00Z",
        "age_seconds": 5 * 3600 + 20 * 60.0,
        "fresh": True,
        "stale": False,
        "counters": 14,
    }


@pytest.mark.parametrize(("hours", "fresh"), [(26, True), (26.001, False)])
def test_forecasts_that_were_not_renewed_since_yesterday_are_not_fresh(
    hours: float, fresh: bool
) -> None:
    published = snapshot()
    publish(published)
    late = published.published_at + timedelta(hours=hours)
    ready = app(now=lambda: late).test_client().get("/ready").json
    assert ready is not None
    assert (ready["fresh"], ready["stale"]) == (fresh, False)


# ---- errors, page, documents


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("GET", "/v1/nope", 404),
        ("POST", "/v1/champion", 405),
        ("DELETE", "/", 405),
    ],
)
def test_every_error_is_a_problem(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method, headers=HEADERS)
    assert (answer.status_code, answer.content_type) == (status, PROBLEM)
    if status == 405:
        assert "GET" in answer.headers["Allow"]


def test_an_unexpected_error_reveals_no_details(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(snapshot())
    application = app()

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("secret inside")

    monkeypatch.setattr("velocast.usecases.serving.fallback_chain.coming_hours", broken)
    answer = application.test_client().get("/v1/counters/c-1/forecast", headers=HEADERS)
    assert_problem(answer, 500, "The service failed to handle this request; the error was logged.")
    assert "secret inside" not in answer.text
    lines = capsys.readouterr().out.splitlines()
    entry = json.loads(next(line for line in lines if "secret inside" in line))
    assert (entry["severity"], entry["code"]) == ("ERROR", "ZeroDivisionError")
    assert "Traceback" in entry["stack_trace"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs",
        "/page/app.js",
        "/counter/c-1",
        "/page/style.css",
        "/page/icon.svg",
        "/docs/swagger/js/swagger-ui-bundle.js",
    ],
)
def test_the_pages_allow_no_other_origin(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "script-src 'self' 'unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Permissions-Policy"].startswith("geolocation=(self), ")
    assert (
        answer.headers["Permissions-Policy"].count("=()") == 9
    )  # and no other feature for anybody
    answer.close()


def test_a_site_with_a_domain_allows_browsers_what_the_service_allows() -> None:
    domain = Path("terraform/modules/site/domain.tf").read_text(encoding="utf-8")
    assert f'"Permissions-Policy: {PERMISSIONS}",' in domain


@pytest.mark.parametrize("public", [True, False])
def test_the_manifest_is_preloaded_where_no_key_is_needed(public: bool) -> None:
    publish(snapshot())
    reader = app(public_site=public).test_client()
    for path, root in (("/", ""), ("/counter/c-1", "../")):
        plain, packed = (reader.get(path, headers={"Accept-Encoding": a}) for a in ("", "gzip"))
        html = plain.get_data(as_text=True)
        assert gzip.decompress(packed.data) == plain.data
        assert packed.headers["Vary"] == "Accept-Encoding"
        link = f'<link rel="preload" href="{root}data/manifest.json" as="fetch" crossorigin>'
        assert (link in html) is public
        assert ("manifest.json" in html) is public


@pytest.mark.parametrize(
    "name",
    ["docs.html", "index.html", *(name for name in sorted(PAGE_FILES) if name != "icon.svg")],
)
def test_the_page_names_no_other_address(name: str) -> None:
    text = Path("shared/velocast/usecases/site/static", name).read_text(encoding="utf-8")
    code = re.sub(r"(?m)(^|\s)// .*$", "", text).replace("http://www.w3.org/2000/svg", "")
    assert "//" not in code
    assert "<script>" not in text
    assert " style=" not in text


@pytest.mark.parametrize(
    "path", ["/page/index.py", "/page/../app.py", "/docs/swagger/../__init__.py"]
)
def test_only_the_files_of_the_pages_are_served(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_metrics_count_requests_by_route(client: FlaskClient) -> None:
    ask(client, "/v1/counters/c-1/forecast")
    ask(client, "/v1/counters/c-2/forecast")
    client.get("/nope")
    text = client.get("/metrics").text
    route = 'route="/v1/counters/<string:counter_id>/forecast"'
    assert f'velocast_http_requests_total{{method="GET",{route},status="200"}} 2.0' in text
    assert 'velocast_http_requests_total{method="GET",route="(none)",status="404"} 1.0' in text
    assert 'velocast_forecasts_served_total{basis="model"} 144.0' in text
    assert "velocast_snapshot_age_seconds 19200.0" in text


def test_the_openapi_document_is_valid_and_complete(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document is not None
    assert document["openapi"].startswith("3.1.")
    assert set(document["paths"]) == {
        "/healthz", "/readyz", "/metrics", "/v1/counters", "/v1/counters/{counter_id}/forecast",
        "/v1/forecast", "/v1/predict", "/v1/champion",
    }  # fmt: skip
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        assert schema.get("type") in ("object", "string", "array"), name
    operations = [op for item in document["paths"].values() for op in item.values()]
    ids = [op["operationId"] for op in operations]
    assert len(set(ids)) == len(ids)
    for operation in operations:
        assert all(answer["description"] for answer in operation["responses"].values())
        assert operation["summary"]
    references = {r.rsplit("/", 1)[1] for r in _references(document)}
    assert references <= set(schemas)


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [r for value in node.values() for r in _references(value)]
    if isinstance(node, list):
        return [r for value in node for r in _references(value)]
    return []


def test_the_document_requires_the_key_for_the_v1_routes(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document is not None
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation.get("security") == (
                [{"ApiKey": []}] if path.startswith("/v1") else None
            )
            if path.startswith("/v1"):
                assert PROBLEM in operation["responses"]["422"]["content"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/counters", "CounterList"),
        ("/v1/counters/c-1/forecast?observed=9", "CounterForecast"),
        ("/v1/champion", "ChampionAnswer"),
    ],
)
def test_responses_match_the_document(client: FlaskClient, path: str, name: str) -> None:
    document = client.get("/openapi.json").json
    assert document is not None
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    Draft202012Validator(schema).validate(ask(client, path))


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"counter_id": None},
        {"counter_id": "c-1"},
        {"counter_id": 5},
        {"counter_name": "Rue 4 N-S"},
        {"counter_name": None, "counter_id": "c-1"},
        {"latitude": 48.8},
        {"longitude": 2.3},
        {"latitude": 48.8, "longitude": None},
        {"latitude": None, "longitude": None},
        {"latitude": 48.8, "longitude": 2.3},
        {"latitude": 48.8, "longitude": 2.3, "counter_id": "c-1"},
        {"latitude": 48.8, "counter_id": "c-1"},
        {"latitude": None, "longitude": None, "counter_id": "c-1"},
        {"latitude": 91, "longitude": 2.3},
    ],
)
def test_the_document_allows_the_records_that_the_service_accepts(
    client: FlaskClient, place: dict[str, Any]
) -> None:
    document = client.get("/openapi.json").json
    assert document is not None
    schema = {"$ref": "#/components/schemas/PredictBody", "components": document["components"]}
    record = place | {"at": rfc3339(NOW)}
    allowed = Draft202012Validator(schema).is_valid({"records": [record]})
    assert predict(client, record).status_code == (200 if allowed else 422)
    many = {"records": [{"counter_id": "c-1", "at": rfc3339(NOW)}] * 1001}
    assert not Draft202012Validator(schema).is_valid(many)


def test_serving_imports_no_model_library_and_no_bigquery() -> None:
    heavy = "pandas numpy sklearn skops mlflow evidently pyarrow google.cloud.bigquery google.cloud.storage matplotlib"
    program = f"""
import sys
import velocast.usecases.serving.app
print(*[m for m in {heavy.split()} if m in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == []
