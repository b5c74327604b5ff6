"""What the local BigQuery keeps in memory for clients that fetch it part by part: results of queries, read sessions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

MOST_BYTES = 64 * 1024 * 1024
MOST_RESULTS = 200
LEAST_RESULTS = 4  # clients may be about to read as many, whatever their size


class RecentResults(dict[str, Any]):
    """Results by name; the oldest are dropped once their number or total size exceeds a limit.

    size: the bytes of a result, by default of an Arrow table. least: how many of the newest are kept in any case.
    """

    def __init__(
        self,
        held: Mapping[str, Any] | None = None,
        *,
        size: Callable[[Any], int] = lambda table: int(table.nbytes),
        most_bytes: int = MOST_BYTES,
        most_results: int = MOST_RESULTS,
        least: int = LEAST_RESULTS,
    ) -> None:
        super().__init__(held or {})
        self._size = size
        self._most_bytes = most_bytes
        self._most_results = most_results
        self._least = least
        self._lock = threading.RLock()  # jobs run in several threads
        self._bytes = sum(map(size, self.values()))

    def __setitem__(self, name: str, result: Any) -> None:
        with self._lock:
            self.pop(name, None)
            super().__setitem__(name, result)
            self._bytes += self._size(result)
            while len(self) > self._least and (
                self._bytes > self._most_bytes or len(self) > self._most_results
            ):
                self.pop(next(iter(self)))

    def pop(self, name: str, *default: Any) -> Any:
        with self._lock:
            if name in self:
                self._bytes -= self._size(self[name])
            return super().pop(name, *default)

    def of_table(self, table: str) -> Any:
        """Return the result that an anonymous table holds, which bqemulator names after its job; None if it is gone."""
        with self._lock:
            return next(
                (self[each] for each in self if table == f"anon{each.replace('-', '')}"), None
            )
