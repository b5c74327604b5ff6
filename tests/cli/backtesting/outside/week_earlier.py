"""An outside forecaster for tests, written from the protocol's description alone: the count of a week earlier."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def main() -> None:
    parts: list[pa.Table] = []
    for text in sys.stdin:
        line = json.loads(text)
        parts.append(pq.read_table(line["counts"]))
        counts = pa.concat_tables(parts)
        target = pc.add(counts["counted_at"], pa.scalar(timedelta(days=7)))
        origin = pa.scalar(line["origin_at"]).cast(counts["counted_at"].type)
        until = pc.add(origin, pa.scalar(timedelta(hours=line["hours"])))
        asked = pc.and_(pc.greater_equal(target, origin), pc.less(target, until))
        forecasts = pa.table(
            {
                "counter_id": counts["counter_id"],
                "target_at": target,
                "predicted_count": counts["bike_count"],
            }
        ).filter(asked)
        pq.write_table(forecasts, line["forecasts"])
        sys.stdout.write("{}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
