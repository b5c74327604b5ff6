"""The query results that the local BigQuery keeps in memory for clients that fetch them page by page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_BYTES = 256 * 1024 * 1024
MOST_RESULTS = 200


class RecentResults(dict[str, Any]):
    """Arrow tables by job id; the oldest are dropped once the total exceeds a limit. The newest is always kept."""

    def __init__(
        self,
        held: Mapping[str, Any] | None = None,
        *,
        most_bytes: int = MOST_BYTES,
        most_results: int = MOST_RESULTS,
    ) -> None:
        super().__init__(held or {})
        self._most_bytes = most_bytes
        self._most_results = most_results

    def __setitem__(self, job_id: str, table: Any) -> None:
        super().__setitem__(job_id, table)
        total = sum(held.nbytes for held in self.values())
        while len(self) > 1 and (total > self._most_bytes or len(self) > self._most_results):
            total -= self.pop(next(iter(self))).nbytes
