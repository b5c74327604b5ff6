"""Rows of the counts, what is stored of them, and temporary tables that are left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
from google.cloud import bigquery

from tests.emulators import PROJECT
from velocast.core import schemas

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
INGESTED = datetime(2026, 3, 5, 2, tzinfo=UTC)
KEYS = ["counter_id", "counted_at"]
UPDATE = ["bike_count", "quality"]


def counts(
    *rows: tuple[str, int, int | None, str | None], ingested: datetime = INGESTED
) -> pa.Table:
    """Rows of (counter_id, hours after FIRST, bike_count, quality)."""
    return pa.table(
        {
            "counter_id": pa.array([r[0] for r in rows], pa.string()),
            "counted_at": [FIRST + timedelta(hours=r[1]) for r in rows],
            "bike_count": pa.array([r[2] for r in rows], pa.int64()),
            "quality": pa.array([r[3] for r in rows], pa.string()),
            "ingested_at": [ingested] * len(rows),
        },
        schema=pa.schema(
            [
                ("counter_id", pa.string()),
                ("counted_at", pa.timestamp("us", "UTC")),
                ("bike_count", pa.int64()),
                ("quality", pa.string()),
                ("ingested_at", pa.timestamp("us", "UTC")),
            ]
        ),
    )


def stored(client: bigquery.Client) -> list[tuple[str, int, int, str | None, datetime]]:
    text = f"SELECT * FROM `{PROJECT}.bike_traffic_raw.counts` ORDER BY counter_id, counted_at"
    return [
        (
            r.counter_id,
            (r.counted_at - FIRST) // timedelta(hours=1),
            r.bike_count,
            r.quality,
            r.ingested_at,
        )
        for r in client.query_and_wait(text)
    ]


def leftovers(client: bigquery.Client) -> list[str]:
    return [
        t.table_id
        for d in (schemas.RAW, schemas.PREDICTIONS, schemas.AUDIT)
        for t in client.list_tables(d)
        if t.table_id.startswith("staging")
    ]
