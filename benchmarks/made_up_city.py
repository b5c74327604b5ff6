"""A city of any size whose answers from BigQuery are made up: for measuring all but BigQuery itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from velocast.usecases.training.datasets.count_rows import counts_schema

_RANGE = re.compile(r"counter_id >= '(\d+)' AND counter_id <= '(\d+)'")
HOUR_US = 3_600_000_000


class MadeUpCounts:
    """Answers what freezing asks of a warehouse: each counter has a count in every hour of `days` days."""

    def __init__(self, counters: int, days: int, until: datetime) -> None:
        self.counters = counters
        self.hours = 24 * days
        self.first = until - timedelta(hours=self.hours)
        self.last = until - timedelta(hours=1)

    @contextmanager
    def temporary(self, _sql: str, /, **_named: Any) -> Iterator[str]:
        """Yield the name of a table."""
        yield "made.up"

    def copy_table(self, *_args: Any, **_named: Any) -> None:
        """Do nothing: BigQuery would copy it."""

    def query_large(self, sql: str, /, **_named: Any) -> pd.DataFrame:
        """Return the counters with their hours. Raises KeyError for another query."""
        if sql != "frozen_counters":
            raise KeyError(sql)
        ids = [f"{number:09}" for number in range(self.counters)]
        alike = {"hours": self.hours, "usable": self.hours}
        ends = {"first_at": pd.Timestamp(self.first), "last_at": pd.Timestamp(self.last)}
        return pd.DataFrame({"counter_id": ids, **alike, **ends})

    def read(self, _table: str, *, where: str | None = None, **_named: Any) -> pa.Table:
        """Return the counts of a range of counters, in no order."""
        found = _RANGE.search(where or "")
        first, last = (int(found[1]), int(found[2])) if found else (0, self.counters - 1)
        size = last - first + 1
        ids = pa.array([f"{number:09}" for number in range(last, first - 1, -1)])
        rows = pa.table(
            {
                "counter_id": ids.take(pa.array(np.repeat(np.arange(size), self.hours))),
                "counted_at": pa.array(np.tile(self._at, size), pa.timestamp("us", tz="UTC")),
                "bike_count": np.roll(np.tile(self._counts, size), first),
                "quality": pa.nulls(size * self.hours, pa.string()),
            }
        )
        return rows.cast(counts_schema())

    @cached_property
    def _at(self) -> np.ndarray[Any, Any]:
        start = int(self.first.timestamp()) * 1_000_000
        return start + HOUR_US * np.arange(self.hours)[::-1]

    @cached_property
    def _counts(self) -> np.ndarray[Any, Any]:
        day = 40 - 39 * np.cos(np.arange(self.hours) / 24 * 2 * np.pi)
        return np.random.default_rng(3).poisson(day)
