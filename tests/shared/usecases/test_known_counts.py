"""The counts as of any instant, compared with a record that pandas kept of a random history of deliveries."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from google.cloud import bigquery

from tests.shared.usecases import small_city
from velocast.adapters.bigquery.revisions import Remembering
from velocast.core import schemas
from velocast.usecases.ingest import fetch, quality
from velocast.usecases.known_counts import (
    ChangedLater,
    Known,
    count_changes,
    read_known_counts,
    read_known_totals,
)

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOURS = 4 * 24
FAR = datetime(2027, 1, 1, tzinfo=UTC)
KEY = ["counter_id", "counted_at"]
BY_FETCH = (None, "incomplete", "flagged")


class Deliveries:
    """Deliveries and marks, written as ingestion writes them; and what pandas says was known after each of them."""

    def __init__(self) -> None:
        self.warehouse = small_city.warehouse()
        self.now: dict[tuple[str, datetime], tuple[int, str | None]] = {}
        self.then: dict[datetime, pd.DataFrame] = {}

    def deliver(
        self, at: datetime, rows: dict[tuple[str, datetime], tuple[int, str | None]]
    ) -> None:
        frame = pd.DataFrame(
            [(*key, *value, at) for key, value in rows.items()],
            columns=[*KEY, "bike_count", "quality", "ingested_at"],
        )
        table = pa.Table.from_pandas(
            frame, schema=schemas.arrow(schemas.COUNTS), preserve_index=False
        )
        self.warehouse.merge(
            schemas.COUNTS,
            table,
            keys=KEY,
            update=["bike_count", "quality"],
            replaced={"quality": ("incomplete", "flagged")},
            history=Remembering(at),
        )
        for key, (count, told) in rows.items():
            _, before = self.now.get(key, (0, None))
            self.now[key] = (count, told if before in BY_FETCH else before)
        self._remember(at)

    def mark(self, at: datetime, marks: dict[tuple[str, datetime], str | None]) -> None:
        rows = pd.DataFrame(
            [(*key, self.now[key][0], mark, at) for key, mark in marks.items()],
            columns=[*KEY, "bike_count", "quality", "ingested_at"],
        )
        quality.store_changes(self.warehouse, rows, learned_at=at)
        for key, mark in marks.items():
            self.now[key] = (self.now[key][0], mark)
        self._remember(at)

    def _remember(self, at: datetime) -> None:
        rows = [(*key, *value) for key, value in sorted(self.now.items())]
        self.then[at] = pd.DataFrame(rows, columns=[*KEY, "bike_count", "quality"])

    def known(self, at: datetime) -> pd.DataFrame:
        """Return what pandas says was known at an instant."""
        before = [moment for moment in self.then if moment <= at]
        return self.then[max(before)] if before else next(iter(self.then.values())).iloc[:0]

    def stored(self, at: datetime) -> pd.DataFrame:
        """Return what the tables say was known at an instant."""
        return read_known_counts(self.warehouse, Known(at, FIRST, FAR))[
            [*KEY, "bike_count", "quality"]
        ]


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    def plain(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
        shown = frame.astype({"counted_at": "datetime64[us, UTC]"}).astype(object)
        return [tuple(row) for row in shown.where(shown.notna(), None).itertuples(index=False)]

    assert plain(left) == plain(right)


@pytest.mark.usefixtures("warehouse_tables")
@pytest.mark.parametrize("seed", [1, 2])
def test_any_instant_of_a_random_history_is_as_pandas_recorded_it(seed: int) -> None:
    draw = random.Random(seed)
    keys = [(c, FIRST + h * timedelta(hours=1)) for c in ("a", "b", "c") for h in range(HOURS)]
    past = Deliveries()
    moment = FIRST + timedelta(hours=2)
    for _ in range(14):
        moment += timedelta(minutes=draw.randrange(30, 900), microseconds=draw.randrange(10**6))
        told = [key for key in keys if key[1] < moment and draw.random() < 0.4]
        rows = {key: (draw.randrange(4), draw.choice([None, None, "incomplete"])) for key in told}
        past.deliver(moment, rows)
        if draw.random() < 0.4:
            past.deliver(moment, rows)  # Pub/Sub delivers twice
        if draw.random() < 0.6:
            marked = draw.sample(sorted(past.now), len(past.now) // 6)
            later = moment + draw.choice([timedelta(0), timedelta(minutes=7)])
            past.mark(later, {key: draw.choice([None, "outage", "suspect"]) for key in marked})
    moments = sorted(past.then)
    asked = [m + shift for m in moments for shift in (-timedelta(microseconds=1), timedelta(0))]
    for at in [*asked, FIRST, FAR]:
        same(past.stored(at), past.known(at))
    middle = moments[len(moments) // 2]
    then, now = past.known(middle).set_index(KEY), past.known(FAR).set_index(KEY)
    both = then.join(now, rsuffix="_now")
    differ = (both["bike_count"] != both["bike_count_now"]) | (
        both["quality"].fillna("") != both["quality_now"].fillna("")
    )
    changes = count_changes(past.warehouse, Known(middle, FIRST, FAR))
    # an hour that was changed and changed back counts as changed
    assert changes.changed >= int(differ.sum()) > 0
    assert changes.learned == len(now) - len(then) > 0
    totals = read_known_totals(past.warehouse, Known(middle, FIRST, FAR))
    assert (totals["hours"], totals["counters"]) == (len(then), 3)
    assert totals["bikes"] == then["bike_count"].sum()
    assert totals["unusable"] == then["quality"].notna().sum()


@pytest.mark.usefixtures("warehouse_tables")
def test_hours_and_counters_can_be_chosen() -> None:
    past = Deliveries()
    past.deliver(
        FIRST + DAY,
        {(c, FIRST + h * timedelta(hours=1)): (h, None) for c in "ab" for h in range(3)},
    )
    past.deliver(FIRST + 2 * DAY, {("b", FIRST + timedelta(hours=1)): (9, None)})
    since, until = FIRST + timedelta(hours=1), FIRST + timedelta(hours=2)

    def counts(at: datetime) -> list[int]:
        return list(read_known_counts(past.warehouse, Known(at, since, until, ["b"]))["bike_count"])

    assert counts(FIRST + DAY) == [1]
    assert counts(FIRST + 2 * DAY) == [9]
    assert count_changes(past.warehouse, Known(FIRST + DAY, since, until, ["a"])) == ChangedLater()
    totals = read_known_totals(past.warehouse, Known(FIRST, FIRST, FAR))
    assert (totals["hours"], totals["first_hour"]) == (0, None)


def test_a_correction_is_remembered_once_with_what_was_before(
    warehouse_tables: bigquery.Client,
) -> None:
    past, key = Deliveries(), ("a", FIRST)
    past.deliver(FIRST + DAY, {key: (5, None)})
    past.mark(FIRST + DAY, {key: "suspect"})  # found by the run that stored it first: no revision
    assert revisions(warehouse_tables) == []

    later = FIRST + 2 * DAY
    past.deliver(later, {key: (7, None)})
    past.deliver(later, {key: (7, None)})
    assert revisions(warehouse_tables) == [(later, FIRST + DAY, 5, 7, "suspect", "suspect")]
    past.mark(later, {key: None})  # the same run lifts the mark
    assert revisions(warehouse_tables) == [(later, FIRST + DAY, 5, 7, "suspect", None)]
    past.deliver(later + DAY, {key: (7, None)})
    assert len(revisions(warehouse_tables)) == 1


def test_an_event_that_arrives_after_a_newer_one_corrects_it(
    warehouse_tables: bigquery.Client,
) -> None:
    past, key = Deliveries(), ("a", FIRST)
    past.deliver(FIRST + 2 * DAY, {key: (5, None)})
    past.deliver(FIRST + DAY, {key: (6, None)})
    newer = FIRST + 2 * DAY
    assert revisions(warehouse_tables) == [(newer, newer, 5, 6, None, None)]
    assert list(past.stored(newer)["bike_count"]) == [6]


def revisions(client: bigquery.Client) -> list[tuple[Any, ...]]:
    text = f"SELECT * FROM {schemas.REVISIONS} WHERE counted_at > '2020-01-01' ORDER BY learned_at"
    return [
        (r.learned_at, r.known_at, r.old_count, r.new_count, r.old_quality, r.new_quality)
        for r in client.query_and_wait(text)
    ]


def test_what_ingestion_merges_by_is_what_revisions_are_kept_by() -> None:
    assert tuple(KEY) == fetch.KEY
