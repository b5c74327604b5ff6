"""Recorded query results of a small city, and a large city that consists of copies of them.

The emulator is too slow for a city of 10,000 counters. The results for a city of 500 are recorded and returned for
twenty copies, each with its own counter ids. So everything but BigQuery itself can be measured.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.merge import MergeResult
from velocast.adapters.bigquery.sql_templates import Empty

MARK = "~"  # separates a counter's id from the number of its copy
Key = tuple[str, ...]


def _key(sql: str, parameters: dict[str, Any]) -> Key:
    """Return the key of a query: its file and time range, without the selection of counters."""
    names = ("first_origin", "last_origin", "lead_days", "one_lead", "first_hour", "until")
    return (sql, *(str(parameters[name]) for name in names if name in parameters))


def _table_key(table: str, named: dict[str, Any]) -> Key:
    """Return the key of a read; it is the same for all temporary tables, whose names change."""
    kept = "a temporary table" if ".staging_" in table else table
    return (kept, str(named.get("where")))


class RecordingWarehouse(Warehouse):
    """A warehouse that records its results if `keep` is true."""

    def __init__(self, project: str, location: str, *, keep: bool) -> None:
        super().__init__(project, location)
        self._keep = keep
        self._answers: dict[Key, tuple[list[pd.DataFrame], int]] = {}

    def query(self, sql: str, /, **named: Any) -> pd.DataFrame:
        """Run the query and record its result."""
        return self._kept(_key(sql, named), super().query(sql, **named), named)

    def query_large(self, sql: str, /, **named: Any) -> pd.DataFrame:
        """Run the query and record its result."""
        return self._kept(_key(sql, named), super().query_large(sql, **named), named)

    def read(self, table: str, **named: Any) -> pa.Table:
        """Run the query and record its result."""
        rows = super().read(table, **named)
        self._kept(_table_key(table, named), rows.to_pandas(), {})
        return rows

    def stop_recording(self) -> None:
        """Stop recording, because the following queries repeat earlier ones."""
        self._keep = False

    def save(self, file: Path) -> None:
        """Add the recorded results to a file."""
        answers = pickle.loads(file.read_bytes()) if file.exists() else {}
        for key, (parts, keep_one_in) in self._answers.items():
            whole = pd.concat(parts, ignore_index=True) if "counter_id" in parts[0] else parts[0]
            answers[key] = (whole, keep_one_in)
        file.write_bytes(pickle.dumps(answers))

    def _kept(self, key: Key, rows: pd.DataFrame, named: dict[str, Any]) -> pd.DataFrame:
        if self._keep:
            parts, _ = self._answers.setdefault(key, ([], named.get("keep_one_in", 1)))
            parts.append(rows)
        return rows


class TiledWarehouse:
    """Returns the results that a RecordingWarehouse recorded, for `tiles` copies of its city."""

    def __init__(self, file: Path, tiles: int) -> None:
        self._answers: dict[Key, tuple[pd.DataFrame, int]] = pickle.loads(file.read_bytes())
        self._tiles = tiles

    def query(self, sql: str, /, **named: Any) -> pd.DataFrame:
        """Return the recorded result for all copies. Raises KeyError for a query that was not recorded."""
        return self._copies(*self._answers[_key(sql, named)], named)

    query_large = query

    def read(self, table: str, **named: Any) -> pa.Table:
        """Return the recorded rows of a table, like `query`."""
        rows = self._copies(*self._answers[_table_key(table, named)], {})
        return pa.Table.from_pandas(rows, preserve_index=False)

    def stop_recording(self) -> None:
        """Do nothing: there is no recording."""

    @contextmanager
    def temporary(self, _sql: str, /, **_named: Any) -> Iterator[str]:
        """Yield the name of a table."""
        yield "made.staging_up"

    def merge(self, _table: str, rows: Iterable[pa.Table], **_named: Any) -> MergeResult:
        """Return that all rows are new."""
        return MergeResult(sum(part.num_rows for part in rows), 0, 0)

    def drop(self, _table: str) -> None:
        """Do nothing."""

    def _copies(self, rows: pd.DataFrame, thinned: int, named: dict[str, Any]) -> pd.DataFrame:
        """Return the rows of every copy, thinned as requested; the recorded rows may be thinned already."""
        if "counter_id" not in rows:
            return rows
        asked = named.get("counter_ids")
        wanted = None if asked is None or isinstance(asked, Empty) else set(asked)
        every = max(1, round(named.get("keep_one_in", 1) / thinned))
        parts = [self._copy(rows, tile, wanted, every) for tile in range(self._tiles)]
        return pd.concat([part for part in parts if part is not None], ignore_index=True)

    @staticmethod
    def _copy(
        rows: pd.DataFrame, tile: int, wanted: set[str] | None, every: int
    ) -> pd.DataFrame | None:
        part = rows.iloc[tile % every :: every]
        if wanted is not None:
            end = f"{MARK}{tile:03}"
            mine = [name.removesuffix(end) for name in wanted if name.endswith(end)]
            if not mine:
                return None
            part = part[part["counter_id"].isin(mine)]
        return part.assign(counter_id=part["counter_id"].astype(str) + f"{MARK}{tile:03}")
