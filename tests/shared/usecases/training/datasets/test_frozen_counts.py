from __future__ import annotations

import hashlib
import io
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery

from tests import emulators
from tests.shared.usecases import small_city
from velocast.core.datetimes import parse_instant
from velocast.core.errors import ModelUnusable, TooLittleHistory, WarehouseError
from velocast.usecases.training.datasets import baseline as baselines
from velocast.usecases.training.datasets import count_rows, frozen_counts
from velocast.usecases.training.datasets.baseline import Baseline
from velocast.usecases.training.datasets.windows import DayRange

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")


@pytest.fixture
def city() -> pd.DataFrame:
    made = small_city.make(counters=2, days=20)
    made.loc[made.index % 50 == 0, "quality"] = "outage"
    small_city.store(made)
    return made


def drop(client: bigquery.Client, table: str) -> None:
    client.delete_table(f"{emulators.PROJECT}.{table}", not_found_ok=True)


def test_frozen_counts_are_the_counts_under_the_hash_of_their_bytes(city: pd.DataFrame) -> None:
    run = small_city.job_run()
    frozen = frozen_counts.freeze_counts(run)
    stored = emulators.objects("datasets").read(f"counts/{frozen.sha256}.parquet").data
    assert hashlib.sha256(stored).hexdigest() == frozen.sha256
    assert frozen.uri == f"gs://{emulators.BUCKETS['datasets']}/counts/{frozen.sha256}.parquet"
    rows = frozen_counts.read_frozen(run, frozen).to_pandas()
    expected = city.sort_values(["counter_id", "counted_at"], ignore_index=True)
    assert frozen.rows == len(rows) == len(city)
    assert list(rows.columns) == ["counter_id", "counted_at", "bike_count", "quality"]
    assert rows["counter_id"].tolist() == expected["counter_id"].tolist()
    assert rows["counted_at"].tolist() == expected["counted_at"].tolist()
    assert rows["bike_count"].tolist() == expected["bike_count"].tolist()
    assert (rows["quality"].isna() == expected["quality"].isna()).all()
    assert frozen.known(run) == DayRange(first=date(2025, 2, 18), until=date(2025, 3, 10))


def test_they_are_read_in_blocks_of_counters_and_written_as_if_at_once(
    city: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["it's", "a\\b", "Zoë", "z"]
    one = city[city["counter_id"] == city["counter_id"].iloc[0]]
    small_city.store(pd.concat([one.assign(counter_id=name) for name in names]))
    run = small_city.job_run()
    whole = frozen_counts.freeze_counts(run)
    rows = frozen_counts.read_frozen(run, whole)
    sizes, read = [], run.warehouse.read

    def seen(*args: Any, **named: Any) -> pa.Table:
        table = read(*args, **named)
        sizes.append(table.num_rows)
        return table

    monkeypatch.setattr(run.warehouse, "read", seen)
    monkeypatch.setattr(count_rows, "BLOCK_ROWS", 500)
    assert frozen_counts.freeze_counts(run) == whole
    assert len(sizes) == len(set(rows["counter_id"].to_pylist()))  # 480 hours or 960 each
    assert sum(sizes) == whole.rows == rows.num_rows
    file = io.BytesIO()  # what is stored is what pyarrow makes of all rows in order
    ordered = pa.Table.from_pylist(
        sorted(rows.to_pylist(), key=lambda row: (row["counter_id"], row["counted_at"])),
        schema=count_rows.counts_schema(),
    )
    pq.write_table(ordered, file, compression="zstd", store_schema=False)
    assert whole.sha256 == hashlib.sha256(file.getvalue()).hexdigest()


def test_a_table_that_changes_while_it_is_read_is_noticed(city: pd.DataFrame) -> None:
    run = small_city.job_run()
    frozen = frozen_counts.freeze_counts(run)
    counters = count_rows.read_counted(run, frozen.table)
    counters["hours"] += 1
    with pytest.raises(WarehouseError, match="another process changes it; run the job again"):
        list(count_rows.sorted_rows(run.warehouse, frozen.table, counters))


def test_the_same_counts_have_the_same_hash_and_others_another(city: pd.DataFrame) -> None:
    frozen = frozen_counts.freeze_counts(small_city.job_run())
    assert frozen_counts.freeze_counts(small_city.job_run()) == frozen
    assert (
        frozen_counts.freeze_counts(small_city.job_run("2025-03-10T22:00:00Z")) == frozen
    )  # the same local day
    yesterday = frozen_counts.freeze_counts(small_city.job_run("2025-03-09T04:00:00Z"))
    assert yesterday.sha256 != frozen.sha256
    assert yesterday.last == "2025-03-08T22:00:00Z"


def test_what_is_corrected_later_does_not_change_what_was_frozen(
    city: pd.DataFrame, warehouse_tables: bigquery.Client
) -> None:
    run = small_city.job_run()
    frozen = frozen_counts.freeze_counts(run)
    small_city.store(city.assign(bike_count=city["bike_count"] + 1))
    columns = ["counter_id", "counted_at", "bike_count", "quality"]
    read = run.warehouse.read(frozen_counts.counts_table(run, frozen), columns=columns)
    assert pc.sum(read["bike_count"]).as_py() == city["bike_count"].sum()
    assert frozen_counts.freeze_counts(run).sha256 != frozen.sha256


def test_an_expired_table_is_loaded_again_from_the_object(
    city: pd.DataFrame, warehouse_tables: bigquery.Client
) -> None:
    run = small_city.job_run()
    frozen = frozen_counts.freeze_counts(run)
    drop(warehouse_tables, frozen.table)
    table = frozen_counts.counts_table(run, frozen)
    columns = ["counter_id", "counted_at", "bike_count", "quality"]
    order = [("counter_id", "ascending"), ("counted_at", "ascending")]
    again = run.warehouse.read(table, columns=columns).sort_by(order)
    assert again.to_pylist() == frozen_counts.read_frozen(run, frozen).to_pylist()


def test_an_altered_object_is_noticed(
    city: pd.DataFrame, warehouse_tables: bigquery.Client
) -> None:
    run = small_city.job_run()
    frozen = frozen_counts.freeze_counts(run)
    emulators.objects("datasets").write(
        f"counts/{frozen.sha256}.parquet", b"other", content_type="text/plain"
    )
    with pytest.raises(ModelUnusable, match=f"it was frozen as {frozen.sha256}"):
        frozen_counts.read_frozen(run, frozen)


def test_without_a_usable_count_there_is_nothing_to_freeze(city: pd.DataFrame) -> None:
    with pytest.raises(TooLittleHistory, match=r"no usable count before 2025-01-31T23:00:00Z"):
        frozen_counts.freeze_counts(small_city.job_run("2025-02-01T12:00:00Z"))


def test_the_days_that_models_are_judged_on_keep_the_rows_of_their_baseline(
    city: pd.DataFrame,
) -> None:
    run = small_city.job_run()
    half = baselines.ensure_baseline(run, frozen_counts.freeze_counts(run)).test
    first, until = half.days.bounds(run.settings.city.zone)
    small_city.store(city.assign(bike_count=city["bike_count"] + 1))  # the city corrects it all
    rows = frozen_counts.read_frozen(run, frozen_counts.freeze_counts(run, half)).to_pandas()
    inside = (rows["counted_at"] >= first) & (rows["counted_at"] < until)
    kept = frozen_counts.read_frozen(run, half).to_pandas()
    pd.testing.assert_frame_equal(rows[inside].reset_index(drop=True), kept)
    other = city[(city["counted_at"] < first) | (city["counted_at"] >= until)]
    assert rows.loc[~inside, "bike_count"].sum() == (other["bike_count"] + 1).sum()
    # a past day that is trained again knows none of them from its origin on
    earlier = small_city.job_run(f"{half.days.first}T12:00:00Z")
    known = frozen_counts.read_frozen(
        earlier, frozen_counts.freeze_counts(earlier, half)
    ).to_pandas()
    assert known["counted_at"].max() < first


class TestBaseline:
    def test_it_cuts_the_counts_in_time_at_a_local_midnight(self, city: pd.DataFrame) -> None:
        run = small_city.job_run()
        frozen = frozen_counts.freeze_counts(run)
        made = baselines.ensure_baseline(run, frozen)
        assert made.counts == frozen
        assert made.split_at == "2025-03-03T23:00:00Z"  # 14 days of 20
        assert made.train.days == DayRange(first=date(2025, 2, 18), until=date(2025, 3, 4))
        assert made.test.days == DayRange(first=date(2025, 3, 4), until=date(2025, 3, 10))
        halves = [frozen_counts.read_frozen(run, half) for half in (made.train, made.test)]
        assert [half.num_rows for half in halves] == [made.train.rows, made.test.rows]
        assert pc.max(halves[0]["counted_at"]).as_py() < parse_instant(made.split_at)
        assert pc.min(halves[1]["counted_at"]).as_py() == parse_instant(made.split_at)
        whole = pa.concat_tables(halves).sort_by(
            [("counter_id", "ascending"), ("counted_at", "ascending")]
        )
        assert whole.to_pylist() == frozen_counts.read_frozen(run, frozen).to_pylist()
        assert (
            Baseline.model_validate(
                emulators.objects("datasets").read_json("baseline/current.json")[0]
            )
            == made
        )

    def test_it_never_changes_by_itself(self, city: pd.DataFrame) -> None:
        first = baselines.ensure_baseline(
            small_city.job_run("2025-03-09T04:00:00Z"),
            frozen_counts.freeze_counts(small_city.job_run("2025-03-09T04:00:00Z")),
        )
        generation = emulators.objects("datasets").read("baseline/current.json").generation
        again = baselines.ensure_baseline(
            small_city.job_run(), frozen_counts.freeze_counts(small_city.job_run())
        )
        assert again == first
        assert emulators.objects("datasets").read("baseline/current.json").generation == generation

    def test_one_for_a_trial_is_not_kept(self, city: pd.DataFrame) -> None:
        run = small_city.job_run()
        frozen = frozen_counts.freeze_counts(run)
        trial = baselines.ensure_baseline(run, frozen, keep=False)
        assert not emulators.objects("datasets").exists("baseline/current.json")
        assert baselines.ensure_baseline(run, frozen) == trial

    def test_too_few_days_make_none(self, city: pd.DataFrame) -> None:
        run = small_city.job_run("2025-02-28T04:00:00Z")
        frozen = frozen_counts.freeze_counts(run)
        assert frozen.known(run).days == 10
        with pytest.raises(
            TooLittleHistory, match=r"usable counts of 10 local day\(s\) from 2025-02-18"
        ):
            baselines.ensure_baseline(run, frozen)
        assert not emulators.objects("datasets").exists("baseline/current.json")
