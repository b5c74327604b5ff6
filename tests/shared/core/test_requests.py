"""Messages: what a Pub/Sub event may look like, and one spelling for writer and reader."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest

from velocast.core import audit_row, notices, requests, schemas
from velocast.core.errors import EventError


@dataclass
class Event:
    data: Any


def event(body: bytes | None, **envelope: Any) -> Event:
    message = {"messageId": "7", "publishTime": "2026-03-01T02:00:00Z"} | envelope
    if body is not None:
        message["data"] = base64.b64encode(body).decode()
    return Event({"message": message})


def test_unpacks_a_request() -> None:
    delivery = requests.unpack(event(b'{"since": "2026-01-01T00:00:00Z"}'))
    assert delivery.message_id == "7"
    assert delivery.read(requests.FetchRequest).since == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("data", [b"", b"  ", b"{}", None])
def test_an_empty_body_is_an_empty_request(data: bytes | None) -> None:
    assert requests.unpack(event(data)).read(requests.PredictRequest) == requests.PredictRequest()


def test_snake_case_twins_are_read_too() -> None:
    data = {"message": {"message_id": "9", "publish_time": "2026-03-01T02:00:00Z"}}
    assert requests.unpack(Event(data)).message_id == "9"


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (event(b"not json"), "message 7: its data is not JSON"),
        (event(b"\xff"), "message 7: its data is not JSON"),
        (event(None, data="***"), "message 7: its data is not JSON"),
        (event(None, data="é"), "message 7: its data is not JSON"),
        (event(None, data=[3]), "data is list, needs a JSON object"),
        (event(b"[" * 100_000), "message 7: its data is not JSON"),
        (event(b"9" * 5_000), "message 7: its data is not JSON"),
        (event(b"[1]"), "data is list, needs a JSON object"),
    ],
)
def test_refuses_data_that_is_no_object_when_it_is_read(bad: Event, match: str) -> None:
    delivery = requests.unpack(bad)
    with pytest.raises(EventError, match=match):
        delivery.read(requests.PredictRequest)


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (Event({}), "no Pub/Sub message in the event"),
        (Event(None), "no Pub/Sub message in the event"),
        (Event([1]), "no Pub/Sub message in the event"),
        (Event({"message": "x"}), "no Pub/Sub message in the event"),
        (event(b"{}", publishTime="noon"), "publishTime 'noon' is not an RFC 3339 time"),
    ],
)
def test_refuses_what_is_no_message(bad: Event, match: str) -> None:
    with pytest.raises(EventError, match=match):
        requests.unpack(bad)


@pytest.mark.parametrize(
    ("payload", "match"),
    [
        ({"as_of": 3}, "as_of: Input should be a valid string"),
        ({"sinse": "x"}, "sinse: Extra inputs are not permitted"),
    ],
)
def test_wrong_fields_are_named(payload: dict[str, Any], match: str) -> None:
    with pytest.raises(EventError, match=match):
        requests.unpack(event(json.dumps(payload).encode())).read(requests.FetchRequest)


def test_audit_row_has_the_columns_of_its_table() -> None:
    columns = set(audit_row.AuditRow.model_fields) | {"environment"}
    assert columns == set(schemas.table(schemas.LOGS).columns)


def test_a_notice_is_read_back_as_its_own_type() -> None:
    notice = notices.DataStale(
        event_id="a",
        occurred_at="2026-03-01T02:00:00Z",
        newest_count_at=None,
        age_hours=None,
        reason="r",
    )
    assert notices.NOTICE.validate_json(notice.model_dump_json()) == notice
