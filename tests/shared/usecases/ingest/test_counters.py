"""How a counter's row changes with the city's description."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from velocast.adapters.city_sources.records import CounterRecord
from velocast.usecases.ingest.counters import StoredCounter, seen_hours, updated_rows

EARLY, LATE = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 2, tzinfo=UTC)
AS_OF = datetime(2025, 3, 3, tzinfo=UTC)
STORED = StoredCounter("a", "1 rue N-S", "1", "1 rue", 48.85, 2.3, date(2020, 5, 4), EARLY, LATE)


def published(**changes: Any) -> CounterRecord:
    record = CounterRecord("a", "1 rue N-S", "1", "1 rue", date(2020, 5, 4), 48.85, 2.3)
    return record._replace(**changes)


def test_nothing_new_changes_nothing() -> None:
    rows, changes = updated_rows({"a": STORED}, [published()], {"a": (EARLY, LATE)}, AS_OF)

    assert rows == [STORED]
    assert changes.details() == {
        "new": 0,
        "renamed": [],
        "moved": [],
        "outside_city": [],
        "without_counts": 0,
    }


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ({"latitude": 48.85044}, False),  # 49 m
        ({"latitude": 48.85046}, True),  # 51 m
        ({"longitude": 2.30067}, False),  # 49 m at this latitude
        ({"longitude": 2.30070}, True),
        ({"latitude": None, "longitude": None}, False),
    ],
)
def test_moved_is_more_than_fifty_metres(changes: dict[str, Any], moved: bool) -> None:
    (row,), found = updated_rows({"a": STORED}, [published(**changes)], {}, AS_OF)
    assert found.moved == (["a"] if moved else [])
    assert row.moved_at == (AS_OF if moved else None)


def test_missing_values_do_not_replace_stored_ones() -> None:
    nothing = CounterRecord("a", None, None, None, None, None, None, outside_city=True)

    rows, changes = updated_rows({"a": STORED}, [nothing], {}, AS_OF)

    assert rows == [STORED]
    assert (changes.outside_city, changes.moved, changes.renamed) == (["a"], [], [])


def test_a_counter_has_a_row_once_it_counts() -> None:
    rows, changes = updated_rows(
        {}, [published(), published(counter_id="b")], {"b": (EARLY, LATE), "c": (LATE, LATE)}, AS_OF
    )

    assert [row.counter_id for row in rows] == ["b", "c"]
    assert rows[1] == StoredCounter("c", first_seen_at=LATE, last_seen_at=LATE)
    assert (changes.new, changes.without_counts) == (["b", "c"], 1)


def test_first_and_last_hour_only_widen() -> None:
    before, after = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)

    (row,) = updated_rows({"a": STORED}, [], {"a": (before, after)}, AS_OF)[0]

    assert (row.first_seen_at, row.last_seen_at) == (before, LATE)


def test_seen_hours() -> None:
    hours = pa.array([LATE, EARLY, LATE], pa.timestamp("us", tz="UTC"))

    assert seen_hours(pa.table({"counter_id": ["a", "a", "b"], "counted_at": hours})) == {
        "a": (EARLY, LATE),
        "b": (LATE, LATE),
    }
