"""What a warehouse answered about a small city, and a large one made of copies of it.

An emulator cannot follow a city of 10,000 counters. What it answered for one of 500 is kept, and given again for twenty
cities side by side: each copy's counters have ids of their own. So everything on this side of BigQuery can be measured.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.sql_templates import Empty

MARK = "~"  # between a counter's id and the number of its copy
Key = tuple[str, ...]


def _key(sql: str, parameters: dict[str, Any]) -> Key:
    """Name a question by what it asks about, except which counters and what share of them."""
    names = ("first_origin", "last_origin", "lead_days", "one_lead", "first_hour", "until")
    return (sql, *(str(parameters[name]) for name in names if name in parameters))


class RecordingWarehouse(Warehouse):
    """The warehouse, and every answer it gave, where these are to be kept."""

    def __init__(self, project: str, location: str, *, keep: bool) -> None:
        super().__init__(project, location)
        self._keep = keep
        self._answers: dict[Key, tuple[list[pd.DataFrame], int]] = {}

    def query(self, sql: str, /, **named: Any) -> pd.DataFrame:
        """As the warehouse does."""
        return self._kept(_key(sql, named), super().query(sql, **named), named)

    def query_large(self, sql: str, /, **named: Any) -> pd.DataFrame:
        """As the warehouse does."""
        return self._kept(_key(sql, named), super().query_large(sql, **named), named)

    def read(self, table: str, **named: Any) -> pa.Table:
        """As the warehouse does."""
        rows = super().read(table, **named)
        self._kept((table, str(named.get("where"))), rows.to_pandas(), {})
        return rows

    def stop_recording(self) -> None:
        """Keep no more: what comes now has been asked before."""
        self._keep = False

    def save(self, file: Path) -> None:
        """Write the answers to a file, beside those that are there."""
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
    """Answers as RecordingWarehouse was answered, for `tiles` copies of its city."""

    def __init__(self, file: Path, tiles: int) -> None:
        self._answers: dict[Key, tuple[pd.DataFrame, int]] = pickle.loads(file.read_bytes())
        self._tiles = tiles

    def query(self, sql: str, /, **named: Any) -> pd.DataFrame:
        """Answer what was asked of the small city, KeyError for anything else."""
        return self._copies(*self._answers[_key(sql, named)], named)

    query_large = query

    def read(self, table: str, **named: Any) -> pa.Table:
        """As `query`."""
        rows = self._copies(*self._answers[table, str(named.get("where"))], {})
        return pa.Table.from_pandas(rows, preserve_index=False)

    def stop_recording(self) -> None:
        """Say nothing: there is nothing to keep."""

    def _copies(self, rows: pd.DataFrame, thinned: int, named: dict[str, Any]) -> pd.DataFrame:
        """Return the rows of every copy, thinned as asked; they have been thinned before."""
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
