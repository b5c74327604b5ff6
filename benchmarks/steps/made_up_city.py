"""A city of any size whose answers from BigQuery are made up: for measuring all but BigQuery itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from velocast.core import schemas
from velocast.core.datetimes import SCORED_LEAD_DAYS
from velocast.usecases.training.datasets.count_rows import counts_schema

_RANGE = re.compile(r"counter_id >= '(\d+)' AND counter_id <= '(\d+)'")
_HOURS = re.compile(r"counted_at >= '([^']+)' AND counted_at < '([^']+)'")
HOUR_US = 3_600_000_000


class MadeUpCounts:
    """Answers what freezing, gaps and faults ask of a warehouse: each counter has a count in every hour of `days` days.

    outage: of the hours of each counter, so many are marked as those of an outage, the last but a day.
    """

    def __init__(self, counters: int, days: int, until: datetime, *, outage: int = 0) -> None:
        self.counters = counters
        self.hours = 24 * days
        self.outage = outage
        self.first = until - timedelta(hours=self.hours)
        self.last = until - timedelta(hours=1)

    @contextmanager
    def temporary(self, _sql: str, /, **_named: Any) -> Iterator[str]:
        """Yield the name of a table."""
        yield "made.up"

    def copy_table(self, *_args: Any, **_named: Any) -> None:
        """Do nothing: BigQuery would copy it."""

    def execute(self, *_args: Any, **_named: Any) -> int:
        """Do nothing."""
        return 0

    def merge(self, *_args: Any, **_named: Any) -> None:
        """Do nothing."""

    def query(self, _sql: str, /, **_named: Any) -> pd.DataFrame:
        """Return no row."""
        return pd.DataFrame()

    def query_large(self, sql: str, /, **_named: Any) -> pd.DataFrame:
        """Return the counters with their hours, or no marks. Raises KeyError for another query."""
        if sql.startswith("mark_"):
            none: pd.DataFrame = schemas.arrow(schemas.COUNTS).empty_table().to_pandas()
            return none
        if sql not in ("counted_hours", "judged_counters"):
            raise KeyError(sql)
        ids = [f"{number:09}" for number in range(self.counters)]
        alike = {"hours": self.hours, "usable": self.hours}
        ends = {"first_at": pd.Timestamp(self.first), "last_at": pd.Timestamp(self.last)}
        return pd.DataFrame({"counter_id": ids, **alike, **ends})

    def read(
        self, table: str, *, columns: Sequence[str] = (), where: str | None = None
    ) -> pa.Table:
        """Return the counts of a range of counters, in no order; no verdict, and no counter's name."""
        if table in (schemas.VERDICTS, schemas.COUNTERS):
            return schemas.arrow(table).empty_table().select(list(columns))
        found = _RANGE.search(where or "")
        first, last = (int(found[1]), int(found[2])) if found else (0, self.counters - 1)
        size = last - first + 1
        ids = pa.array([f"{number:09}" for number in range(last, first - 1, -1)])
        there = self._within(where or "")
        qualities = pa.array(self._qualities, pa.string()).filter(pa.array(there))
        rows = pa.table(
            {
                "counter_id": ids.take(pa.array(np.repeat(np.arange(size), there.sum()))),
                "counted_at": pa.array(
                    np.tile(self._at[there], size), pa.timestamp("us", tz="UTC")
                ),
                "bike_count": np.roll(np.tile(self._counts[there], size), first),
                "quality": pa.chunked_array([qualities] * size),
            }
        ).cast(counts_schema())
        if "ingested_at" in columns:
            rows = rows.append_column("ingested_at", rows["counted_at"])
        return rows

    def _within(self, where: str) -> np.ndarray[Any, Any]:
        """Return which hours are those that are asked for."""
        asked = _HOURS.search(where)
        if asked is None:
            return np.ones(self.hours, dtype=bool)
        since, until = (pd.Timestamp(text).value // 1000 for text in asked.groups())
        return np.asarray((self._at >= since) & (self._at < until))

    @cached_property
    def _at(self) -> np.ndarray[Any, Any]:
        start = int(self.first.timestamp()) * 1_000_000
        return start + HOUR_US * np.arange(self.hours)[::-1]

    @cached_property
    def _qualities(self) -> list[str | None]:
        return ["outage" if 24 <= hour < 24 + self.outage else None for hour in range(self.hours)]

    @cached_property
    def _counts(self) -> np.ndarray[Any, Any]:
        day = 40 - 39 * np.cos(np.arange(self.hours) / 24 * 2 * np.pi)
        return np.random.default_rng(3).poisson(day)


class MadeUpForecasts:
    """Answers what monitoring asks of a warehouse, for a city that has forecasts and counts of every hour."""

    def __init__(self, counters: int, days: int) -> None:
        self.counters = counters
        self.hours = 24 * days
        self._first = datetime(2026, 1, 1, tzinfo=UTC)

    def query(self, sql: str, /, **_named: Any) -> pd.DataFrame:
        """Return the usual error, or no weather. Raises KeyError for another query."""
        usual = {"pairs": 10**6, "counters": self.counters, "days": 35, "errors": 1e6, "bikes": 1e7}
        answers = {"monitor_usual_error": pd.DataFrame([usual]), "drift_weather": pd.DataFrame()}
        return answers[sql]

    def query_large(self, sql: str, /, *, keep_one_in: int, **named: Any) -> pd.DataFrame:
        """Return one row in `keep_one_in`. Raises KeyError for another query."""
        if sql == "drift_counts":
            hours = int((named["until"] - named["first_hour"]).total_seconds()) // 3600
            return self._rows(self.counters // keep_one_in, named["first_hour"], hours, 1)
        if sql == "drift_errors":
            hours = int((named["until"] - named["first_hour"]).total_seconds()) // 3600
            counters = self.counters // keep_one_in
            return self._rows(counters, named["first_hour"], hours, SCORED_LEAD_DAYS)
        hours = self.hours // keep_one_in
        first = named["first_hour"] if sql == "validation_pairs" else self._first
        self._first = first
        rows = self._rows(self.counters, first, hours, SCORED_LEAD_DAYS)
        if sql == "validation_pairs":
            return rows.drop(columns=["day_type", "similar_day_mean", "local_hour"])
        if sql == "similar_days":
            return rows[
                [
                    "counter_id",
                    "origin_at",
                    "target_at",
                    "day_type",
                    "local_hour",
                    "similar_day_mean",
                ]
            ]
        raise KeyError(sql)

    def _rows(self, counters: int, first: datetime, hours: int, leads: int) -> pd.DataFrame:
        size = counters * hours * leads
        ids = np.array([f"{number:09}" for number in range(counters)], dtype=object)
        at = pd.date_range(first, periods=hours, freq="h").as_unit("us")
        lead = np.tile(np.arange(leads), counters * hours)
        targets = pd.DatetimeIndex(np.tile(np.repeat(at.values, leads), counters), tz="UTC")
        random = np.random.default_rng(3)
        counted = random.poisson(40, size).astype("float64")
        return pd.DataFrame(
            {
                "counter_id": np.repeat(ids, hours * leads),
                "counted_at": targets,
                "target_at": targets,
                "origin_at": targets.floor("D") - pd.to_timedelta(lead, unit="D"),
                "lead_day": lead,
                "bike_count": counted,
                "predicted_count": counted + random.normal(0, 5, size),
                "lower": counted - 9,
                "upper": counted + 9,
                "lag_168h": counted + random.normal(0, 9, size),
                "day_type": "working",
                "local_hour": 8,
                "similar_day_mean": counted + random.normal(0, 7, size),
            }
        )
