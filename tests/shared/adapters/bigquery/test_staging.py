"""Staging tables."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tests.shared.adapters.bigquery.stored_counts import (
    counts,
)
from velocast.adapters.bigquery import staging
from velocast.core.errors import WarehouseError


def test_staging_tables_expire_when_nobody_is_left_to_drop_them():
    """By the text of the statement: the emulator takes the option and does not keep it."""
    schema = counts().schema
    assert staging.create_sql("`p.d.staging_1`", schema, 24) == (
        "CREATE TABLE IF NOT EXISTS `p.d.staging_1` (counter_id STRING, counted_at TIMESTAMP, bike_count INT64,"
        " quality STRING, ingested_at TIMESTAMP)"
        "\nOPTIONS(expiration_timestamp = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 24 HOUR))"
    )
    assert "OPTIONS" not in staging.create_sql("`p.d.kept`", schema, None)
    with pytest.raises(WarehouseError, match="no equivalent in BigQuery; cast the column first"):
        staging.create_sql("`p.d.t`", pa.schema([("x", pa.timestamp("us"))]), None)
