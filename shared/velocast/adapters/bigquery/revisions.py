"""Remembers what a MERGE changes in the counts: one row of `bike_traffic_raw.revisions` for each changed count.

Both are written in one transaction, so that no correction is lost and none is remembered that did not happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from velocast.core import schemas
from velocast.core.datetimes import rfc3339

if TYPE_CHECKING:
    from velocast.adapters.bigquery.merge_statements import Merge

KEY = ("counter_id", "counted_at", "learned_at")


@dataclass(frozen=True)
class Remembering:
    """Where a merge into the counts remembers what it changes. learned_at: when the merged rows were learned."""

    learned_at: datetime
    table: str = schemas.REVISIONS

    def merge_sql(self, plan: Merge, target: str, staging: str, bounds: str, revisions: str) -> str:
        """Return the transaction that stores the revisions, then the rows. The first four arguments are those of Merge.

        The same rows merged again change nothing, and neither does a transaction of which only the revisions were
        stored: of two changes at one moment, the first one's old and the last one's new values are kept. A change
        to an hour that was first learned at this very moment is not counted, because nobody has seen the earlier value.
        """
        moment = f"TIMESTAMP '{rfc3339(self.learned_at)}'"
        lines = (
            "BEGIN TRANSACTION;",
            f"MERGE {revisions} AS R",
            "USING (",
            "  SELECT T.counter_id, T.counted_at, T.ingested_at AS known_at,",
            # an event that is delivered after a newer one corrects what the newer one stored
            f"  GREATEST({moment}, T.ingested_at) AS learned_at, T.ingested_at = {moment} AS is_first,",
            f"  T.bike_count AS old_count, {_after(plan, 'bike_count')} AS new_count,",
            f"  T.quality AS old_quality, {_after(plan, 'quality')} AS new_quality",
            f"  FROM {target} AS T",
            f"  JOIN {staging} AS S ON {plan.same_key()}",
            f"  WHERE {bounds} AND ({plan.changed()})",
            ") AS N",
            f"ON {bounds.replace('T.', 'R.')} AND {' AND '.join(f'R.{k} = N.{k}' for k in KEY)}",
            "WHEN MATCHED THEN UPDATE SET new_count = N.new_count, new_quality = N.new_quality",
            "WHEN NOT MATCHED AND NOT N.is_first THEN",
            "  INSERT (counter_id, counted_at, learned_at, known_at, old_count, new_count, old_quality, new_quality)",
            "  VALUES (N.counter_id, N.counted_at, N.learned_at, N.known_at,",
            "  N.old_count, N.new_count, N.old_quality, N.new_quality);",
            f"{plan.merge_sql(target, staging, bounds)};",
            "COMMIT TRANSACTION;",
        )
        return "\n".join(lines)


def _after(plan: Merge, column: str) -> str:
    return plan.new_value(column) if column in plan.written else f"T.{column}"
