from __future__ import annotations

import gzip
import json

import pytest

from tests.shared.usecases.serving.snapshots import counter, snapshot
from velocast.core.errors import EventError
from velocast.usecases.snapshot_format import Snapshot, dumps, loads


def test_what_is_written_is_read_again() -> None:
    written = snapshot()
    assert loads(dumps(written)) == written


def test_the_same_snapshot_gives_the_same_bytes() -> None:
    assert dumps(snapshot()) == dumps(snapshot())


def test_counters_written_one_by_one_are_the_text_of_the_whole() -> None:
    for made in (
        snapshot(50),
        snapshot().model_copy(update={"counters": ()}),
        snapshot().model_copy(update={"counters": (counter(1, 40),)}),
    ):
        assert gzip.decompress(dumps(made)).decode("utf-8") == made.model_dump_json()


def test_times_are_written_in_utc_with_a_z() -> None:
    values = json.loads(gzip.decompress(dumps(snapshot())))
    assert values["origin_at"] == "2026-03-02T23:00:00Z"
    assert values["hours"][1] == "2026-03-03T00:00:00Z"


def test_a_field_of_a_newer_writer_is_left_out() -> None:
    values = json.loads(gzip.decompress(dumps(snapshot()))) | {"tides": "high"}
    assert loads(gzip.compress(json.dumps(values).encode())) == snapshot()


def test_a_forecast_needs_a_value_for_each_hour() -> None:
    short = counter(1, 100, predicted=(1.0, 2.0))
    with pytest.raises(
        ValueError, match="counter c-1: predicted has 2 values, 120 or none are needed"
    ):
        Snapshot(**dict(snapshot()) | {"counters": (short,)})


@pytest.mark.parametrize("data", [b"", b"no gzip", dumps(snapshot())[:-40]])
def test_bytes_that_are_no_gzip_are_named(data: bytes) -> None:
    with pytest.raises(
        EventError, match=r"snapshot\.json\.gz: \d+ bytes that are not gzip|Invalid JSON"
    ):
        loads(data)


def test_a_wrong_field_is_named() -> None:
    values = json.loads(gzip.decompress(dumps(snapshot()))) | {"origin_at": "yesterday"}
    with pytest.raises(EventError, match=r"origin_at: .* run predict again"):
        loads(gzip.compress(json.dumps(values).encode()))
