"""The made-up answers are those of a city whose counters count in every hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pyarrow as pa
import pytest

from benchmarks.steps.made_up_city import MadeUpCounts, MadeUpForecasts
from velocast.core import schemas
from velocast.usecases.ingest.faults import range_of
from velocast.usecases.training.datasets import count_rows

UNTIL = datetime(2026, 1, 4, 23, tzinfo=UTC)


def test_counts_are_read_by_ranges_of_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_rows, "BLOCK_ROWS", 500)
    city = MadeUpCounts(7, 10, UNTIL, outage=5)
    counters = city.query_large("counted_hours")
    parts = list(count_rows.sorted_rows(cast("Any", city), "made.up", counters))
    assert [part.num_rows for part in parts] == [480, 480, 480, 240]
    rows = pa.concat_tables(parts).to_pandas()
    assert rows["counter_id"].nunique() == 7
    assert not rows.duplicated(["counter_id", "counted_at"]).any()
    assert (rows["counted_at"].min(), rows["counted_at"].max()) == (city.first, city.last)
    assert rows["quality"].notna().sum() == 7 * 5


def test_forecasts_are_thinned_as_they_are_asked_for() -> None:
    city = MadeUpForecasts(40, 28)
    pairs = city.query_large("validation_pairs", keep_one_in=2, first_hour=UNTIL)
    similar = city.query_large("similar_days", keep_one_in=2)
    assert len(pairs) == len(similar) == 40 * 28 * 24 * 3 / 2
    assert pairs.merge(similar, on=["counter_id", "origin_at", "target_at"]).shape[0] == len(pairs)
    hours = {"first_hour": UNTIL, "until": UNTIL.replace(day=11)}
    assert city.query_large("drift_counts", keep_one_in=4, **hours)["counter_id"].nunique() == 10
    with pytest.raises(KeyError):
        city.query_large("features", keep_one_in=1)


def test_hours_are_read_by_ranges_of_time_for_the_detector() -> None:
    city = MadeUpCounts(7, 10, UNTIL)
    there = city.query_large("judged_counters", since=city.first, until=UNTIL)
    assert there["hours"].tolist() == [240] * 7
    where = range_of(("000000001", "000000003"), UNTIL - timedelta(days=2), UNTIL)
    rows = city.read(schemas.COUNTS, columns=["counter_id", "ingested_at"], where=where).to_pandas()
    assert rows.groupby("counter_id").size().to_dict() == {f"{n:09}": 48 for n in (1, 2, 3)}
    assert city.read(schemas.VERDICTS, columns=["counter_id"]).num_rows == 0
    assert city.query_large("mark_suspect").empty
