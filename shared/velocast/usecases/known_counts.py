"""The counts as they were known at an instant, from the stored counts and what is remembered of their changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.sql_templates import Empty

if TYPE_CHECKING:
    import pandas as pd

NOW = datetime(9999, 1, 1, tzinfo=UTC)  # as of this time, the counts are known as they are stored


@dataclass(frozen=True)
class Known:
    """Hours counted in [since, until), UTC, as they were known at `at` (included). counter_ids: empty for all."""

    at: datetime
    since: datetime
    until: datetime
    counter_ids: Sequence[str] = ()

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the SQL files."""
        return {
            "known_at": self.at,
            "scan_from": self.since,
            "scan_until": self.until,
            "counter_ids": list(self.counter_ids) or Empty("STRING"),
        }


@dataclass(frozen=True)
class ChangedLater:
    """Hours whose count or quality is different now, and hours that were not known yet."""

    changed: int = 0
    learned: int = 0

    def __bool__(self) -> bool:
        return bool(self.changed or self.learned)


def was_changed_later(warehouse: Warehouse, known: Known) -> bool:
    """Return whether an hour that was known then has another count or quality now. Raises WarehouseError."""
    (changes,) = warehouse.query("counts_revised_later", **known.parameters())["changes"]
    return bool(changes)


def count_changes(warehouse: Warehouse, known: Known) -> ChangedLater:
    """Return how many hours were different then. Raises WarehouseError."""
    (row,) = warehouse.query("counts_changed_later", **known.parameters()).to_dict("records")
    return ChangedLater(int(row["changed_later"]), int(row["learned_later"]))


def read_known_counts(warehouse: Warehouse, known: Known) -> pd.DataFrame:
    """Return counter_id, counted_at, bike_count, quality and ingested_at (since when the count was known).

    Exactly what was stored at that instant, sorted by counter and hour. Raises WarehouseError.
    Source: `bike_traffic_raw.counts`, `bike_traffic_raw.revisions`, sql/counts_as_of.sql.
    """
    rows = warehouse.query_large("counts_as_of", later_hours=False, **known.parameters())
    return rows.sort_values(["counter_id", "counted_at"], ignore_index=True)


def read_known_totals(warehouse: Warehouse, known: Known) -> dict[str, Any]:
    """Return `read_known_counts` in figures: hours, counters, unusable, bikes, first_hour, last_hour (null if none)."""
    frame = warehouse.query("counts_as_of_totals", later_hours=False, **known.parameters())
    (row,) = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return {str(name): value for name, value in row.items()}
