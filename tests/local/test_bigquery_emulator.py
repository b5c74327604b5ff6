"""The local BigQuery, through Google's own client."""

from __future__ import annotations

from google.cloud import bigquery


def test_tables_are_those_of_the_schema_files(warehouse_tables: bigquery.Client) -> None:
    counts = warehouse_tables.get_table("bike_traffic_raw.counts")

    assert [field.name for field in counts.schema][:2] == ["counter_id", "counted_at"]
    assert counts.num_rows == 0


def test_mlflow(mlflow_server: str, storage_buckets: dict[str, str]) -> None:
    assert mlflow_server
