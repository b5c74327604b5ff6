"""How long the lease of a retraining has been held."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.emulators import PROJECT
from velocast.adapters.gcs import Objects
from velocast.adapters.retrain_lease import LEASE, held_seconds

NOW = datetime(2025, 3, 2, 9, tzinfo=UTC)
WORKFLOW = Path(__file__).parents[3] / "workflows" / "retrain.yaml"


@pytest.fixture
def objects(storage_buckets: dict[str, str]) -> Objects:
    return Objects(PROJECT, storage_buckets["models"])


def test_a_free_lease_is_held_for_no_time(objects: Objects) -> None:
    assert held_seconds(objects, NOW) == 0


def test_a_held_lease_says_since_when(objects: Objects) -> None:
    objects.write_json(LEASE, {"owner": "e1", "taken_at": "2025-03-02T00:00:00.5Z"})
    assert held_seconds(objects, NOW) == 9 * 3600 - 0.5


def test_a_run_for_a_day_before_it_was_taken_knows_nothing(objects: Objects) -> None:
    objects.write_json(LEASE, {"owner": "e1", "taken_at": "2025-03-02T09:00:01Z"})
    assert held_seconds(objects, NOW) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"owner": "e1"}', "'taken_at'"),
        (b'{"taken_at": "yesterday"}', "'yesterday' is not an RFC 3339 time"),
        (b'{"taken_at": 5}', "5 is not an RFC 3339 time"),
        (b"[]", "list indices"),
        (b"{", "is not JSON"),
    ],
)
def test_a_lease_that_does_not_say_since_when_is_logged(
    content: bytes, said: str, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(
        "velocast.core.telemetry.log", lambda _severity, message: lines.append(message)
    )
    objects.write(LEASE, content, content_type="application/json")
    assert held_seconds(objects, NOW) is None
    (line,) = lines
    assert said in line
    assert LEASE in line


def test_the_workflow_writes_what_is_read_here() -> None:
    source = WORKFLOW.read_text(encoding="utf-8")
    assert f"name: {LEASE}" in source
    assert "taken_at: ${time.format(sys.now())}" in source
