"""Write the hours of a check as Parquet."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def write_rows(stored: pd.DataFrame, path: Path) -> None:
    """Write counter_id, counted_at (UTC), bike_count and quality. Raises OSError."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema(
        [
            ("counter_id", pa.string()),
            ("counted_at", pa.timestamp("us", tz="UTC")),
            ("bike_count", pa.int64()),
            ("quality", pa.string()),
        ]
    )
    ordered = stored.sort_values(["counted_at", "counter_id"])
    parquet.write_table(
        pa.Table.from_pandas(ordered[schema.names], schema, preserve_index=False), path
    )
