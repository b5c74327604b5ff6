"""Estimates in their table: apart from the counts, replaced when counts come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pytest

from tests.shared.usecases import small_city
from velocast.adapters.bigquery import sql_templates
from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.jobs import Jobs
from velocast.core import schemas
from velocast.core.city import load_city
from velocast.core.datetimes import parse_instant
from velocast.model.gaps import city_gaps
from velocast.model.gaps.city_gaps import counter_blocks, rebuild_gaps
from velocast.model.gaps.limits import GapLimits
from velocast.usecases.ingest import gaps
from velocast.usecases.ingest.gaps import KEY, RebuiltGaps, rebuild_stored_gaps

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
SINCE, UNTIL = parse_instant("2025-02-23T23:00:00Z"), parse_instant("2025-02-27T23:00:00Z")
GAP = (parse_instant("2025-02-24T23:00:00Z"), parse_instant("2025-02-25T23:00:00Z"))


def rebuild(made_at: timedelta = timedelta()) -> RebuiltGaps:
    return rebuild_stored_gaps(
        small_city.warehouse(),
        load_city("demoville"),
        since=SINCE,
        until=UNTIL,
        made_at=small_city.AS_OF + made_at,
    )


def stored(table: str = schemas.COUNT_ESTIMATES) -> pd.DataFrame:
    columns = list(schemas.table(table).columns)
    rows = small_city.warehouse().read(
        table, columns=columns, where="counted_at >= '2025-01-01T00:00:00Z'"
    )
    return rows.to_pandas().sort_values(list(KEY), ignore_index=True)


def city_with_gap() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what is stored, and the day of one counter that is not."""
    city = small_city.make(days=35)
    at = city["counted_at"]
    missing = (city["counter_id"] == city["counter_id"].min()) & (at >= GAP[0]) & (at < GAP[1])
    small_city.store(city[~missing])
    return city[~missing], city[missing]


def test_a_gap_is_estimated_apart_from_the_counts() -> None:
    _, missing = city_with_gap()
    counts = stored(schemas.COUNTS)
    done = rebuild()
    assert (done.hours, done.counters) == (len(missing), 1)
    assert sum(done.by_basis.values()) == done.hours
    rows = stored()
    assert set(rows["counter_id"]) == {missing["counter_id"].iloc[0]}
    assert (rows["lower"] <= rows["estimated_count"]).all()
    assert (rows["estimated_count"] <= rows["upper"]).all()
    assert done.bikes == pytest.approx(missing["bike_count"].sum(), rel=0.25)
    pd.testing.assert_frame_equal(stored(schemas.COUNTS), counts)


def test_again_nothing_changes() -> None:
    city_with_gap()
    rebuild()
    before = stored()
    rebuild()
    pd.testing.assert_frame_equal(stored(), before)


@pytest.mark.parametrize("most_passed", [0, 100], ids=["loaded", "passed"])
def test_a_count_that_comes_replaces_its_estimate(
    most_passed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_templates, "PASSED_ROWS", most_passed)
    _, missing = city_with_gap()
    rebuild()
    small_city.store(missing.iloc[:20])
    done = rebuild(timedelta(hours=1))
    assert 0 < done.hours == len(missing) - 20 == len(stored()) < 100
    assert set(stored()["counted_at"]).isdisjoint(missing["counted_at"].iloc[:20])
    small_city.store(missing.iloc[20:])
    assert rebuild(timedelta(hours=2)).hours == 0
    assert stored().empty


def test_few_estimates_need_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    _, missing = city_with_gap()
    made = list[str]()
    monkeypatch.setattr(Jobs, "create", lambda jobs, name, *args, **options: made.append(name))
    assert rebuild().hours == len(missing)
    assert made == []


def test_an_hour_that_is_marked_gets_an_estimate() -> None:
    known, missing = city_with_gap()
    other = known[known["counter_id"] == known["counter_id"].max()]
    marked = other[(other["counted_at"] >= GAP[0]) & (other["counted_at"] < GAP[1])]
    rows = marked[["counter_id", "counted_at", "bike_count"]].assign(
        quality="outage", ingested_at=small_city.AS_OF
    )
    small_city.warehouse().merge(
        schemas.COUNTS, pa.Table.from_pandas(rows, preserve_index=False), keys=KEY
    )
    assert rebuild().hours == len(missing) + len(marked)


def test_counts_after_the_run_are_no_part_of_it() -> None:
    city_with_gap()
    done = rebuild_stored_gaps(
        small_city.warehouse(), load_city("demoville"), since=SINCE, until=UNTIL, made_at=GAP[0]
    )
    assert done.hours == 0


def test_a_large_city_is_read_in_parts_with_the_same_estimates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    city = small_city.make(counters=7, days=35)
    dead = city["counter_id"] == city["counter_id"].max()  # alone in its block, which ends first
    at = city["counted_at"]
    gone = (dead & (at >= GAP[0])) | ((at >= GAP[0]) & (at < GAP[1]) & (city.index % 5 == 0))
    kept = city[~gone]
    small_city.store(kept)
    limits = GapLimits(block=2)
    monkeypatch.setattr(gaps, "BLOCKS_AT_ONCE", 1)
    monkeypatch.setattr(gaps, "STORED_AT_ONCE", 30)
    monkeypatch.setattr(city_gaps.counter_blocks, "__defaults__", (limits,))
    monkeypatch.setitem(cast("Any", city_gaps.rebuild_gaps).__kwdefaults__, "limits", limits)
    sizes = list[int]()

    def seen(self: Warehouse, table: str, **named: Any) -> pa.Table:
        rows = read(self, table, **named)
        sizes.append(rows.num_rows)
        return rows

    read = Warehouse.read
    monkeypatch.setattr(Warehouse, "read", seen)
    done = rebuild()
    assert len(sizes) == 4
    assert max(sizes) < len(kept) / 3
    whole = rebuild_gaps(kept, load_city("demoville").zone, since=SINCE, until=UNTIL, country=None)
    assert done.hours == len(whole) > 30
    found = stored()[whole.columns]
    pd.testing.assert_frame_equal(found, whole, check_dtype=False)


@pytest.mark.parametrize("counters", [1, 449, 550, 649, 651, 1049, 1050, 2049, 19_951, 20_000])
def test_parts_are_divided_into_the_blocks_of_the_whole_city(counters: int) -> None:
    names = [f"{number:05}" for number in range(counters)]
    blocks = counter_blocks(names)
    divided = list[list[str]]()
    for ends in gaps._read_at_once(blocks):
        low, high = ends or (names[0], names[-1])
        divided += counter_blocks(name for name in names if low <= name <= high)
    assert divided == blocks
