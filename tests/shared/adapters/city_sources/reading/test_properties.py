"""What must hold for any rows: nothing is lost or invented, and neither order nor cut of the pieces matters."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from velocast.adapters.city_sources.reading import Harvest, read_counts
from velocast.adapters.city_sources.transport import RawTable
from velocast.core.city import City

CITY = City(
    name="Testville",
    time_zone="Europe/Berlin",
    counts={
        "layout": {
            "shape": "long",
            "time": {"columns": "time"},
            "counter": {"id": "id"},
            "values": [{"column": "count"}],
        },
        "clock": {"times": "offset"},
    },
)
START = datetime(2024, 10, 26, 20, tzinfo=UTC)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "", None]),
        st.one_of(
            st.integers(0, 9).map(lambda n: (START + timedelta(hours=n)).isoformat()),
            st.sampled_from([None, "soon", (START + timedelta(minutes=30)).isoformat()]),
        ),
        st.one_of(st.integers(-1, 3), st.sampled_from([None, "2", "x", 2.5])),
    ),
    max_size=30,
)


def harvest_of(rows: list[tuple[Any, Any, Any]], cuts: int = 1) -> Harvest:
    pieces = [rows[n::cuts] for n in range(cuts)]
    frames = [pd.DataFrame(p, columns=["id", "time", "count"], dtype=object) for p in pieces]
    regular = [("c", (START + timedelta(hours=n)).isoformat(), 1) for n in range(40)]
    frames.append(pd.DataFrame(regular, columns=["id", "time", "count"], dtype=object))
    return read_counts(CITY, [RawTable(frame, "rows") for frame in frames], None)


def content(harvest: Harvest) -> tuple[Any, ...]:
    stored = {
        (r["counter_id"], r["counted_at"]): (r["bike_count"], r["quality"])
        for r in harvest.counts.to_pylist()
    }
    return stored, Counter(harvest.rejects), harvest.doubles


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_every_record_is_stored_dropped_as_a_double_or_rejected(
    rows: list[tuple[Any, Any, Any]],
) -> None:
    harvest = harvest_of(rows)

    assert harvest.fetched == len(rows) + 40
    put = harvest.counts.num_rows + harvest.doubles + len(harvest.rejects)
    assert put == harvest.fetched


@settings(max_examples=25, deadline=None)
@given(ROWS, st.integers(1, 4), st.randoms())
def test_order_and_pieces_do_not_matter(
    rows: list[tuple[Any, Any, Any]], cuts: int, random: Any
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)

    assert content(harvest_of(shuffled, cuts)) == content(harvest_of(rows))
