"""The query results that the local BigQuery keeps in memory for clients that fetch them page by page."""

from __future__ import annotations

import threading
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
        self._lock = threading.RLock()  # jobs run in several threads
        self._bytes = sum(table.nbytes for table in self.values())

    def __setitem__(self, job_id: str, table: Any) -> None:
        with self._lock:
            self.pop(job_id, None)
            super().__setitem__(job_id, table)
            self._bytes += table.nbytes
            while len(self) > 1 and (
                self._bytes > self._most_bytes or len(self) > self._most_results
            ):
                self.pop(next(iter(self)))

    def pop(self, job_id: str, *default: Any) -> Any:
        with self._lock:
            if job_id in self:
                self._bytes -= self[job_id].nbytes
            return super().pop(job_id, *default)

    def of_table(self, table: str) -> Any:
        """Return the result that an anonymous table holds, which bqemulator names after its job; None if it is gone."""
        with self._lock:
            return next(
                (self[each] for each in self if table == f"anon{each.replace('-', '')}"), None
            )
