"""What BigQuery would bill, against figures worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.performance import bigquery_cost
from benchmarks.performance.bigquery_cost import SMALLEST, TIB, BilledQuery
from velocast.core import schemas


def test_a_query_is_billed_ten_megabytes_a_table_at_least() -> None:
    assert BilledQuery("one small table", (5.0,)).billed == SMALLEST
    assert BilledQuery("two small tables", (5.0, 7.0)).billed == 2 * SMALLEST
    assert BilledQuery("a large and a small one", (3.0 * SMALLEST, 7.0)).billed == 4 * SMALLEST
    assert BilledQuery("by the Storage Read API", (5.0, 7.0), by_storage_read=True).billed == 12


def test_only_columns_that_the_sql_names_are_scanned() -> None:
    named = bigquery_cost.scanned_columns("features", schemas.COUNTS)

    assert named == ("counter_id", "counted_at", "bike_count", "quality")
    # 2 + 19 characters of the id, a time, a number; of quality nearly all is null
    assert bigquery_cost.row_bytes(schemas.COUNTS, named) == 21 + 8 + 8


def test_list_prices() -> None:
    assert bigquery_cost.usd(TIB, 2 * TIB) == pytest.approx(6.25 + 2.20)


def test_a_small_city_is_free_and_a_large_one_pays_for_its_blocks() -> None:
    small, large, largest = (bigquery_cost.monthly_cost(n) for n in (50, 1000, 10_000))

    assert small["month_usd_free_tier"] == 0
    assert small["month_usd"] < large["month_usd"] < largest["month_usd"]
    # every block of counters is charged with the whole city's partitions
    assert largest["predict_query_gb"] > 10 * large["predict_query_gb"]
