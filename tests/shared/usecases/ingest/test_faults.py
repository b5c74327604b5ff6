"""The detector of faults in a city whose hours are too many to be read at once."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests import emulators
from tests.shared.usecases import small_city
from velocast.adapters.bigquery.client import Warehouse
from velocast.core import schemas
from velocast.core.city import load_city
from velocast.core.errors import WarehouseError
from velocast.core.settings import Thresholds
from velocast.model.faults import city_faults
from velocast.model.faults.city_faults import fault_blocks
from velocast.usecases.ingest import faults, quality, verdicts
from velocast.usecases.ingest.faults import OWN
from velocast.usecases.ingest.verdicts import Verdict

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables", "topics")
CITY = load_city("demoville")
DAY = timedelta(days=1)
UNTIL = small_city.AS_OF
FIRST = UNTIL - 20 * DAY


@pytest.fixture
def city(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Store seven counters, in blocks of four and three, most of them with a fault."""
    monkeypatch.setattr(city_faults, "BLOCK", 4)
    rows = small_city.make(counters=7, days=70).assign(quality=None)
    names = sorted(rows["counter_id"].unique())
    at, name = rows["counted_at"], rows["counter_id"]
    dead = (name == names[0]) & (at >= UNTIL - 5 * DAY)
    stuck = (name == names[2]) & (at >= UNTIL - 9 * DAY) & (at < UNTIL - 7 * DAY)
    rows.loc[dead, "bike_count"], rows.loc[stuck, "bike_count"] = 0, 37
    rows.loc[(name == names[3]) & (at >= UNTIL - 12 * DAY), "bike_count"] *= 2
    surge = (name == names[5]) & (at == pd.Timestamp(UNTIL - 3 * DAY))
    rows.loc[surge, "bike_count"] = 90_000
    # dead before the judged days, and a mark that is not right any more
    rows.loc[(name == names[4]) & (at >= FIRST - 4 * DAY), ["bike_count", "quality"]] = 0, "outage"
    rows.loc[(name == names[1]) & (at >= UNTIL - 2 * DAY), "quality"] = "stuck"
    # the first counter of the second block begins late and the last one ends early
    rows = rows[~((name == names[5]) & (at < UNTIL - 40 * DAY))]
    rows = rows[~((rows["counter_id"] == names[6]) & (rows["counted_at"] >= UNTIL - 4 * DAY))]
    small_city.store(rows)
    word = Verdict(names[2], UNTIL - 9 * DAY, UNTIL - 8 * DAY, "accept", "me", UNTIL)
    verdicts.give_verdict(small_city.warehouse(), word)
    return rows


def found(days: int = 20) -> quality.FoundChanges:
    since = UNTIL - days * DAY
    return quality.search_changes(
        small_city.warehouse(), CITY, Thresholds(), mark_from=since, until=UNTIL
    ).all()


def as_bytes(changes: quality.FoundChanges) -> bytes:
    """Return changes as the bytes of a Parquet file like the one that is loaded, and of JSON."""
    rows = changes.rows.sort_values(["counter_id", "counted_at"], ignore_index=True)
    schema, file = schemas.arrow(schemas.COUNTS), io.BytesIO()
    table = pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
    parquet.write_table(table.combine_chunks().replace_schema_metadata(None), file)
    return file.getvalue() + json.dumps([each.as_dict() for each in changes.episodes]).encode()


def stored() -> pd.DataFrame:
    rows = small_city.warehouse().read(
        schemas.COUNTS,
        columns=["counter_id", "counted_at", "quality"],
        where="counted_at > '2000-01-01T00:00:00Z'",
    )
    return rows.to_pandas().sort_values(["counter_id", "counted_at"], ignore_index=True)


def test_blocks_that_are_read_in_parts_give_the_same_bytes(
    city: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = found()
    assert {"outage", "stuck", "level_shift", "suspect"} <= set(whole.rows["quality"])
    assert whole.rows["quality"].isna().any()

    sizes, read = list[int](), Warehouse.read

    def seen(self: Warehouse, table: str, **named: Any) -> pa.Table:
        rows = read(self, table, **named)
        if table == schemas.COUNTS:
            sizes.append(rows.num_rows)
        return rows

    monkeypatch.setattr(Warehouse, "read", seen)
    assert as_bytes(found()) == as_bytes(whole)
    assert len(sizes) == 2  # blocks
    sizes.clear()
    monkeypatch.setattr(faults, "READ_AT_ONCE", 70 * 24)
    assert as_bytes(found()) == as_bytes(whole)
    # each counter of a block is read twice: to be judged, and what is changed of it
    assert len(sizes) == 14
    assert max(sizes) <= 70 * 24


def test_all_hours_at_once_give_the_same_marks(
    city: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "READ_AT_ONCE", 70 * 24)
    since = UNTIL - 80 * DAY  # before the first count
    _, parts = faults.find_fault_changes(small_city.warehouse(), CITY, mark_from=since, until=UNTIL)
    changed = pd.concat([part.rows for part in parts], ignore_index=True)

    hours, counters = faults.read_judged_hours(small_city.warehouse(), since=since, until=UNTIL)
    judged = city_faults.judge_city(
        hours.assign(dead=False), counters, CITY.zone, country=CITY.holidays, sites=CITY.sites
    )
    keys = ["counter_id", "counted_at"]
    merged = hours.assign(right=judged.quality).merge(
        changed[[*keys, "quality"]], on=keys, how="left", suffixes=("", "_new"), indicator=True
    )
    now = merged["quality_new"].where(merged["_merge"] == "both", merged["quality"])
    own = now.isna() | now.isin(OWN)
    pd.testing.assert_series_equal(
        now[own].fillna("none"), merged["right"][own].fillna("none"), check_names=False
    )


def test_changes_that_are_stored_in_groups_are_the_same(
    city: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = found(faults.JUDGED_DAYS).rows
    groups, store = list[int](), quality.store_changes

    def counted(warehouse: Warehouse, changes: pd.DataFrame, **named: Any) -> None:
        groups.append(len(changes))
        store(warehouse, changes, **named)

    monkeypatch.setattr(quality, "store_changes", counted)
    monkeypatch.setattr(quality, "STORED_AT_ONCE", 100)
    marks = quality.mark_quality_from(small_city.fetch_run(), FIRST)

    assert len(groups) > 1
    assert sum(groups) == len(expected) == sum(marks.marked.values()) + marks.usable_again
    keys = ["counter_id", "counted_at"]
    merged = expected.merge(stored(), on=keys, suffixes=("", "_stored"))
    assert len(merged) == len(expected)
    assert (merged["quality"].fillna("") == merged["quality_stored"].fillna("")).all()


def test_a_run_that_failed_between_two_groups_is_completed_by_the_next_one(
    city: pd.DataFrame, topics: emulators.RunningPubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = found(faults.JUDGED_DAYS).rows
    groups, store = list[int](), quality.store_changes

    def failing(warehouse: Warehouse, changes: pd.DataFrame, **named: Any) -> None:
        groups.append(len(changes))
        if len(groups) == 2:
            raise WarehouseError("the service does not answer")
        store(warehouse, changes, **named)

    monkeypatch.setattr(quality, "store_changes", failing)
    monkeypatch.setattr(quality, "STORED_AT_ONCE", 100)
    with pytest.raises(WarehouseError):
        quality.mark_quality_from(small_city.fetch_run(), FIRST)
    assert topics.notices() == []

    quality.mark_quality_from(small_city.fetch_run(), FIRST)

    keys = ["counter_id", "counted_at"]
    merged = expected.merge(stored(), on=keys, suffixes=("", "_stored"))
    assert len(merged) == len(expected) == sum(groups) - groups[1]
    assert (merged["quality"].fillna("") == merged["quality_stored"].fillna("")).all()
    told = {notice["cause"]: notice["event_id"] for notice in topics.notices()}
    assert set(told) == {"faults", "suspect"}
    # what is told of faults depends on no stored mark: a repetition tells the same, with the same id
    quality.mark_quality_from(small_city.fetch_run(), FIRST)
    again = {notice["cause"]: notice["event_id"] for notice in topics.notices()}
    assert again == {"faults": told["faults"]}


@pytest.mark.parametrize("counters", [1, 499, 500, 501, 749, 1001, 20_000])
def test_a_block_has_at_most_its_counters(counters: int) -> None:
    names = [f"{number:05}" for number in range(counters)]
    blocks = fault_blocks(names)
    assert [name for block in blocks for name in block] == names
    assert max(map(len, blocks)) <= city_faults.BLOCK
    assert len(blocks) == -(-counters // city_faults.BLOCK)
    # a block alone is one block: parts of a city are judged like the city
    assert all(fault_blocks(block) == [block] for block in blocks)
