"""What is reported when BigQuery refuses a statement or is not there."""

from __future__ import annotations

import pytest

from tests.emulators import LOCATION, PROJECT
from velocast.adapters.bigquery import failures, sql_templates
from velocast.adapters.bigquery.client import Warehouse
from velocast.core import schemas
from velocast.core.errors import WarehouseError


def test_a_warehouse_that_is_not_there_is_told_in_bounded_time(monkeypatch):
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr(failures, "RETRY_SECONDS", 0.2)
    with pytest.raises(WarehouseError, match=r"look for bike_traffic_raw\.counts: "):
        Warehouse(PROJECT, LOCATION).table_exists(schemas.COUNTS)


def test_errors_name_the_file_and_what_bigquery_said(store, sql):
    sql["q"] = "SELECT no_such_column FROM {counters}"
    with pytest.raises(WarehouseError, match=r"sql/q\.sql: .*no_such_column"):
        store.query("q")
    sql["q"] = "SELECT 1 AS one FROM {elsewhere}"
    with pytest.raises(
        WarehouseError, match=r"sql/q\.sql: unknown table \{elsewhere\}; pass it in"
    ):
        store.query("q")
    with pytest.raises(WarehouseError, match=r"there is no file velocast/sql/absent\.sql"):
        store.query("absent")
    with pytest.raises(WarehouseError, match="'counts' is not a table name"):
        store.table_exists("counts") or sql_templates.quoted(PROJECT, "counts")
