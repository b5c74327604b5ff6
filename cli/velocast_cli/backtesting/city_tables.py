"""The counts and counters of a file as tables for the warehouse, with quality marks from ingestion's SQL."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa

from velocast.adapters.bigquery.client import Warehouse
from velocast.core import schemas
from velocast.core.city import City
from velocast.core.settings import Thresholds
from velocast.usecases.ingest.quality import find_changes


def counts_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return counter_id, counted_at (UTC) and bike_count of the rows of a file (`city_file.read_rows`)."""
    counts = pd.DataFrame(
        {
            "counter_id": rows["id_compteur"].astype(str),
            "counted_at": rows["date"].dt.tz_convert("UTC").dt.as_unit("us"),
            "bike_count": rows["sum_counts"],
        }
    ).dropna()
    return counts.reset_index(drop=True)


def without_doubles(counts: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return one row per counter and hour, as ingestion stores them, and how many rows contradict each other.

    Those are all left out.
    """
    from velocast.usecases.ingest.fetch import resolve_duplicates

    table = pa.Table.from_pandas(counts, preserve_index=False)
    lines = pa.nulls(len(counts), pa.binary()).fill_null(b"")
    kept, rejects = resolve_duplicates(table.append_column("line", lines))
    return kept.to_pandas(), len(rejects)


def span(counts: pd.DataFrame) -> tuple[datetime, datetime]:
    """Return the first counted hour and the end of the last one."""
    first: datetime = counts["counted_at"].min().to_pydatetime()
    last: datetime = counts["counted_at"].max().to_pydatetime()
    return first, last + timedelta(hours=1)


def counts_with_quality(
    warehouse: Warehouse, city: City, counts: pd.DataFrame, raw: str
) -> pd.DataFrame:
    """Return counts with `quality`, as ingestion marks it: outages, merged clock-change hours, suspect counts.

    raw: dataset.table into which the counts are loaded for the query. Raises WarehouseError.
    """
    warehouse.load_table(raw, arrow_counts(counts.assign(quality=None)), expires_days=None)
    first, until = span(counts)
    marks = find_changes(
        warehouse, city, Thresholds(), mark_from=first, until=until, counts_table=raw
    )
    keys = ["counter_id", "counted_at"]
    return counts.merge(marks[[*keys, "quality"]], how="left", on=keys)


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


def counters_of(rows: pd.DataFrame) -> pa.Table:
    """Return the position of each counter, from its newest row."""
    newest = rows.sort_values("date").drop_duplicates("id_compteur", keep="last")
    return pa.table(
        {
            "counter_id": newest["id_compteur"].astype(str).to_numpy(dtype=object),
            "counter_name": newest["nom_compteur"].astype(str).to_numpy(dtype=object),
            "latitude": newest["latitude"].to_numpy(dtype="float64"),
            "longitude": newest["longitude"].to_numpy(dtype="float64"),
            # a file has positions, but not when a counter was moved
            "moved_at": pa.nulls(len(newest), schemas.arrow_type("TIMESTAMP")),
        }
    )
