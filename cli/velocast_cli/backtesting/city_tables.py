"""The counts and counters of a file as tables for the warehouse, with ingestion's quality marks."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa

from velocast.adapters.bigquery.client import Warehouse
from velocast.core import schemas
from velocast.core.city import City
from velocast.core.settings import Thresholds
from velocast.usecases.ingest.quality import search_changes


def span(counts: pd.DataFrame) -> tuple[datetime, datetime]:
    """Return the first counted hour and the end of the last one."""
    first: datetime = counts["counted_at"].min().to_pydatetime()
    last: datetime = counts["counted_at"].max().to_pydatetime()
    return first, last + timedelta(hours=1)


def counts_with_quality(
    warehouse: Warehouse,
    city: City,
    counts: pd.DataFrame,
    raw: str,
    counters: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return counts with `quality`: what the city marks, else what ingestion marks.

    raw: dataset.table into which the counts are loaded for the query. counters: as for `counters_table`, to find those
    that the city's events concern. Raises WarehouseError.
    """
    warehouse.load_table(raw, arrow_counts(counts.assign(quality=None)), expires_days=None)
    first, until = span(counts)
    search = search_changes(
        warehouse,
        city,
        Thresholds(),
        mark_from=first,
        until=until,
        counts_table=raw,
        counters=counters,
    )
    marks = search.all().rows
    keys = ["counter_id", "counted_at"]
    found = counts[keys].merge(marks[[*keys, "quality"]], how="left", on=keys)["quality"]
    own = counts["quality"].astype("object").reset_index(drop=True)
    return counts.reset_index(drop=True).assign(quality=own.where(own.notna(), found))


def arrow_counts(counts: pd.DataFrame) -> pa.Table:
    """Return marked counts as rows of the counts table, as if ingested when they were counted."""
    rows = counts.assign(
        bike_count=counts["bike_count"].astype("int64"),
        quality=counts["quality"].astype("object").where(counts["quality"].notna(), None),
        ingested_at=counts["counted_at"],
    )
    return pa.Table.from_pandas(
        rows[list(schemas.table(schemas.COUNTS).columns)],
        schema=schemas.arrow(schemas.COUNTS),
        preserve_index=False,
    )


def counters_table(counters: pd.DataFrame) -> pa.Table:
    """Return the names and positions of the counters of files (`FileCounts.counters`); null where there is none."""
    return pa.table(
        {
            "counter_id": counters["counter_id"].to_numpy(dtype=object),
            "counter_name": _texts(counters["counter_name"]),
            "latitude": _numbers(counters["latitude"]),
            "longitude": _numbers(counters["longitude"]),
            # a file has positions, but not when a counter was moved
            "moved_at": pa.nulls(len(counters), schemas.arrow_type("TIMESTAMP")),
        }
    )


def _texts(values: pd.Series[str]) -> pa.Array:
    return pa.array(values.where(values.notna(), None), pa.string(), from_pandas=True)


def _numbers(values: pd.Series[float]) -> pa.Array:
    return pa.array(values.astype("float64"), pa.float64(), from_pandas=True)
